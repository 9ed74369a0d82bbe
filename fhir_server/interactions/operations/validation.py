"""The rows of the interaction table for what concerns validation."""

from typing import Final

from fhir_server.artifacts.source import BASE
from fhir_server.interactions.operations.json_schema import json_schema
from fhir_server.interactions.operations.validate import validate
from fhir_server.interactions.routing import Interaction

_VALIDATE: Final = f"{BASE}/OperationDefinition/validate"
_JSON_SCHEMA: Final = f"{BASE}/OperationDefinition/json-schema"

VALIDATION: Final[tuple[Interaction, ...]] = (
    Interaction("POST", "$validate", "validate", "system", validate, _VALIDATE),
    Interaction("POST", "type/$validate", "validate", "type", validate, _VALIDATE),
    Interaction("POST", "type/id/$validate", "validate", "instance", validate, _VALIDATE),
    Interaction("GET", "type/id/$validate", "validate", "instance", validate, _VALIDATE),
    Interaction(
        "GET", "type/id/$json-schema", "json-schema", "instance", json_schema, _JSON_SCHEMA, ("StructureDefinition",)
    ),
)
