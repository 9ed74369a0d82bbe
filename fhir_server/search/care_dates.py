"""When care took place, as opposed to when it was recorded: the dates that `$everything` asks for with `start` and `end`.

R4 (operation-patient-everything.html) speaks of "care dates, not record currency dates" and names no elements. Here a
resource type has tiers of date parameters: the first tier for which a resource has a value decides. When care took place
comes first; when it was written down counts only for what says nothing else.
"""

from types import MappingProxyType
from typing import Final

from fhir_server.model.temporal import Interval
from fhir_server.search.query import EVERYTHING, And, DateCompare, Missing, Node, Or, Prefix

CARE_DATES: Final = MappingProxyType(
    {
        "Account": ("period",),
        "AdverseEvent": ("date",),
        "AllergyIntolerance": ("onset last-date", "date"),
        "Appointment": ("date",),
        "AuditEvent": ("date",),
        "Basic": ("created",),
        "CarePlan": ("date", "activity-date"),
        "CareTeam": ("date",),
        "ChargeItem": ("occurrence", "entered-date"),
        "Claim": ("created",),
        "ClaimResponse": ("created",),
        "ClinicalImpression": ("date",),
        "Communication": ("sent received",),
        "CommunicationRequest": ("occurrence", "authored"),
        "Composition": ("period", "date"),
        "Condition": ("onset-date abatement-date", "recorded-date"),
        "Consent": ("period", "date"),
        "Contract": ("issued",),
        "CoverageEligibilityRequest": ("created",),
        "CoverageEligibilityResponse": ("created",),
        "DetectedIssue": ("identified",),
        "DeviceRequest": ("event-date", "authored-on"),
        "DiagnosticReport": ("date", "issued"),
        "DocumentManifest": ("created",),
        "DocumentReference": ("period", "date"),
        "Encounter": ("date",),
        "EpisodeOfCare": ("date",),
        "ExplanationOfBenefit": ("created",),
        "FamilyMemberHistory": ("date",),
        "Flag": ("date",),
        "Goal": ("start-date target-date",),
        "ImagingStudy": ("started",),
        "Immunization": ("date",),
        "ImmunizationEvaluation": ("date",),
        "ImmunizationRecommendation": ("date",),
        "Invoice": ("date",),
        "List": ("date",),
        "MeasureReport": ("period", "date"),
        "Media": ("created",),
        "MedicationAdministration": ("effective-time",),
        "MedicationDispense": ("whenhandedover whenprepared",),
        "MedicationRequest": ("date", "authoredon"),
        "MedicationStatement": ("effective",),
        "NutritionOrder": ("datetime",),
        "Observation": ("date",),
        "Procedure": ("date",),
        "Provenance": ("when", "recorded"),
        "QuestionnaireResponse": ("authored",),
        "RequestGroup": ("authored",),
        "ResearchSubject": ("date",),
        "RiskAssessment": ("date",),
        "Schedule": ("date",),
        "ServiceRequest": ("occurrence", "authored"),
        "Specimen": ("collected",),
        "SupplyRequest": ("date",),
        "Task": ("period", "authored-on"),
        "VisionPrescription": ("datewritten",),
    }
)
"""Resource type → tiers of parameter codes; the codes of one tier, separated by blanks, count equally."""


def care_within(resource_type: str, period: Interval) -> Node:
    """Return what holds for care that overlaps a period.

    Always true for a type without care dates (Coverage, RelatedPerson) and for a resource that has none: what is not
    known to lie outside stays in the record.
    """
    node: Node = EVERYTHING
    for tier in reversed(CARE_DATES.get(resource_type, ())):
        codes = tier.split()
        inside = tuple(DateCompare(code, Prefix.AP, period.lo, period.hi) for code in codes)
        undated = tuple(Missing(code, missing=True) for code in codes)
        node = Or((*inside, And((*undated, node))))
    return node
