"""The walk over a resource: paths of many parameters merged into one tree of closures, keyed by JSON member.

Each member is visited once however many parameters read it; what lies beside the paths costs one failed look-up.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from fhir_server.search.beside import MEDIA_TYPES
from fhir_server.search.convert import BELOW, FAMILY, PARTS, PHONETIC, converter
from fhir_server.search.emit import Emit, Entries, each
from fhir_server.search.expressions import At, Equals, Path, RefersToType, Step
from fhir_server.search.links import canonical, inline, reference


class Leaf(NamedTuple):
    """What one parameter wants of the values at the end of a path."""

    parameter_type: str
    datatype: str
    param: str
    types: frozenset[str]
    """For references: keep only these."""


def leaves(
    kind: str, paths: tuple[Path, ...], param: str, targets: frozenset[str]
) -> list[tuple[tuple[Step, ...], Leaf]]:
    """Return what the paths of a parameter want, those of its parts where a complex type is read part by part."""
    found = []
    for path in paths:
        kept = frozenset(test.type for step in path.steps for test in step.tests if isinstance(test, RefersToType))
        if path.type == "Resource":
            kept = targets
        parts = PARTS.get(path.type, ()) if kind == "string" else ()
        if parts:
            read = [part for part in parts if param != PHONETIC or part not in ("prefix", "suffix")]
            found += [((*path.steps, Step(part)), Leaf(kind, _datatype(part), param, kept)) for part in read]
        else:
            datatype = _datatype(path.steps[-1].key) if kind == path.type == "string" and path.steps else path.type
            found.append((path.steps, Leaf(kind, datatype, param, kept)))
            if kind == "token" and path.system == MEDIA_TYPES:
                found.append((path.steps, Leaf(BELOW, path.type, param, kept)))
    return found


def _datatype(member: str) -> str:
    """Tell a family name from other strings; R4 has no other member of that name."""
    return FAMILY if member == "family" else "string"


class Branches(NamedTuple):
    """One level of the merged tree: what each member's values go to."""

    each: dict[str, Emit]
    """Called with one value, or with every item of an array."""
    whole: dict[str, Emit]
    """Called with the array itself, because a position in it matters."""


def branches(wanted: list[tuple[tuple[Step, ...], Leaf]], own_base: str) -> Branches:
    """Merge paths and what is wanted at their ends into one tree."""
    by_key: dict[str, list[tuple[Step, tuple[Step, ...], Leaf]]] = {}
    for steps, leaf in wanted:
        if steps:
            by_key.setdefault(steps[0].key, []).append((steps[0], steps[1:], leaf))
    built = Branches({}, {})
    for key, group in by_key.items():
        plain, positional = _member(group, own_base)
        if plain:
            built.each[key] = _all(plain)
        if positional:
            built.whole[key] = _all(positional)
    return built


def _member(group: list[tuple[Step, tuple[Step, ...], Leaf]], own_base: str) -> tuple[list[Emit], list[Emit]]:
    by_tests: dict[tuple[Equals | At, ...], list[tuple[tuple[Step, ...], Leaf]]] = {}
    for step, rest, leaf in group:
        tests = tuple(test for test in step.tests if not isinstance(test, RefersToType))
        by_tests.setdefault(tests, []).append((rest, leaf))
    plain: list[Emit] = []
    positional: list[Emit] = []
    for tests, wanted in by_tests.items():
        inner = [*_ends([leaf for rest, leaf in wanted if not rest], own_base)]
        below = branches([(rest, leaf) for rest, leaf in wanted if rest], own_base)
        if below.each or below.whole:
            inner.append(descend(tuple(below.each.items()), tuple(below.whole.items())))
        kept = positional if any(isinstance(test, At) for test in tests) else plain
        kept += [_filtered(tests, emit) for emit in inner]
    return plain, positional


def _ends(leaves: list[Leaf], own_base: str) -> Iterator[Emit]:
    """Yield one converter for all parameters that read the values at the end of a path alike."""
    references = tuple(
        (leaf.param, leaf.types) for leaf in leaves if (leaf.parameter_type, leaf.datatype) == _REFERENCE
    )
    if references:
        yield reference(references, own_base)
    alike: dict[tuple[str, str], list[str]] = {}
    for leaf in leaves:
        if leaf.parameter_type != "reference":
            alike.setdefault((leaf.parameter_type, leaf.datatype), []).append(leaf.param)
        elif leaf.datatype in ("canonical", "uri"):
            yield canonical(leaf.param, own_base)
        elif leaf.datatype == "Resource":
            yield inline(leaf.param, leaf.types)
    for (kind, datatype), params in alike.items():
        if emit := converter(kind, datatype, tuple(params)):
            yield emit


_REFERENCE = ("reference", "Reference")


def _all(emits: list[Emit]) -> Emit:
    if len(emits) == 1:
        return emits[0]
    several = tuple(emits)

    def emit_all(value: Any, out: Entries) -> None:
        for emit in several:
            emit(value, out)

    return emit_all


def descend(below: tuple[tuple[str, Emit], ...], whole: tuple[tuple[str, Emit], ...]) -> Emit:
    """Return what takes an element on to its members; anything but an object has none."""

    def emit_below(value: Any, out: Entries) -> None:
        if type(value) is dict:
            for key, emit in below:
                if key in value:
                    each(value[key], emit, out)
            for key, emit in whole:
                if key in value:
                    emit(value[key], out)

    return emit_below


def _filtered(tests: tuple[Equals | At, ...], emit: Emit) -> Emit:
    if not tests:
        return emit
    if len(tests) == 1 and isinstance(tests[0], Equals):
        return _equal(*tests[0], emit)

    def emit_filtered(value: Any, out: Entries) -> None:
        for item in kept(value, tests):
            emit(item, out)

    return emit_filtered


def _equal(name: str, text: str, emit: Emit) -> Emit:
    def emit_equal(value: Any, out: Entries) -> None:
        if type(value) is dict and value.get(name) == text:
            emit(value, out)

    return emit_equal


def kept(value: Any, tests: tuple[Any, ...]) -> list[Any]:
    """Return the values that pass the tests of a step."""
    items = value if type(value) is list else [value]
    for test in tests:
        if isinstance(test, At):
            items = items[test.position : test.position + 1]
        elif isinstance(test, Equals):
            items = [item for item in items if type(item) is dict and item.get(test.name) == test.text]
    return items
