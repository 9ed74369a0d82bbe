"""Resource → index entries: all parameters of a type compiled into one walk over the resource.

The paths of a type's parameters are merged into a tree of closures keyed by JSON member, so that each member is visited
once however many parameters read it (R4 search.html#1.4.0.5, the `expression` of a SearchParameter).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from fhir_server.model.resource import Resource
from fhir_server.search import fulltext
from fhir_server.search.beside import extent
from fhir_server.search.contained import Contained
from fhir_server.search.convert import FRAGMENT
from fhir_server.search.emit import each
from fhir_server.search.expressions import FLAG, Path, Step
from fhir_server.search.extents import LIMITS, RANGE
from fhir_server.search.parameters import Registry, SearchParameter
from fhir_server.search.values import CompositeEntry, Entry, SimpleEntry, TokenEntry
from fhir_server.search.walk import Branches, Leaf, branches, descend, kept, leaves

NOT_INDEXED = frozenset({"_id", "_lastUpdated"})
"""Parameters that every store answers from its own columns."""


class _Composite(NamedTuple):
    param: str
    steps: tuple[Step, ...]
    parts: tuple[Callable[[Resource, Resource], tuple[SimpleEntry, ...]], ...]
    """Each takes (element, resource)."""
    present: str = ""
    """The parameter that has a value by this."""


class _Plan(NamedTuple):
    members: "Branches"
    composites: tuple[_Composite, ...]
    absent: tuple[tuple[frozenset[str], Entry], ...]
    """Entries of a resource that has none of these members."""


class Extractor:
    """Extracts index entries. Plans are compiled per type on first use; safe to share between threads."""

    def __init__(self, registry: Registry, own_base: str = "") -> None:
        self._registry = registry
        self._own_base = own_base
        self._plans: dict[str, _Plan] = {}
        self._links: dict[tuple[str, str], Branches] = {}
        self._fragments: dict[str, Branches] = {}
        self._contained = Contained(self._own, self._references_within, self._takes)

    def extract(self, resource: Resource) -> tuple[Entry, ...]:
        """Return the entries of a resource without duplicates, in the order of its members.

        Never raises on odd content: what cannot be read has no entry. An unknown resource type has none at all.
        """
        kind = resource.get("resourceType")
        plan = self._plans.get(kind) if type(kind) is str else None
        if plan is None:
            plan = self._planned(kind)
        out: list[Entry] = []
        _read(plan, resource, out)
        if plan.members.each:  # none for what is no resource type
            fulltext.emit(resource, out)
            if "contained" in resource:
                self._contained.emit(resource, out)
        return tuple(dict.fromkeys(out))

    def references(self, resource: Resource, param: str) -> list[Entry]:
        """Return only the entries of one reference parameter, "*" for all of them: what includes follow."""
        plan = self._links_of(resource["resourceType"], param)
        out: list[Entry] = []
        for name, emit in plan.each.items():
            if name in resource:
                each(resource[name], emit, out)
        for name, emit in plan.whole.items():
            if name in resource:
                emit(resource[name], out)
        return out

    def members(self, resource_type: str, param: str) -> tuple[str, ...]:
        """Return the members of a resource that `references` looks at."""
        plan = self._links_of(resource_type, param)
        return tuple(dict.fromkeys((*plan.each, *plan.whole)))

    def _links_of(self, kind: str, param: str) -> Branches:
        plan = self._links.get((kind, param))
        if plan is None:
            known = self._registry.of(kind)
            wanted = {code: known[code] for code in known if param in (code, "*") and known[code].type == "reference"}
            plan = self._links[kind, param] = _plan(wanted, self._own_base).members
        return plan

    def _own(self, resource: Resource) -> list[Entry]:
        """Return the entries of a contained resource; it contains none itself."""
        out: list[Entry] = []
        _read(self._planned(resource["resourceType"]), resource, out)
        return out

    def _references_within(self, resource: Resource) -> list[tuple[str, str]]:
        """Return `(param, "#id")` of the references of a resource to what is contained."""
        kind = resource["resourceType"]
        plan = self._fragments.get(kind)
        if plan is None:
            wanted = [
                leaf
                for parameter in self._registry.of(kind).values()
                if parameter.type == "reference"
                for leaf in leaves(FRAGMENT, parameter.paths, parameter.code, frozenset())
            ]
            plan = self._fragments[kind] = branches(wanted, self._own_base)
        out: list[Any] = []
        descend(tuple(plan.each.items()), tuple(plan.whole.items()))(resource, out)
        return list(dict.fromkeys(out))

    def _takes(self, resource_type: str, param: str, target: str) -> bool:
        return target in self._registry.targets(self._registry.of(resource_type)[param])

    def _planned(self, kind: Any) -> _Plan:
        if type(kind) is not str:
            return _Plan(Branches({}, {}), (), ())
        plan = self._plans.get(kind)
        if plan is None:
            plan = self._plans[kind] = _plan(self._registry.of(kind), self._own_base)
        return plan


def _read(plan: _Plan, resource: Resource, out: list[Entry]) -> None:
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


def _plan(parameters: Mapping[str, SearchParameter], own_base: str) -> _Plan:
    wanted: list[tuple[tuple[Step, ...], Leaf]] = []
    composites: list[_Composite] = []
    absent: list[tuple[frozenset[str], Entry]] = []
    for parameter in parameters.values():
        if parameter.code in NOT_INDEXED:
            continue
        wanted += leaves(parameter.type, parameter.paths, parameter.code, frozenset(parameter.targets))
        composites += _composites(parameter, own_base)
        flags = frozenset(path.steps[0].key for path in parameter.paths if path.type.startswith(FLAG))
        if flags:
            absent.append((flags, TokenEntry(parameter.code, None, "false")))
    return _Plan(branches(wanted, own_base), tuple(composites), tuple(absent))


def _composites(parameter: SearchParameter, own_base: str) -> Iterator[_Composite]:
    """Yield what pairs the components; a Range among them counts apart, its limits being two components."""
    for occurrence in parameter.occurrences:
        steps = occurrence.path.steps
        kinds = [component.type for component in parameter.components]
        plain = [tuple(path for path in paths if path.type != RANGE) for paths in occurrence.components]
        ranges = [tuple(path for path in paths if path.type == RANGE) for paths in occurrence.components]
        yield _Composite(parameter.code, steps, _parts(list(zip(kinds, plain, strict=True)), own_base))
        for place, paths in enumerate(ranges):
            if paths:
                wanted = list(zip(kinds, plain, strict=True))
                wanted[place], high = ((limit, paths) for limit in LIMITS)
                wanted.append(high)
                yield _Composite(extent(parameter.code), steps, _parts(wanted, own_base), parameter.code)


def _parts(
    wanted: list[tuple[str, tuple[Path, ...]]], own_base: str
) -> tuple[Callable[[Resource, Resource], tuple[SimpleEntry, ...]], ...]:
    return tuple(_part(kind, paths, str(place), own_base) for place, (kind, paths) in enumerate(wanted))


def _part(
    kind: str, paths: tuple[Path, ...], param: str, own_base: str
) -> Callable[[Resource, Resource], tuple[SimpleEntry, ...]]:
    inner: list[tuple[tuple[Step, ...], Leaf]] = []
    outer: list[tuple[tuple[Step, ...], Leaf]] = []
    for steps, leaf in leaves(kind, paths, param, frozenset()):
        (outer if steps[0].key == "%resource" else inner).append((steps, leaf))
    near = branches(inner, own_base)
    far = branches([(steps[1:], leaf) for steps, leaf in outer], own_base)
    of_element = descend(tuple(near.each.items()), tuple(near.whole.items()))
    of_resource = descend(tuple(far.each.items()), tuple(far.whole.items())) if outer else None

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
        elements = [item for value in found for item in kept(value, step.tests) if type(item) is dict]
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
            if composite.present:
                out.append(CompositeEntry(composite.present, ()))
