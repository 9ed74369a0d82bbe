"""The one error of this package."""

from fhir_server.model.errors import FhirError


class FhirPathError(FhirError):
    """The expression cannot be compiled, or cannot be evaluated on the given input; the diagnostics quotes it."""

    code = "invalid"
    key = "fhirpath"
