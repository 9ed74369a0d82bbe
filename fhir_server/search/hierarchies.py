"""`:above` and `:below` on references: the strict hierarchies of R4 (search.html#recursive, references.html#circular).

R4 marks the elements by which resources of one type make a strict hierarchy (extension structuredefinition-hierarchy);
`r4_hierarchies.json` names their search parameters by type, the one that tells parts from the whole first. A parameter that
is itself among them is followed by itself (`CarePlan?replaces:below`), any other by the first of the type that it refers to
(`Procedure?location:below` by Location.partof). StructureDefinition.baseDefinition is a canonical: `:below` on one asks for
versions, so it is not among them.

The references that are meant are found before the store is asked: the condition is one on each of them.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Final

import msgspec

from fhir_server.model.reference import ID_PATTERN, parse_reference
from fhir_server.search import contained
from fhir_server.search.beside import inside
from fhir_server.search.escaping import unescape
from fhir_server.search.parameters import Registry, SearchParameter
from fhir_server.search.query import Node, Or, RefersTo
from fhir_server.search.refusals import bad_value, listed, not_supported
from fhir_server.search.request import Lineage, Link
from fhir_server.search.scope import Scope

MODIFIERS: Final[tuple[Lineage, ...]] = ("above", "below")


@lru_cache(maxsize=1)
def known() -> dict[str, tuple[str, ...]]:
    """Return type → the parameters by which its resources make a hierarchy, parts of a whole first."""
    raw = files("fhir_server.search").joinpath("r4_hierarchies.json").read_bytes()
    return msgspec.json.decode(raw, type=dict[str, tuple[str, ...]])


def followed(registry: Registry, parameter: SearchParameter) -> dict[str, str]:
    """Return type → the parameter that is followed, for each type with a hierarchy that a reference can be to."""
    if parameter.type != "reference" or "Reference" not in parameter.element_types:
        return {}
    targets = registry.targets(parameter)
    return {kind: _link(parameter, kind, links) for kind, links in known().items() if kind in targets}


def _link(parameter: SearchParameter, kind: str, links: tuple[str, ...]) -> str:
    return parameter.code if parameter.bases == (kind,) and parameter.code in links else links[0]


def related(scope: Scope, parameter: SearchParameter, lineage: Lineage, values: Sequence[str], name: str) -> Node:
    """Read the values of `:above` or `:below`: references to what is named, and to all above or below it.

    A contained resource has nothing below it that a reference could name, but may itself be below what is named.
    """
    if scope.follow is None:
        raise not_supported(
            name, f"no hierarchy is followed here. Name each resource that is meant: {parameter.code}=Type/id,Type/id."
        )
    links = followed(scope.registry, parameter)
    starts: dict[str, dict[str, None]] = {}
    for text in values:
        kind, target = _start(scope, links, name, text)
        starts.setdefault(kind, {})[target] = None
    nodes: list[Node] = []
    for kind, targets in starts.items():
        members = scope.follow(lineage, Link(kind, links[kind]), tuple(targets))
        params = [parameter.code]
        if lineage == "below":
            params += _inside(parameter.code, Link(kind, links[kind]))
        nodes += [RefersTo(param, member) for param in params for member in members]
    return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))


def _inside(param: str, link: Link) -> Iterator[str]:
    """Yield the names of what a contained resource is part of, and of what one is part of that it is part of itself."""
    name = param
    for _ in range(contained.DEEPEST):
        name = inside(name, link.type, link.param)
        yield name


def _start(scope: Scope, links: dict[str, str], name: str, text: str) -> tuple[str, str]:
    """Return the type of what a value names, and the name as the index has it."""
    value = unescape(text)
    parsed = parse_reference(value, scope.own_base)
    if parsed.kind not in ("relative", "absolute"):
        if len(links) == 1 and ID_PATTERN.fullmatch(value):
            (kind,) = links
            return kind, f"{kind}/{value}"
        raise bad_value("search-bad-reference", name, text, _expected(links))
    if parsed.type not in links or parsed.version:
        raise bad_value("search-bad-reference", name, text, _expected(links))
    return parsed.type, f"{parsed.base}/{parsed.key}" if parsed.base else parsed.key


def _expected(links: dict[str, str]) -> str:
    forms = f"an id, {next(iter(links))}/id or its URL" if len(links) == 1 else "Type/id or a URL"
    return f"{forms}, without a version, of a type that R4 gives a hierarchy here: {listed(links)}"


def told() -> str:
    """Return the hierarchies for a refusal."""
    return ", ".join(f"{kind} (by {', '.join(links)})" for kind, links in known().items())
