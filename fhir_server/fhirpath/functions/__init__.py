"""The functions, one module per section of FHIRPath N1."""

from typing import Final

from fhir_server.fhirpath.functions.conversion import CONVERSION
from fhir_server.fhirpath.functions.existence import EXISTENCE
from fhir_server.fhirpath.functions.filtering import FILTERING
from fhir_server.fhirpath.functions.function import Function
from fhir_server.fhirpath.functions.navigation import NAVIGATION
from fhir_server.fhirpath.functions.strings import STRINGS
from fhir_server.fhirpath.functions.subsetting import SUBSETTING

FUNCTIONS: Final[dict[str, Function]] = {
    **EXISTENCE,
    **FILTERING,
    **SUBSETTING,
    **CONVERSION,
    **STRINGS,
    **NAVIGATION,
}
"""Every function that an expression may call without help of its host."""
