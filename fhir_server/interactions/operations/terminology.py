"""The rows of the interaction table for the terminology operations, each by GET and by POST."""

from collections.abc import Iterator
from typing import Final

from fhir_server.interactions.operations.expand import EXPAND, expand
from fhir_server.interactions.operations.lookup import LOOKUP, lookup
from fhir_server.interactions.operations.subsumes import SUBSUMES, subsumes
from fhir_server.interactions.operations.translate import TRANSLATE, translate
from fhir_server.interactions.operations.validate_code import (
    VALIDATE_IN_CODE_SYSTEM,
    VALIDATE_IN_VALUE_SET,
    validate_in_code_system,
    validate_in_value_set,
)
from fhir_server.interactions.routing import Handler, Interaction


def _rows(code: str, resource_type: str, handler: Handler, definition: str, *, instance: bool) -> Iterator[Interaction]:
    for method in ("GET", "POST"):
        yield Interaction(method, f"type/${code}", code, "type", handler, definition, (resource_type,))
        if instance:
            yield Interaction(method, f"type/id/${code}", code, "instance", handler, definition, (resource_type,))


TERMINOLOGY: Final[tuple[Interaction, ...]] = (
    *_rows("lookup", "CodeSystem", lookup, LOOKUP, instance=False),
    *_rows("validate-code", "CodeSystem", validate_in_code_system, VALIDATE_IN_CODE_SYSTEM, instance=True),
    *_rows("subsumes", "CodeSystem", subsumes, SUBSUMES, instance=True),
    *_rows("validate-code", "ValueSet", validate_in_value_set, VALIDATE_IN_VALUE_SET, instance=True),
    *_rows("expand", "ValueSet", expand, EXPAND, instance=True),
    *_rows("translate", "ConceptMap", translate, TRANSLATE, instance=True),
)
