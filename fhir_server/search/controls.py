"""Parameters that shape the answer rather than select it (R4 search.html#return, #include, #sort, #total, #summary)."""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args

from fhir_server.search.escaping import split
from fhir_server.search.parameters import Registry
from fhir_server.search.query import SortKey
from fhir_server.search.refusals import (
    NotOffered,
    bad_value,
    listed,
    nearest,
    not_supported,
    shown,
    unsupported_modifier,
)
from fhir_server.search.request import WILDCARD, Include, SearchLimits, Summary, Total

CONTROLS = frozenset(
    {
        "_sort",
        "_count",
        "_total",
        "_summary",
        "_elements",
        "_include",
        "_revinclude",
        "_contained",
        "_containedType",
        "_cursor",
    }
)
"""Names that `parse` hands to this module, modifiers cut off."""

_SORTABLE = frozenset({"string", "token", "date", "number", "quantity", "reference", "uri"})
T = TypeVar("T", bound=str)


def sort(registry: Registry, resource_type: str, value: str) -> tuple[SortKey, ...]:
    """Read `_sort`: codes separated by commas, `-` before one that goes down."""
    known = registry.of(resource_type)
    keys = []
    for part in value.split(","):
        code, descending = part.removeprefix("-"), part.startswith("-")
        if code not in known or known[code].type not in _SORTABLE:
            if code == "_score":
                raise not_supported(
                    "_sort", "matches are not ranked by relevance (_score). Sort by a search parameter."
                )
            sortable = [c for c, p in known.items() if p.type in _SORTABLE]
            raise NotOffered(
                f"Search parameter '_sort' names {shown(code)}, by which {resource_type} cannot be sorted."
                f"{nearest(code, sortable)} It can be sorted by {listed(sortable)}.",
                key="search-bad-sort",
            )
        keys.append(SortKey(code, descending))
    return tuple(dict.fromkeys(keys))


def count(value: str, limits: SearchLimits) -> int:
    """Read `_count`; a page is never larger than the limit."""
    if not (value.isascii() and value.isdigit()) or len(value) > 9:  # noqa: PLR2004  # digits of any sensible number
        raise bad_value("search-bad-count", "_count", value, "a whole number, 0 or more")
    return min(int(value), limits.count)


def _choice(name: str, value: str, allowed: tuple[T, ...]) -> T:
    for choice in allowed:
        if value == choice:
            return choice
    raise bad_value(f"search-bad-{name[1:]}", name, value, f"one of {listed(allowed)}.{nearest(value, allowed)}")


def total(value: str) -> Total:
    """Read `_total`."""
    allowed: tuple[Literal["none", "estimate", "accurate"], ...] = get_args(Total)
    return _choice("_total", value, allowed)


def summary(value: str) -> Summary:
    """Read `_summary`."""
    allowed: tuple[Literal["true", "text", "data", "count", "false"], ...] = get_args(Summary)
    return _choice("_summary", value, allowed)


def check_together(shape: Mapping[str, Any]) -> None:
    """Raise Malformed for controls that R4 does not let stand together; `shape` are members of a SearchRequest."""
    for name in ("includes", "revincludes"):
        if shape.get("summary") == "text" and shape.get(name):
            raise bad_value(
                "search-bad-summary",
                "_summary",
                "text",
                f"another summary: _summary=text does not go with _{name[:-1]}",
            )


def elements(registry: Registry, resource_type: str, value: str) -> tuple[str, ...]:
    """Read `_elements`: names of base elements, separated by commas."""
    names = []
    for part in split(value, ","):
        name = part.strip().removeprefix(resource_type + ".")
        first = name.split(".")[0].removesuffix("[x]")
        if not registry.has_element(resource_type, first):
            known = registry.elements(resource_type)
            raise bad_value(
                "search-bad-elements", "_elements", part, f"an element of {resource_type}.{nearest(first, known)}"
            )
        names.append(name)
    return tuple(dict.fromkeys(names))


def contained(name: str, value: str) -> None:
    """Accept the default, `_contained=false`; contained resources are not indexed on their own.

    Other controls come here only with a modifier, which none of them takes.
    """
    _, colon, modifier = name.partition(":")
    if colon:
        raise unsupported_modifier(name, modifier, ())
    if name == "_contained" and value not in ("false", "true", "both"):
        raise bad_value("search-bad-contained", name, value, f"one of false, true, both.{nearest(value, ('false',))}")
    if name != "_contained" or value != "false":
        raise not_supported(
            name,
            "contained resources are not found on their own, only _contained=false is offered. Search the resources that "
            "contain them by a chain, which looks inside: Task?owner:Organization.name=…",
        )


def include(registry: Registry, resource_type: str, name: str, value: str) -> Include:
    """Read `_include` or `_revinclude`: `Type:parameter`, `Type:parameter:Target`, `Type:*` or `*`."""
    base, colon, modifier = name.partition(":")
    if colon and modifier != "iterate":
        raise NotOffered(
            f"Search parameter {shown(name)} has the modifier {shown(':' + modifier)}, which it does not take. "
            "Its modifiers: :iterate.",
            key="search-unsupported-modifier",
        )
    iterate = modifier == "iterate"
    if value == WILDCARD:
        return Include(WILDCARD if base == "_revinclude" else resource_type, WILDCARD, "", iterate)
    source, _, rest = value.partition(":")
    code, _, target = rest.partition(":")
    if source not in registry.types:
        raise _bad_include(name, value, f"{shown(source)} is not a resource type.{nearest(source, registry.types)}")
    if base == "_include" and not iterate and source != resource_type:
        raise _bad_include(
            name, value, f"the search finds {resource_type}, not {source}; use {base}:iterate for what it includes."
        )
    if target and target not in registry.types:
        raise _bad_include(name, value, f"{shown(target)} is not a resource type.{nearest(target, registry.types)}")
    if code != WILDCARD:
        _check_link(
            registry, resource_type, name, value, (source, code, target), backward=base == "_revinclude" and not iterate
        )
    return Include(source, code, target, iterate)


def _check_link(
    registry: Registry, resource_type: str, name: str, value: str, link: tuple[str, str, str], *, backward: bool
) -> None:
    source, code, target = link
    references = {c: p for c, p in registry.of(source).items() if p.type == "reference"}
    if code not in references:
        raise _bad_include(
            name,
            value,
            f"{source} has no reference {shown(code)}.{nearest(code, references)} It has {listed(references)}.",
        )
    possible = registry.targets(references[code])
    if target and target not in possible:
        raise _bad_include(name, value, f"{source}.{code} refers to {listed(references[code].targets)}.")
    if backward and resource_type not in possible:
        usable = [c for c, p in references.items() if resource_type in registry.targets(p)]
        raise _bad_include(name, value, f"{source}.{code} does not refer to {resource_type}; {listed(usable)} do.")


def _bad_include(name: str, value: str, why: str) -> NotOffered:
    return NotOffered(f"Search parameter {shown(name)} has the value {shown(value)}: {why}", key="search-bad-include")
