"""ValueSet/$expand: the codes of a value set (R4 valueset-operation-expand.html)."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.operations.parameters import Inputs, out, read_inputs
from fhir_server.interactions.operations.validate_code import named_value_set, value_set_of
from fhir_server.interactions.request import Kind, Place, Request, Result
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import encode
from fhir_server.model.resource import Resource
from fhir_server.store.port import Snapshot
from fhir_server.terminology.answers import Expanded, Expansion, Selection
from fhir_server.terminology.value_sets import ValueSetIndex

EXPAND: Final = "https://w3id.org/social-referral/OperationDefinition/value-set-expand"
_KEPT: Final = ("url", "version", "name", "title", "status", "experimental")
_ECHOED: Final = {
    "filter": "String",
    "offset": "Integer",
    "count": "Integer",
    "activeOnly": "Boolean",
    "excludeNotForUI": "Boolean",
    "displayLanguage": "Code",
    "includeDesignations": "Boolean",
}
"""Inputs that change what is listed; the expansion says that they were heeded."""
_DEEPEST: Final = 20
"""Levels of an expansion."""


def expand(engine: Engine, request: Request, place: Place) -> Operation:
    """Return the value set with its expansion: nested as its code systems are, or a flat page of it.

    A page (`count`, `offset`) or a filtered list is flat. Raises TooCostly for more codes than a page may have, unless a
    page is asked for; a page holds at most that many.
    """
    inputs = read_inputs(engine, request, EXPAND)
    named_value_set(inputs, place)
    count, offset = inputs.number("count"), inputs.number("offset")
    most = engine.limits.max_count
    selection = Selection(
        inputs.text("filter"),
        inputs.flag("activeOnly"),
        inputs.flag("excludeNotForUI"),
        frozenset(system.partition("|")[0] for system in inputs.texts("exclude-system")),
    )
    nested = not inputs.given("filter", "offset", "count") and not inputs.flag("excludeNested")

    def work(snapshot: Snapshot) -> Result:
        service = engine.terminology.on(snapshot)
        asked = value_set_of(service, inputs, place)
        found = service.expand(
            asked,
            selection,
            offset or 0,
            None if count is None else min(count, most),
            inputs.text("displayLanguage"),
            at_most=most,
        )
        expansion: Resource = {"timestamp": render_instant(engine.clock.now_ms()), "total": found.total}
        if offset is not None or count is not None:
            expansion["offset"] = found.offset
        if parameters := list(_echo(inputs, nested=nested)):
            expansion["parameter"] = parameters
        if contains := _contains(inputs, found, nested=nested):
            expansion["contains"] = contains
        return Result(Kind.OK, encode(_value_set(inputs, asked, expansion)))

    return Reading(work, heavy=True)


def _value_set(inputs: Inputs, asked: ValueSetIndex, expansion: Resource) -> Resource:
    made: Resource = {"resourceType": "ValueSet"}
    made.update((name, asked.resource[name]) for name in _KEPT if name in asked.resource)
    made.setdefault("status", "active")
    if inputs.flag("includeDefinition") and "compose" in asked.resource:
        made["compose"] = asked.resource["compose"]
    made["expansion"] = expansion
    return made


def _echo(inputs: Inputs, *, nested: bool) -> Iterator[Resource]:
    for name, kind in _ECHOED.items():
        if inputs.given(name):
            yield out(name, kind, inputs.value(name))
    if not nested:
        yield out("excludeNested", "Boolean", True)


def _contains(inputs: Inputs, found: Expansion, *, nested: bool) -> list[Resource]:
    languages = [text.rpartition("|")[2] for text in inputs.texts("designation")]
    told = inputs.flag("includeDesignations") or bool(languages)
    rendered = [_rendered(one, languages, told=told) for one in found.contains]
    return _nest(found.contains, rendered) if nested else rendered


def _rendered(one: Expanded, languages: Sequence[str], *, told: bool) -> Resource:
    made: dict[str, Any] = {"system": one.system}
    if one.abstract:
        made["abstract"] = True
    if one.inactive:
        made["inactive"] = True
    made["code"] = one.code
    made["display"] = one.display
    designations = [
        {name: value for name, value in each._asdict().items() if value}
        for each in (one.concept.designations if told else ())
        if not languages or each.language in languages
    ]
    if designations:
        made["designation"] = designations
    return made


def _nest(contains: Sequence[Expanded], rendered: Sequence[Resource]) -> list[Resource]:
    """Put each code below its first parent that is listed before it; the others, and what is too deep, stand at the top."""
    placed: dict[tuple[str, str], tuple[Resource, int]] = {}
    top: list[Resource] = []
    for one, made in zip(contains, rendered, strict=True):
        parents = [found for parent in one.concept.parents if (found := placed.get((one.system, parent)))]
        above, depth = parents[0] if parents else (made, _DEEPEST)
        (above.setdefault("contains", []) if depth < _DEEPEST else top).append(made)
        placed[one.system, one.code] = made, depth + 1 if depth < _DEEPEST else 0
    return top
