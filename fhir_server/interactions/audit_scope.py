"""What belongs in the audit trail: which reads, and which refusals."""

from typing import Final

from fhir_server.interactions.request import Request
from fhir_server.model import errors

DIRECTORY: Final = frozenset(
    {
        "ActivityDefinition",
        "CapabilityStatement",
        "CodeSystem",
        "CompartmentDefinition",
        "ConceptMap",
        "Endpoint",
        "HealthcareService",
        "ImplementationGuide",
        "Location",
        "MessageDefinition",
        "NamingSystem",
        "OperationDefinition",
        "Organization",
        "OrganizationAffiliation",
        "PlanDefinition",
        "Questionnaire",
        "SearchParameter",
        "StructureDefinition",
        "StructureMap",
        "TerminologyCapabilities",
        "ValueSet",
    }
)
"""What says nothing of a person: read by all, audited only when the setting asks for it."""
_REACHING: Final = ("_has", "_revinclude")
"""Parameters by which a search of the directory learns of something else."""

_TOLD: Final = (
    errors.Unauthenticated,
    errors.Forbidden,
    errors.NotFound,
    errors.Gone,
    errors.Conflict,
    errors.VersionConflict,
    errors.PreconditionFailed,
    errors.RuleViolated,
)
_NO_PLACE: Final = frozenset({"unknown-path", "unknown-type", "unknown-operation"})


def is_directory(request: Request) -> bool:
    """Tell whether a request reads the directory or definitions only, and reaches no other resources by it."""
    if request.path.partition("/")[0] not in DIRECTORY or request.method == "POST":
        return False
    return not any(name.startswith(_REACHING) for name, _ in request.query)


def is_told(error: errors.FhirError) -> bool:
    """Tell whether a refusal is one of access or state; what was not understood reached nothing."""
    return isinstance(error, _TOLD) and error.issues[0].key not in _NO_PLACE
