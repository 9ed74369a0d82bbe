"""A ValueSet as an index: its definition read into components (R4 valueset.html#compose)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from fhir_server.model.errors import NotSupported
from fhir_server.model.resource import Resource
from fhir_server.terminology.concepts import Concept, designations_of

HIERARCHY = frozenset({"is-a", "descendent-of", "is-not-a", "generalizes"})
_SUPPORTED = HIERARCHY | {"=", "in", "not-in", "exists"}


class Filter(NamedTuple):
    """`compose.include.filter`: `property` `op` `value`."""

    property: str
    op: str
    value: str


class Component(NamedTuple):
    """One `include` or `exclude`: a system narrowed by listed concepts or filters, intersected with value sets.

    `system` carries a `|version` where one is named. `concepts` maps a listed code to its own display and designations;
    None when the component lists none.
    """

    system: str
    concepts: Mapping[str, Concept] | None
    filters: tuple[Filter, ...]
    value_sets: tuple[str, ...]


class ValueSetIndex(NamedTuple):
    """A ValueSet, ready to be asked; `url` is "" where it has none."""

    url: str
    version: str
    name: str
    includes: tuple[Component, ...]
    excludes: tuple[Component, ...]
    inactive: bool
    """Whether inactive codes are in it."""
    resource: Resource

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.url or "the value set that was given"


def index(resource: Resource) -> ValueSetIndex:
    """Read a ValueSet; raises NotSupported for a filter that this server cannot evaluate.

    One without a definition is as its stored expansion lists it.
    """
    url = resource.get("url", "")
    compose = resource.get("compose") or {
        "include": list(_as_listed(resource.get("expansion", {}).get("contains", ())))
    }
    return ValueSetIndex(
        url,
        resource.get("version", ""),
        str(resource.get("title") or resource.get("name") or url),
        tuple(_component(url, one) for one in compose.get("include", ())),
        tuple(_component(url, one) for one in compose.get("exclude", ())),
        compose.get("inactive", True),
        resource,
    )


def _as_listed(contains: Iterable[Resource]) -> Iterator[Resource]:
    waiting = list(contains)[::-1]
    while waiting:
        one = waiting.pop()
        if "code" in one and not one.get("abstract"):
            concept = {name: one[name] for name in ("code", "display", "designation") if name in one}
            yield {"system": one.get("system", ""), "concept": [concept]}
        waiting.extend(one.get("contains", ())[::-1])


def _component(url: str, element: Resource) -> Component:
    filters = tuple(Filter(one["property"], one["op"], one["value"]) for one in element.get("filter", ()))
    for one in filters:
        if one.op not in _SUPPORTED or (one.op in HIERARCHY and one.property not in ("concept", "code")):
            raise NotSupported(f"{url}: the filter {one.property} {one.op} cannot be evaluated; list the concepts.")
    listed = element.get("concept")
    concepts = None if listed is None else {one["code"]: _listed(one, at) for at, one in enumerate(listed)}
    system = element.get("system", "") + (f"|{element['version']}" if element.get("version") else "")
    return Component(system, concepts, filters, tuple(element.get("valueSet", ())))


def _listed(element: Resource, position: int) -> Concept:
    display = str(element.get("display", element["code"]))
    return Concept(element["code"], display, "", designations_of(element), (), {}, position)
