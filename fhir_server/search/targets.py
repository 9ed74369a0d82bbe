"""Values of reference parameters → nodes (R4 search.html#reference)."""

from collections.abc import Callable

from fhir_server.model.reference import ID_PATTERN, parse_reference
from fhir_server.search import hierarchies
from fhir_server.search.beside import broader
from fhir_server.search.escaping import unescape
from fhir_server.search.parameters import Registry, SearchParameter
from fhir_server.search.query import Node, Or, RefersTo, RefersToIdentifier, TextMode, UriIs
from fhir_server.search.refusals import bad_value, nearest
from fhir_server.search.scope import Scope
from fhir_server.search.tokens import system_and_value

_CANONICAL = frozenset({"canonical", "uri"})


def reference(
    registry: Registry, parameter: SearchParameter, param: str, name: str, text: str, own_base: str, only: str = ""
) -> Node:
    """Read an id, `Type/id`, an absolute URL or a canonical, each with an optional version; `only` is a type modifier."""
    value = unescape(text)
    types = parameter.element_types
    parsed = parse_reference(value, own_base)
    if parsed.kind == "relative":
        return _relative(registry, param, name, text, only, (parsed.type, parsed.id, parsed.version))
    if parsed.kind == "absolute" and not types <= _CANONICAL:
        return RefersTo(param, f"{parsed.base}/{parsed.type}/{parsed.id}", parsed.version)
    if parsed.kind in ("absolute", "urn") or "://" in value or types <= _CANONICAL:
        url, _, version = value.partition("|")
        return RefersTo(param, local(url, own_base), version)
    if not ID_PATTERN.fullmatch(value):
        raise bad_value("search-bad-reference", name, text, "an id, Type/id, an absolute URL or a canonical URL")
    wanted = (only,) if only else registry.targets(parameter)
    parts = tuple(RefersTo(param, f"{target}/{value}") for target in wanted)
    return parts[0] if len(parts) == 1 else Or(parts)


def local(url: str, own_base: str) -> str:
    """Return a URL below our own base without it, any other as it is."""
    return url[len(own_base) + 1 :] if own_base and url.startswith(own_base + "/") else url


def _relative(registry: Registry, param: str, name: str, text: str, only: str, parts: tuple[str, str, str]) -> RefersTo:
    kind, identity, version = parts
    if only and kind != only:
        raise bad_value("search-bad-reference", name, text, f"a reference to {only}, as the modifier says")
    if kind not in registry.types:
        raise bad_value(
            "search-bad-reference", name, text, f"a resource type of R4 before the /.{nearest(kind, registry.types)}"
        )
    return RefersTo(param, f"{kind}/{identity}", version)


def modifiers(registry: Registry, parameter: SearchParameter) -> tuple[str, ...]:
    """Return the modifiers of a reference parameter, apart from the types that it refers to."""
    types = parameter.element_types
    follows = bool(hierarchies.followed(registry, parameter))
    below = ("below",) if types & _CANONICAL else hierarchies.MODIFIERS if follows else ()
    return (*below, *(() if types and types <= _CANONICAL else ("identifier",)), "missing")


def reader(scope: Scope, parameter: SearchParameter, param: str, modifier: str, name: str) -> Callable[[str], Node]:
    """Return what reads one value, without a modifier or with one of `modifiers`."""
    if modifier == "identifier":
        return lambda text: identified(param, name, text)
    if modifier == "below":
        return lambda text: _below(param, unescape(text), scope.own_base)
    return lambda text: reference(scope.registry, parameter, param, name, text, scope.own_base)


def _below(param: str, value: str, own_base: str) -> Node:
    """Read `:below` on a canonical: every version, or every version that starts with the parts that are given."""
    url, _, version = value.partition("|")
    url = local(url, own_base)
    return UriIs(broader(param), TextMode.EXACT, f"{url}|{version}") if version else RefersTo(param, url)


def identified(param: str, name: str, text: str, only: str = "") -> RefersToIdentifier:
    """Read `:identifier`, a token on Reference.identifier; `only` is a type that the reference must be able to have."""
    return RefersToIdentifier(param, *system_and_value(name, text), only)
