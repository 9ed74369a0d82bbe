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
Level = Literal["system", "type", "instance", "compartment"]

_ID_DEPTH: Final = 2
_VERSION_DEPTH: Final = 4


class Interaction(NamedTuple):
    """One row of the table: `shape` is the path with its variable parts named, `code` is what /metadata calls it."""

    method: str
    shape: str
    code: str
    level: Level
    handler: Handler
    definition: str = ""
    """Canonical URL of the OperationDefinition, for an operation; `code` is then its name without `$`."""
    types: tuple[str, ...] = ()
    """The resource types that it is offered on, () for all. A type that has a row of its own which is no operation has
    only such rows, and its operations."""
    parameters: tuple[str, ...] = ()
    """The search parameters of a type with rows of its own."""

    def on(self, resource_type: str) -> bool:
        """Tell whether it is offered on a resource type."""
        return not self.types or resource_type in self.types


class Routes:
    """The table of interactions, indexed by the shape of their path."""

    def __init__(self, interactions: Iterable[Interaction]) -> None:
        self.interactions = tuple(interactions)
        self._by_shape: dict[str, dict[str, Interaction]] = {}
        for row in self.interactions:
            for shape in (f"{row.shape} {name}" for name in row.types) if row.types else (row.shape,):
                self._by_shape.setdefault(shape, {})[row.method] = row

        self.own = frozenset(name for row in self.interactions if not row.definition for name in row.types)
        """The types that have rows of their own."""
        self._types = r4.resource_types()
        self._instance = self._by_shape.get("type/id", {})

    def resolve(self, method: str, path: str) -> tuple[Interaction, Place]:
        """Find the interaction for a method and a path relative to the base.

        Raises NotFound for a place that does not exist, MethodNotAllowed with what is allowed there.
        """
        segments = path.split("/") if path else []
        if len(segments) == _ID_DEPTH and segments[0] in self._types and ID_PATTERN.fullmatch(segments[1]):
            known = self._instance.get(method)  # the shape that most requests have
            if known is not None and segments[0] not in self.own:
                return known, Place(segments[0], segments[1])
        shape, place = _shape(segments)
        general = (
            None if place.type in self.own and "$" not in shape and not place.member else self._by_shape.get(shape)
        )
        rows = general or self._by_shape.get(f"{shape} {place.type}")
        if "$" in shape and rows is None:
            name = shape.rpartition("/")[2]
            raise NotFound(f"The operation {name[:100]!r} is not offered here.", key="unknown-operation")
        if rows is None:
            raise NotFound(f"There is nothing at {path[:200]!r}. See metadata for what is offered.", key="unknown-path")
        row = rows.get("GET" if method == "HEAD" else method)
        if row is None:
            allowed = tuple(sorted(rows))
            raise MethodNotAllowed(f"{method} is not offered here; {', '.join(allowed)} is.", allowed)
        return row, place


def _shape(segments: list[str]) -> tuple[str, Place]:
    if not segments or segments[0] in ("metadata", "_history", "_search") or segments[0].startswith("$"):
        return "/".join(segments), Place()
    resource_type = segments[0]
    if resource_type not in r4.resource_types():
        near = get_close_matches(resource_type[:100], r4.resource_types(), 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise NotFound(f"{resource_type[:100]!r} is not an R4 resource type.{hint}", key="unknown-type")
    if len(segments) == 1:
        return "type", Place(resource_type)
    if segments[1].startswith(("_", "$")):
        return "/".join(("type", *segments[1:])), Place(resource_type)
    if ID_PATTERN.fullmatch(segments[1]) is None:
        raise Malformed(
            f"{segments[1][:80]!r} is not a logical id: 1 to 64 letters, digits, '-' and '.'.",
            key="bad-id",
            code="value",
        )
    if segments[_ID_DEPTH:] and segments[_ID_DEPTH][:1] not in ("_", "$"):
        return _member_shape(segments)
    place = Place(resource_type, segments[1], segments[3] if len(segments) == _VERSION_DEPTH else "")
    rest = ["version" if index == _VERSION_DEPTH - 1 else part for index, part in enumerate(segments)][_ID_DEPTH:]
    return "/".join(("type", "id", *rest)), place


def _member_shape(segments: list[str]) -> tuple[str, Place]:
    """Read a place in a compartment: `Patient/7/Observation`, or `Patient/7/*` for all types of the compartment."""
    member = segments[_ID_DEPTH]
    if member != "*" and member not in r4.resource_types():
        near = get_close_matches(member[:100], r4.resource_types(), 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise NotFound(
            f"{member[:100]!r} is not an R4 resource type: nothing is below {'/'.join(segments[:_ID_DEPTH])} by that name.{hint}",
            key="unknown-type",
        )
    shape = ("type", "id", "*" if member == "*" else "type", *segments[_ID_DEPTH + 1 :])
    return "/".join(shape), Place(segments[0], segments[1], member="" if member == "*" else member)
