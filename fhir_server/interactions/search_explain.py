"""`_explain=true`: how a search runs instead of what it finds, as a Parameters resource; a setting offers it."""

from fhir_server.interactions.context import Engine
from fhir_server.interactions.request import Kind, Parameters, Result
from fhir_server.model.codec import encode
from fhir_server.model.errors import Malformed, NotSupported
from fhir_server.model.resource import Resource
from fhir_server.search.query import Query
from fhir_server.store.port import Explanation, Snapshot

NAME = "_explain"


def wants_explanation(engine: Engine, parameters: Parameters) -> tuple[bool, Parameters]:
    """Tell whether a search is to be explained, and return its other parameters. Raises NotSupported where it is off."""
    if all(name != NAME for name, _ in parameters):
        return False, parameters
    for name, value in parameters:
        if name == NAME and value not in ("true", "false"):
            raise Malformed(
                f"Search parameter {NAME!r} has the value {value[:60]!r}. Expected: true or false.",
                key="search-bad-boolean",
                code="value",
            )
    if not engine.limits.explain:
        raise NotSupported(
            f"Search parameter {NAME!r} is not offered here. Whoever runs this server can turn it on (setting `explain`).",
            key="search-explain-off",
        )
    rest = tuple(pair for pair in parameters if pair[0] != NAME)
    return (NAME, "true") in parameters, rest


def explained(snapshot: Snapshot, query: Query) -> Result:
    """Run a search and answer how it ran."""
    return Result(Kind.OK, encode(_rendered(query, snapshot.explain(query))))


def _rendered(query: Query, found: Explanation) -> Resource:
    texts = [
        ("tree", repr(query.where)),
        ("sort", repr(query.sort)),
        ("statement", found.statement),
        *(("plan", line) for line in found.plan),
        *(("index", name) for name in found.indexes),
        *(("scanned", table) for table in found.scanned),
    ]
    return {
        "resourceType": "Parameters",
        "parameter": [
            *({"name": name, "valueString": text} for name, text in texts),
            {"name": "candidates", "valueInteger": found.candidates},
            {"name": "rows", "valueInteger": found.rows},
            {"name": "milliseconds", "valueDecimal": round(found.milliseconds, 3)},
        ],
    }
