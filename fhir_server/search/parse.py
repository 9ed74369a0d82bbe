"""Query parameters → SearchRequest (R4 search.html; strict unless the client prefers lenient handling)."""

from collections.abc import Sequence
from dataclasses import replace

from fhir_server.model.clock import SystemClock
from fhir_server.search import controls
from fhir_server.search.conditions import Budget, Scope, condition
from fhir_server.search.parameters import Registry
from fhir_server.search.query import EVERYTHING, And, Node
from fhir_server.search.refusals import NotOffered, bad_value, nearest, too_much
from fhir_server.search.request import Expand, SearchLimits, SearchRequest

DEFAULT_LIMITS = SearchLimits()
_ONCE = frozenset({"_count", "_total", "_summary", "_cursor", "_sort", "_elements"})


def parse_search(
    registry: Registry,
    resource_type: str,
    params: Sequence[tuple[str, str]],
    *,
    strict: bool,
    own_base: str = "",
    limits: SearchLimits = DEFAULT_LIMITS,
    expand: Expand | None = None,
    now_us: int | None = None,
) -> SearchRequest:
    """Read decoded query parameters of a search on one type, in order; `_format` and the like are taken out before.

    `now_us` is the present for `ap`. A parameter without a value asks nothing and counts as ignored.
    Raises Malformed for what cannot be understood; NotOffered (a NotSupported) for what is unknown or not offered, unless
    `strict` is false: then its name is in `ignored` and it is left out of `used`. Bounds of `limits` always hold.
    """
    if resource_type not in registry.types:
        hint = nearest(resource_type, registry.types)
        raise NotOffered(f"{resource_type!r} is not a resource type of R4.{hint}", key="unknown-resource-type")
    if len(params) > limits.parameters:
        raise too_much(params[limits.parameters][0], f"{len(params) - 1} others beside it", str(limits.parameters))
    now = SystemClock().now_ms() * 1_000 if now_us is None else now_us
    scope = Scope(registry, limits, own_base, now, expand, Budget(limits.conditions))
    request = SearchRequest(resource_type)
    where: list[Node] = []
    used: list[tuple[str, str]] = []
    ignored: list[str] = []
    for name, value in params:
        if not value:
            ignored.append(name)
            continue
        try:
            if name.partition(":")[0] in controls.CONTROLS:
                request = _controlled(scope, request, name, value, {n for n, _ in used})
            else:
                where.append(condition(scope, resource_type, name, value))
        except NotOffered:
            if strict:
                raise
            ignored.append(name)
        else:
            used.append((name, value))
    shown = tuple(pair for pair in used if pair[0] != "_cursor")
    return replace(request, where=_all(where), used=shown, ignored=tuple(dict.fromkeys(ignored)))


def _all(where: list[Node]) -> Node:
    distinct = tuple(dict.fromkeys(where))
    return distinct[0] if len(distinct) == 1 else And(distinct) if distinct else EVERYTHING


def _controlled(scope: Scope, request: SearchRequest, name: str, value: str, seen: set[str]) -> SearchRequest:
    registry, kind = scope.registry, request.resource_type
    if name in _ONCE and name in seen:
        raise bad_value("search-repeated-parameter", name, value, "this parameter at most once")
    match name.partition(":"):
        case ("_sort", "", _):
            return replace(request, sort=controls.sort(registry, kind, value))
        case ("_count", "", _):
            return replace(request, count=controls.count(value, scope.limits))
        case ("_total", "", _):
            return replace(request, total=controls.total(value))
        case ("_summary", "", _):
            return replace(request, summary=controls.summary(value))
        case ("_elements", "", _):
            return replace(request, elements=controls.elements(registry, kind, value))
        case ("_cursor", "", _):
            return replace(request, cursor=value)
        case ("_include", _, _):
            return replace(request, includes=(*request.includes, controls.include(registry, kind, name, value)))
        case ("_revinclude", _, _):
            return replace(request, revincludes=(*request.revincludes, controls.include(registry, kind, name, value)))
        case _:
            controls.contained(name, value)
            return request
