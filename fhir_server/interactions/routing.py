"""From a method and a path to an interaction (R4 http.html#summary)."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Final, Literal, NamedTuple

from fhir_server.artifacts import r4
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation
from fhir_server.interactions.request import Place, Request
from fhir_server.model.errors import Malformed, MethodNotAllowed, NotFound
from fhir_server.model.reference import ID_PATTERN

Handler = Callable[[Engine, Request, Place], Operation]
Level = Literal["system", "type", "instance"]

_ID_DEPTH: Final = 2
_VERSION_DEPTH: Final = 4


class Interaction(NamedTuple):
    """One row of the table: `shape` is the path with its variable parts named, `code` is what /metadata calls it."""

    method: str
    shape: str
    code: str
    level: Level
    handler: Handler


class Routes:
    """The table of interactions, indexed by the shape of their path."""

    def __init__(self, interactions: Iterable[Interaction]) -> None:
        self.interactions = tuple(interactions)
        self._by_shape: dict[str, dict[str, Interaction]] = {}
        for row in self.interactions:
            self._by_shape.setdefault(row.shape, {})[row.method] = row

    def resolve(self, method: str, path: str) -> tuple[Interaction, Place]:
        """Find the interaction for a method and a path relative to the base.

        Raises NotFound for a place that does not exist, MethodNotAllowed with what is allowed there.
        """
        shape, place = _shape(path.split("/") if path else [])
        rows = self._by_shape.get(shape)
        if rows is None:
            raise NotFound(f"There is nothing at {path[:200]!r}. See metadata for what is offered.", key="unknown-path")
        row = rows.get("GET" if method == "HEAD" else method)
        if row is None:
            allowed = tuple(sorted(rows))
            raise MethodNotAllowed(f"{method} is not offered here; {', '.join(allowed)} is.", allowed)
        return row, place


def _shape(segments: list[str]) -> tuple[str, Place]:
    if not segments or segments[0] in ("metadata", "_history"):
        return "/".join(segments), Place()
    resource_type = segments[0]
    if resource_type.startswith("$") or (len(segments) > 1 and segments[-1].startswith("$")):
        raise NotFound(f"The operation {segments[-1][:100]!r} is not offered.", key="unknown-operation")
    if resource_type not in r4.resource_types():
        near = get_close_matches(resource_type[:100], r4.resource_types(), 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise NotFound(f"{resource_type[:100]!r} is not an R4 resource type.{hint}", key="unknown-type")
    if len(segments) == 1:
        return "type", Place(resource_type)
    if segments[1].startswith("_"):
        return "/".join(("type", *segments[1:])), Place(resource_type)
    if ID_PATTERN.fullmatch(segments[1]) is None:
        raise Malformed(
            f"{segments[1][:80]!r} is not a logical id: 1 to 64 letters, digits, '-' and '.'.",
            key="bad-id",
            code="value",
        )
    place = Place(resource_type, segments[1], segments[3] if len(segments) == _VERSION_DEPTH else "")
    rest = ["version" if index == _VERSION_DEPTH - 1 else part for index, part in enumerate(segments)][_ID_DEPTH:]
    return "/".join(("type", "id", *rest)), place
