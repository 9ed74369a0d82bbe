"""Resource → index entries: all parameters of a type compiled into one walk over the resource.

The paths of a type's parameters are merged into a tree of closures keyed by JSON member, so that each member is visited
once however many parameters read it (R4 search.html#1.4.0.5, the `expression` of a SearchParameter).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from fhir_server.model.resource import Resource
from fhir_server.search.convert import PARTS, PHONETIC, converter
from fhir_server.search.emit import Emit, Entries, each
from fhir_server.search.expressions import FLAG, At, Equals, Path, RefersToType, Step
from fhir_server.search.links import canonical, inline, reference
from fhir_server.search.parameters import Registry, SearchParameter
from fhir_server.search.values import CompositeEntry, Entry, SimpleEntry, TokenEntry

NOT_INDEXED = frozenset({"_id", "_lastUpdated"})
"""Parameters that every store answers from its own columns."""


class _Leaf(NamedTuple):
    """What one parameter wants of the values at the end of a path."""

    parameter_type: str
    datatype: str
    param: str
    types: frozenset[str]
    """For references: keep only these."""


class _Composite(NamedTuple):
    param: str
    steps: tuple[Step, ...]
    parts: tuple[Callable[[Resource, Resource], tuple[SimpleEntry, ...]], ...]
    """Each takes (element, resource)."""


class _Plan(NamedTuple):
    members: "_Branches"
    composites: tuple[_Composite, ...]
    absent: tuple[tuple[frozenset[str], Entry], ...]
    """Entries of a resource that has none of these members."""


class Extractor:
    """Extracts index entries. Plans are compiled per type on first use; safe to share between threads."""

    def __init__(self, registry: Registry, own_base: str = "") -> None:
        self._registry = registry
        self._own_base = own_base
        self._plans: dict[str, _Plan] = {}

    def extract(self, resource: Resource) -> tuple[Entry, ...]:
        """Return the entries of a resource without duplicates, in the order of its members.

        Never raises on odd content: what cannot be read has no entry. An unknown resource type has none at all.
        """
        kind = resource.get("resourceType")
        plan = self._plans.get(kind) if type(kind) is str else None
        if plan is None:
            plan = self._planned(kind)
        out: list[Entry] = []
        members = plan.members.each
        for name, value in resource.items():
            if name in members:
                if type(value) is list:
                    emit = members[name]
                    for item in value:
                        emit(item, out)
                else:
                    members[name](value, out)
        for name, emit in plan.members.whole.items():
            if name in resource:
                emit(resource[name], out)
        for composite in plan.composites:
            _pair(composite, resource, out)
        for names, entry in plan.absent:
            if names.isdisjoint(resource):
                out.append(entry)
        return tuple(dict.fromkeys(out))

    def _planned(self, kind: Any) -> _Plan:
        if type(kind) is not str:
            return _Plan(_Branches({}, {}), (), ())
        plan = _plan(self._registry.of(kind), self._own_base)
        self._plans[kind] = plan
        return plan


def _plan(parameters: Mapping[str, SearchParameter], own_base: str) -> _Plan:
    wanted: list[tuple[tuple[Step, ...], _Leaf]] = []
    composites: list[_Composite] = []
    absent: list[tuple[frozenset[str], Entry]] = []
    for parameter in parameters.values():
        if parameter.code in NOT_INDEXED:
            continue
        wanted += _leaves(parameter.type, parameter.paths, parameter.code, frozenset(parameter.targets))
        composites += _composites(parameter, own_base)
        flags = frozenset(path.steps[0].key for path in parameter.paths if path.type.startswith(FLAG))
        if flags:
            absent.append((flags, TokenEntry(parameter.code, None, "false")))
    return _Plan(_branches(wanted, own_base), tuple(composites), tuple(absent))


def _leaves(
    kind: str, paths: tuple[Path, ...], param: str, targets: frozenset[str]
) -> list[tuple[tuple[Step, ...], _Leaf]]:
    found = []
    for path in paths:
        kept = frozenset(test.type for step in path.steps for test in step.tests if isinstance(test, RefersToType))
        if path.type == "Resource":
            kept = targets
        parts = PARTS.get(path.type, ()) if kind == "string" else ()
        if parts:
            read = [part for part in parts if param != PHONETIC or part not in ("prefix", "suffix")]
            found += [((*path.steps, Step(part)), _Leaf(kind, "string", param, kept)) for part in read]
        else:
            found.append((path.steps, _Leaf(kind, path.type, param, kept)))
    return found


class _Branches(NamedTuple):
    """One level of the merged tree: what each member's values go to."""

    each: dict[str, Emit]
    """Called with one value, or with every item of an array."""
    whole: dict[str, Emit]
    """Called with the array itself, because a position in it matters."""


def _branches(wanted: list[tuple[tuple[Step, ...], _Leaf]], own_base: str) -> _Branches:
    by_key: dict[str, list[tuple[Step, tuple[Step, ...], _Leaf]]] = {}
    for steps, leaf in wanted:
        if steps:
            by_key.setdefault(steps[0].key, []).append((steps[0], steps[1:], leaf))
    built = _Branches({}, {})
    for key, group in by_key.items():
        plain, positional = _member(group, own_base)
        if plain:
            built.each[key] = _all(plain)
        if positional:
            built.whole[key] = _all(positional)
    return built


def _member(group: list[tuple[Step, tuple[Step, ...], _Leaf]], own_base: str) -> tuple[list[Emit], list[Emit]]:
    by_tests: dict[tuple[Equals | At, ...], list[tuple[tuple[Step, ...], _Leaf]]] = {}
    for step, rest, leaf in group:
        tests = tuple(test for test in step.tests if not isinstance(test, RefersToType))
        by_tests.setdefault(tests, []).append((rest, leaf))
    plain: list[Emit] = []
    positional: list[Emit] = []
    for tests, wanted in by_tests.items():
        inner = [*_ends([leaf for rest, leaf in wanted if not rest], own_base)]
        below = _branches([(rest, leaf) for rest, leaf in wanted if rest], own_base)
        if below.each or below.whole:
            inner.append(_descend(tuple(below.each.items()), tuple(below.whole.items())))
        kept = positional if any(isinstance(test, At) for test in tests) else plain
        kept += [_filtered(tests, emit) for emit in inner]
    return plain, positional


def _ends(leaves: list[_Leaf], own_base: str) -> Iterator[Emit]:
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


def _descend(below: tuple[tuple[str, Emit], ...], whole: tuple[tuple[str, Emit], ...]) -> Emit:
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
        for item in _kept(value, tests):
            emit(item, out)

    return emit_filtered


def _equal(name: str, text: str, emit: Emit) -> Emit:
    def emit_equal(value: Any, out: Entries) -> None:
        if type(value) is dict and value.get(name) == text:
            emit(value, out)

    return emit_equal


def _kept(value: Any, tests: tuple[Any, ...]) -> list[Any]:
    items = value if type(value) is list else [value]
    for test in tests:
        if isinstance(test, At):
            items = items[test.position : test.position + 1]
        elif isinstance(test, Equals):
            items = [item for item in items if type(item) is dict and item.get(test.name) == test.text]
    return items


def _composites(parameter: SearchParameter, own_base: str) -> Iterator[_Composite]:
    for occurrence in parameter.occurrences:
        parts = tuple(
            _part(component.type, paths, str(index), own_base)
            for index, (component, paths) in enumerate(zip(parameter.components, occurrence.components, strict=True))
        )
        yield _Composite(parameter.code, occurrence.path.steps, parts)


def _part(
    kind: str, paths: tuple[Path, ...], param: str, own_base: str
) -> Callable[[Resource, Resource], tuple[SimpleEntry, ...]]:
    inner: list[tuple[tuple[Step, ...], _Leaf]] = []
    outer: list[tuple[tuple[Step, ...], _Leaf]] = []
    for steps, leaf in _leaves(kind, paths, param, frozenset()):
        (outer if steps[0].key == "%resource" else inner).append((steps, leaf))
    near = _branches(inner, own_base)
    far = _branches([(steps[1:], leaf) for steps, leaf in outer], own_base)
    of_element = _descend(tuple(near.each.items()), tuple(near.whole.items()))
    of_resource = _descend(tuple(far.each.items()), tuple(far.whole.items())) if outer else None

    def entries(element: Resource, resource: Resource) -> tuple[SimpleEntry, ...]:
        out: list[SimpleEntry] = []
        of_element(element, out)
        if of_resource:
            of_resource(resource, out)
        return tuple(out) if len(out) < 2 else tuple(dict.fromkeys(out))  # noqa: PLR2004  # one entry repeats none

    return entries


def _pair(composite: _Composite, resource: Resource, out: list[Entry]) -> None:
    elements: list[Any] = [resource]
    for step in composite.steps:
        found = [element[step.key] for element in elements if step.key in element]
        elements = [item for value in found for item in _kept(value, step.tests) if type(item) is dict]
        if not elements:
            return
    for element in elements:
        parts: list[tuple[SimpleEntry, ...]] = []
        for part in reversed(composite.parts):  # the last part is a value[x]: most often it decides
            entries = part(element, resource)
            if not entries:
                break
            parts.append(entries)
        else:
            out.append(CompositeEntry(composite.param, tuple(reversed(parts))))
