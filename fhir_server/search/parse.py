"""Query parameters → SearchRequest (R4 search.html; strict unless the client prefers lenient handling)."""

from collections.abc import Sequence
from typing import Any

from fhir_server.model.clock import SystemClock
from fhir_server.search import controls
from fhir_server.search.conditions import condition
from fhir_server.search.parameters import Registry
from fhir_server.search.query import EVERYTHING, And, Node
from fhir_server.search.refusals import NotOffered, bad_value, nearest, too_much
from fhir_server.search.request import Expand, Follow, SearchLimits, SearchRequest
from fhir_server.search.scope import Budget, Scope

DEFAULT_LIMITS = SearchLimits()


def parse_search(
    registry: Registry,
    resource_type: str,
    params: Sequence[tuple[str, str]],
    *,
    strict: bool,
    own_base: str = "",
    limits: SearchLimits = DEFAULT_LIMITS,
    expand: Expand | None = None,
    follow: Follow | None = None,
    now_us: int | None = None,
) -> SearchRequest:
    """Read decoded query parameters of a search on one type, in order; `_format` and the like are taken out before.

    `now_us` is the present for `ap`. A parameter without a value asks nothing and counts as ignored.
    Raises Malformed for what cannot be understood; NotOffered (a NotSupported) for what is unknown or not offered, unless
    `strict` is false: then its name is in `ignored` and it is left out of `used`. Bounds of `limits` always hold.
    """
    _check(registry, resource_type, params, limits)
    scope = Scope(registry, limits, own_base, _present(now_us), expand, Budget(limits.conditions), follow=follow)
    where: list[Node] = []
    shape: dict[str, Any] = {}
    used, ignored = list[tuple[str, str]](), list[str]()
    for name, value in params:
        try:
            if not value.strip(","):
                ignored.append(name)
            elif name.partition(":")[0] in controls.CONTROLS:
                _control(scope, resource_type, name, value, shape)
                used.append((name, value))
            else:
                where.append(condition(scope, resource_type, name, value))
                used.append((name, value))
        except NotOffered:
            if strict:
                raise
            ignored.append(name)
    controls.check_together(shape)
    ran = tuple(pair for pair in used if pair[0] != "_cursor")
    return SearchRequest(resource_type, _all(where), used=ran, ignored=tuple(dict.fromkeys(ignored)), **shape)


def _present(now_us: int | None) -> int:
    return SystemClock().now_ms() * 1_000 if now_us is None else now_us


def _check(registry: Registry, resource_type: str, params: Sequence[tuple[str, str]], limits: SearchLimits) -> None:
    if not registry.of(resource_type):
        hint = nearest(resource_type, registry.types)
        raise NotOffered(f"{resource_type!r} is not a resource type of R4.{hint}", key="unknown-resource-type")
    if len(params) > limits.parameters:
        raise too_much(params[limits.parameters][0], f"{len(params) - 1} others beside it", str(limits.parameters))


def _all(where: list[Node]) -> Node:
    if len(where) == 1:
        return where[0]
    distinct = tuple(dict.fromkeys(where))
    return distinct[0] if len(distinct) == 1 else And(distinct) if distinct else EVERYTHING


_ONCE = {
    "_count": "count", "_total": "total", "_summary": "summary", "_elements": "elements", "_cursor": "cursor",
}  # fmt: skip


def _control(scope: Scope, kind: str, name: str, value: str, shape: dict[str, Any]) -> None:
    """Add what one control asks to the members of the request."""
    registry = scope.registry
    member = _ONCE.get(name)
    if member in shape:
        raise bad_value("search-repeated-parameter", name, value, "this parameter at most once")
    match name:
        case "_sort":
            shape["sort"] = tuple(dict.fromkeys((*shape.get("sort", ()), *controls.sort(registry, kind, value))))
        case "_count":
            shape["count"] = controls.count(value, scope.limits)
        case "_total":
            shape["total"] = controls.total(value)
        case "_summary":
            shape["summary"] = controls.summary(value)
        case "_elements":
            shape["elements"] = controls.elements(registry, kind, value)
        case "_cursor":
            shape["cursor"] = value
        case _ if name.startswith("_include"):
            shape["includes"] = (*shape.get("includes", ()), controls.include(registry, kind, name, value))
        case _ if name.startswith("_revinclude"):
            shape["revincludes"] = (*shape.get("revincludes", ()), controls.include(registry, kind, name, value))
        case _:
            controls.contained(name, value)
