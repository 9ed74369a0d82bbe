"""FHIRPath (N1, as R4 uses it), compiled to closures.

Supported: the whole grammar; the functions in `functions` (existence, filtering, subsetting, conversion, strings, tree
navigation, and extension, hasValue, getValue and resolve of FHIR). A function or type that does not exist, or a wrong
number of arguments, is a FhirPathError when the expression is compiled, never an empty result.

Bounds: length, depth and chains of an expression, items touched per evaluation, and the work of a pattern (`regex`).

Where this differs from the text of N1, on purpose: `as` filters a collection (R4's own expressions need it); an
unqualified System type also takes the FHIR primitive (`answer is Boolean`); units are never converted; an element
whose type is unknown is judged by the shape of its value (see `types`).
"""

from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.expression import Expression, compile_expression, owner_and_name
from fhir_server.fhirpath.functions.function import HostFunction
from fhir_server.fhirpath.node import Node, resource_node
from fhir_server.fhirpath.types import NamedTypes, TypeModel

__all__ = [
    "Expression",
    "FhirPathError",
    "HostFunction",
    "NamedTypes",
    "Node",
    "TypeModel",
    "compile_expression",
    "owner_and_name",
    "resource_node",
]
