"""What a search asks, apart from how a store answers it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from fhir_server.search.query import EVERYTHING, Node, SortKey

Total: TypeAlias = Literal["none", "estimate", "accurate"]
Summary: TypeAlias = Literal["true", "text", "data", "count", "false"]
Relation: TypeAlias = Literal["in", "below", "above"]
Expand: TypeAlias = Callable[[Relation, str], Iterable[tuple[str, str]]]
"""Terminology as search needs it: `("in", value set URL)`, `("below", "system|code")` or `("above", …)` → codes
`(system, code)`. Raises a FhirError when the value set or code is unknown."""

Lineage: TypeAlias = Literal["above", "below"]


class Link(NamedTuple):
    """The reference parameter by which the resources of a type make a hierarchy: each names what it is part of."""

    type: str
    param: str


Follow: TypeAlias = Callable[[Lineage, Link, tuple[str, ...]], Sequence[str]]
"""Hierarchies of resources as search needs them: the references (`Type/id`, or the URL of what is elsewhere) to some
resources → these, and those to all that is above or below any of them, each once. Raises TooCostly for too many."""

WILDCARD = "*"


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """Bounds that a single search may not exceed; each refusal names its parameter."""

    parameters: int = 100
    or_values: int = 1_000
    value_length: int = 1_024
    """Characters in one value of an OR list."""
    chain_depth: int = 8
    """Chains and `_has` that may nest."""
    conditions: int = 500
    """Conditions of one search, each possible type of each chain counted."""
    count: int = 1_000
    """The largest page; a larger `_count` is answered with this many."""
    near_metres: float = 50_000.0
    """The radius of `near` without a distance."""


@dataclass(frozen=True, slots=True)
class Include:
    """One `_include` or `_revinclude`: `source:param:target`; `param` may be `*`, `target` "" is any."""

    source: str
    param: str
    target: str = ""
    iterate: bool = False


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A parsed search. `used` is what ran, in order, for the self link; `ignored` are the names that did not."""

    resource_type: str
    where: Node = EVERYTHING
    sort: tuple[SortKey, ...] = ()
    count: int | None = None
    """Entries per page; 0 asks only for the total; None leaves it to the server."""
    total: Total | None = None
    summary: Summary | None = None
    elements: tuple[str, ...] = ()
    includes: tuple[Include, ...] = ()
    revincludes: tuple[Include, ...] = ()
    cursor: str | None = None
    used: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
