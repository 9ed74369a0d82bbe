"""Names of R4 that give plain JSON its types: data types, resource types and choice elements.

Facts of the R4 StructureDefinitions; an index of them by (type, element) belongs to a TypeModel, see `types`.
"""

from typing import Final


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


PRIMITIVES: Final = _names(
    "base64Binary boolean canonical code date dateTime decimal id instant integer markdown oid positiveInt string time "
    "unsignedInt uri url uuid xhtml"
)

MEMBERS: Final = {
    "Address": "use type text line city district state postalCode country period",
    "Annotation": "authorReference authorString time text",
    "Attachment": "contentType language data url size hash title creation",
    "CodeableConcept": "coding text",
    "Coding": "system version code display userSelected",
    "ContactDetail": "name telecom",
    "ContactPoint": "system value use rank period",
    "Contributor": "type name contact",
    "DataRequirement": "type profile subjectCodeableConcept subjectReference mustSupport codeFilter dateFilter limit sort",
    "Dosage": "sequence text additionalInstruction patientInstruction timing asNeededBoolean asNeededCodeableConcept "
    "site route method doseAndRate maxDosePerPeriod maxDosePerAdministration maxDosePerLifetime modifierExtension",
    "Expression": "description name language expression reference",
    "HumanName": "use text family given prefix suffix period",
    "Identifier": "use type system value period assigner",
    "Meta": "versionId lastUpdated source profile security tag",
    "Money": "value currency",
    "Narrative": "status div",
    "ParameterDefinition": "name use min max documentation type profile",
    "Period": "start end",
    "Quantity": "value comparator unit system code",
    "Range": "low high",
    "Ratio": "numerator denominator",
    "Reference": "reference type identifier display",
    "RelatedArtifact": "type label display citation url document resource",
    "SampledData": "origin period factor lowerLimit upperLimit dimensions data",
    "Signature": "type when who onBehalfOf targetFormat sigFormat data",
    "Timing": "event repeat code modifierExtension",
    "TriggerDefinition": "type name timingTiming timingReference timingDate timingDateTime data condition",
    "UsageContext": "code valueCodeableConcept valueQuantity valueRange valueReference",
}
"""Data type → its members in JSON, besides `id` and `extension`."""

QUANTITIES: Final = ("Age", "Count", "Distance", "Duration", "MoneyQuantity", "SimpleQuantity")

PARENTS: Final = {
    "code": "string", "id": "string", "markdown": "string", "canonical": "uri", "oid": "uri", "url": "uri",
    "uuid": "uri", "positiveInt": "integer", "unsignedInt": "integer", **dict.fromkeys(QUANTITIES, "Quantity"),
    "Dosage": "BackboneElement", "Timing": "BackboneElement", "ElementDefinition": "BackboneElement",
}  # fmt: skip
"""Data type → the one that it specialises, where that is not Element."""

STRUCTURES: Final = _names(
    "Element BackboneElement Extension ElementDefinition MarketingStatus Population ProdCharacteristic "
    "ProductShelfLife SubstanceAmount"
)

CHOICE_NAMES: Final = _names(
    "abatement additive age allowed amount answer asNeeded author born bounds characteristic chargeItem code collected "
    "content created date deceased defaultValue definingSubstance definition detail diagnosis dose doseNumber due "
    "duration effective entity event example fastingStatus fixed identified indication instances item legallyBinding "
    "location manufacturer maxValue medication minValue minimumVolume module multipleBirth name occurred occurrence "
    "offset onset participantEffective pattern performed probability procedure product quantity rate reported scheduled "
    "seriesDoses serviced source start statusReason studyEffective subject substance target time timing topic used "
    "value when"
)
"""Elements that R4 writes `name[x]` somewhere."""

CHOICE_TYPES: Final = {
    name[0].upper() + name[1:]: name
    for name in (
        *sorted(PRIMITIVES - {"xhtml"}),
        *(name for name in MEMBERS if name != "Narrative"),
        *QUANTITIES[:4],
    )
}
"""Suffix of a choice element in JSON → its type."""

INFRASTRUCTURE: Final = frozenset({"Bundle", "Binary", "Parameters"})
"""Resource types that are no DomainResource."""

RESOURCES: Final = _names("""Account ActivityDefinition AdverseEvent AllergyIntolerance Appointment AppointmentResponse AuditEvent Basic Binary
    BiologicallyDerivedProduct BodyStructure Bundle CapabilityStatement CarePlan CareTeam CatalogEntry ChargeItem
    ChargeItemDefinition Claim ClaimResponse ClinicalImpression CodeSystem Communication CommunicationRequest
    CompartmentDefinition Composition ConceptMap Condition Consent Contract Coverage CoverageEligibilityRequest
    CoverageEligibilityResponse DetectedIssue Device DeviceDefinition DeviceMetric DeviceRequest DeviceUseStatement
    DiagnosticReport DocumentManifest DocumentReference EffectEvidenceSynthesis Encounter Endpoint EnrollmentRequest
    EnrollmentResponse EpisodeOfCare EventDefinition Evidence EvidenceVariable ExampleScenario ExplanationOfBenefit
    FamilyMemberHistory Flag Goal GraphDefinition Group GuidanceResponse HealthcareService ImagingStudy Immunization
    ImmunizationEvaluation ImmunizationRecommendation ImplementationGuide InsurancePlan Invoice Library Linkage List
    Location Measure MeasureReport Media Medication MedicationAdministration MedicationDispense MedicationKnowledge
    MedicationRequest MedicationStatement MedicinalProduct MedicinalProductAuthorization
    MedicinalProductContraindication MedicinalProductIndication MedicinalProductIngredient MedicinalProductInteraction
    MedicinalProductManufactured MedicinalProductPackaged MedicinalProductPharmaceutical
    MedicinalProductUndesirableEffect MessageDefinition MessageHeader MolecularSequence NamingSystem NutritionOrder
    Observation ObservationDefinition OperationDefinition OperationOutcome Organization OrganizationAffiliation
    Parameters Patient PaymentNotice PaymentReconciliation Person PlanDefinition Practitioner PractitionerRole Procedure
    Provenance Questionnaire QuestionnaireResponse RelatedPerson RequestGroup ResearchDefinition
    ResearchElementDefinition ResearchStudy ResearchSubject RiskAssessment RiskEvidenceSynthesis Schedule
    SearchParameter ServiceRequest Slot Specimen SpecimenDefinition StructureDefinition StructureMap Subscription
    Substance SubstanceNucleicAcid SubstancePolymer SubstanceProtein SubstanceReferenceInformation
    SubstanceSourceMaterial SubstanceSpecification SupplyDelivery SupplyRequest Task TerminologyCapabilities TestReport
    TestScript ValueSet VerificationResult VisionPrescription""")
"""The 146 concrete resource types of R4 4.0.1."""

SYSTEM_TYPES: Final = _names("Boolean String Integer Decimal Date DateTime Time Quantity")
