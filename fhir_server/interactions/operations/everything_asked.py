"""The parameters of $everything: `start`, `end`, `_since`, `_type`, `_count`, as its OperationDefinition declares them."""

from dataclasses import dataclass
from difflib import get_close_matches

from fhir_server.artifacts import r4
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operations.parameters import Inputs, read_inputs
from fhir_server.interactions.request import Parameters, Request
from fhir_server.model.errors import Malformed
from fhir_server.model.temporal import BEGINNING, END, Interval, parse_temporal


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked; `used` is all of it but the cursor, for the links and the cursor's mark."""

    size: int
    types: frozenset[str] = frozenset()
    since: Interval | None = None
    """The instant of `_since`, as wide as it was written."""
    period: Interval | None = None
    """From the start of `start` to the end of `end`, open where one is absent."""
    cursor: str = ""
    used: Parameters = ()

    def wants(self, resource_type: str) -> bool:
        """Tell whether resources of a type are to be returned."""
        return not self.types or resource_type in self.types

    @property
    def narrows(self) -> bool:
        """Whether members are left out of the answer that are still looked at for what they refer to."""
        return bool(self.types) or self.since is not None


def read_asked(engine: Engine, request: Request, definition: str) -> Asked:
    """Read the parameters, by URL or in a Parameters resource. Raises Malformed, naming the parameter."""
    cursors = [value for name, value in request.query if name == "_cursor"]
    plain = tuple(pair for pair in request.query if pair[0] != "_cursor")
    inputs = read_inputs(engine, request._replace(query=plain), definition)
    lists = inputs.texts("_type")
    texts = [(name, inputs.text(name)) for name in inputs.given("start", "end", "_since")]
    count = inputs.number("_count")
    if count == 0:
        raise Malformed("_count is 0; a page of $everything holds at least one resource.", key="search-bad-count")
    most = engine.limits.max_count
    used = (*texts, *(("_type", names) for names in lists), *([] if count is None else [("_count", str(count))]))
    return Asked(
        most if count is None else min(count, most),
        frozenset(name for names in lists for name in _types(inputs, names)),
        _moment(inputs, "_since") if inputs.given("_since") else None,
        _period(inputs),
        cursors[0] if cursors else "",
        used,
    )


def _types(inputs: Inputs, text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in r4.resource_types():
            near = get_close_matches(name[:60], r4.resource_types(), 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise Malformed(
                f"_type names {name[:60]!r}, which is not an R4 resource type.{hint}",
                key="unknown-type",
                code="value",
                expression=inputs.where("_type"),
            )
    return names


def _moment(inputs: Inputs, name: str) -> Interval:
    text = inputs.text(name)
    try:
        return parse_temporal(text)
    except ValueError as error:
        raise Malformed(
            f"{name}={text[:60]!r} is not a date or instant, such as 2026-11-22 or 2026-11-22T10:00:00Z. (A '+' in a URL "
            "must be sent as %2B.)",
            key="search-bad-date",
            code="value",
            expression=inputs.where(name),
        ) from error


def _period(inputs: Inputs) -> Interval | None:
    given = inputs.given("start", "end")
    if not given:
        return None
    lo = _moment(inputs, "start").lo if "start" in given else BEGINNING
    hi = _moment(inputs, "end").hi if "end" in given else END
    if hi <= lo:
        raise Malformed(
            f"end={inputs.text('end')[:60]!r} is before start={inputs.text('start')[:60]!r}.",
            key="search-bad-date",
            code="value",
            expression=inputs.where("end"),
        )
    return Interval(lo, hi)
