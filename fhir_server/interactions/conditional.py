"""Conditional interactions, written once on search within the unit of work (R4 http.html#ccreate and following).

The search runs on the state that the unit will commit upon, so N clients with one condition cannot all find nothing.
"""

from urllib.parse import parse_qsl, urlencode

from fhir_server.interactions.context import Engine
from fhir_server.interactions.request import Parameters, Request
from fhir_server.interactions.search_lookups import lookups_on, read_search
from fhir_server.model.errors import Malformed, PreconditionFailed, TooCostly
from fhir_server.search.query import Node, Query, SortKey
from fhir_server.store.port import Snapshot, Version

_RESULT_PARAMETERS = ("_count", "_sort", "_include", "_revinclude", "_summary", "_elements", "_total", "_cursor")


def condition_text(query: Parameters, interaction: str) -> str:
    """Return the condition in the URL of a conditional interaction. Raises Malformed when there is none."""
    if not query:
        raise Malformed(
            f"A conditional {interaction} needs search parameters in its URL, or else the id of a resource.",
            key="condition-missing",
            code="required",
        )
    return urlencode(query)


def condition_node(engine: Engine, snapshot: Snapshot, resource_type: str, condition: str, request: Request) -> Node:
    """Compile a condition as of the state that it is asked of. Unknown parameters are always refused: ignoring one would widen what is changed."""
    text = condition.partition("?")[2] if "?" in condition else condition
    parameters = tuple(parse_qsl(text.strip(), keep_blank_values=True))
    if not parameters:
        raise Malformed(
            "The condition has no search parameter. Name at least one, such as identifier=system|value.",
            key="condition-missing",
            code="required",
        )
    for name, _ in parameters:
        if name in _RESULT_PARAMETERS:
            raise Malformed(f"{name} means nothing in a condition.", key="condition-parameter")
    lookups = lookups_on(engine, snapshot, request.base)
    asked = read_search(engine, request, resource_type, parameters, lookups, strict=True)
    if asked.ignored:
        raise Malformed(
            f"The parameter {asked.ignored[0]!r} of the condition has no value. Give it one or leave it out.",
            key="condition-missing",
            code="required",
        )
    return asked.where


def one_match(
    engine: Engine, snapshot: Snapshot, resource_type: str, condition: str, request: Request
) -> Version | None:
    """Return the one resource that matches, None for none. Raises PreconditionFailed for several."""
    where = condition_node(engine, snapshot, resource_type, condition, request)
    rows = snapshot.search(Query(resource_type, where, (SortKey("_lastUpdated"),), 2))
    if len(rows) > 1:
        raise PreconditionFailed(
            f"More than one {resource_type} matches {condition!r}. Ask for what only one can have, such as an identifier."
        )
    return rows[0].version if rows else None


def all_matches(
    engine: Engine, snapshot: Snapshot, resource_type: str, condition: str, request: Request
) -> list[Version]:
    """Return every resource that matches. Raises TooCostly when they are more than may be deleted at once."""
    where = condition_node(engine, snapshot, resource_type, condition, request)
    limit = engine.limits.deleted_at_once
    rows = snapshot.search(Query(resource_type, where, (SortKey("_lastUpdated"),), limit + 1))
    if len(rows) > limit:
        raise TooCostly(
            f"{condition!r} matches more than {limit} {resource_type} resources; nothing was deleted. Narrow it.",
            key="too-many-matches",
        )
    return [row.version for row in rows]
