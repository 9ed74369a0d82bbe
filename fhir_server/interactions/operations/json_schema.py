"""$json-schema: a profile of ours as JSON Schema, for a vendor's own build."""

from fhir_server.artifacts.source import BASE
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Many, Operation
from fhir_server.interactions.request import Kind, Place, Request, Result
from fhir_server.interactions.write import no_query
from fhir_server.model.codec import encode
from fhir_server.model.errors import NotFound
from fhir_server.validation.json_schema import profile_schema

MEDIA_TYPE = "application/schema+json"


def json_schema(engine: Engine, request: Request, place: Place) -> Operation:
    """Return the JSON Schema (draft 2020-12) of one of the profiles that the server was built with."""
    no_query(request, "$json-schema")
    definition = engine.catalog.get("StructureDefinition", f"{BASE}/StructureDefinition/{place.id}")
    if definition is None or definition.get("derivation") != "constraint":
        raise NotFound(f"{place.id} is no profile of this server; GET StructureDefinition lists them.")

    def work() -> Result:
        return Result(Kind.OK, encode(profile_schema(definition, engine.catalog)), media_type=MEDIA_TYPE)

    return Many(work)
