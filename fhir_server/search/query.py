"""The query tree: one frozen language that search, access and subscriptions speak.

It has three interpreters (`search.match`, the SQLite compiler, the MongoDB compiler), held equal by shared truth tables.
`param` is a search parameter code of the type that the node is asked of; values arrive normalised by `search.parse`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Prefix(StrEnum):
    """The comparison of ordered values (R4 search.html#prefix)."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    LT = "lt"
    GE = "ge"
    LE = "le"
    SA = "sa"
    EB = "eb"
    AP = "ap"


class TextMode(StrEnum):
    """How a string or URI is compared."""

    STARTS = "starts"
    EXACT = "exact"
    WHOLE = "whole"
    CONTAINS = "contains"
    BELOW = "below"
    ABOVE = "above"


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold; And(()) holds for every resource."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """Any part holds; Or(()) holds for none."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold; a resource without any value for its parameter therefore matches (R4 `:not`)."""

    part: "Node"


@dataclass(frozen=True, slots=True)
class IdIs:
    """The logical id is one of these."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LastUpdated:
    """`meta.lastUpdated`, compared with `[lo, hi)` in microseconds since the epoch."""

    prefix: Prefix
    lo: int
    hi: int


@dataclass(frozen=True, slots=True)
class TokenIs:
    """A token: `system` None means any, "" means none stated; `code` None means any code of the system."""

    param: str
    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class TokenText:
    """`:text`: the display or text of a coding starts with this normalised text."""

    param: str
    normal: str


@dataclass(frozen=True, slots=True)
class OfType:
    """`:of-type` on an Identifier."""

    param: str
    type_system: str
    type_code: str
    value: str


@dataclass(frozen=True, slots=True)
class RefersTo:
    """A reference whose `ReferenceEntry.target` is this (`Type/id`, absolute URL or canonical); version "" is any."""

    param: str
    target: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class RefersToIdentifier:
    """`:identifier`: Reference.identifier, with the rules of TokenIs.

    `target_type` leaves out the references that are known to be to another type; "" leaves out none.
    """

    param: str
    system: str | None
    value: str | None
    target_type: str = ""


@dataclass(frozen=True, slots=True)
class StringIs:
    """A string; `value` is normalised unless the mode is EXACT. Modes: STARTS, CONTAINS, WHOLE (all of it), EXACT (as it was sent)."""

    param: str
    mode: TextMode
    value: str


@dataclass(frozen=True, slots=True)
class UriIs:
    """A URI. Modes: EXACT, BELOW, ABOVE, CONTAINS."""

    param: str
    mode: TextMode
    value: str


@dataclass(frozen=True, slots=True)
class DateCompare:
    """A stored interval compared with `[lo, hi)` by `search.compare`."""

    param: str
    prefix: Prefix
    lo: int
    hi: int


@dataclass(frozen=True, slots=True)
class NumberCompare:
    """A stored number compared with `value`, whose implicit precision is `[lo, hi)`."""

    param: str
    prefix: Prefix
    value: float
    lo: float
    hi: float


@dataclass(frozen=True, slots=True)
class QuantityCompare:
    """As NumberCompare; `system` None is any; with system None, `code` is compared with code and unit; "" is any."""

    param: str
    prefix: Prefix
    value: float
    lo: float
    hi: float
    system: str | None
    code: str


@dataclass(frozen=True, slots=True)
class BaseQuantityCompare:
    """As NumberCompare, on quantities in base units; `unit` as `search.units` names them."""

    param: str
    prefix: Prefix
    value: float
    lo: float
    hi: float
    unit: str


@dataclass(frozen=True, slots=True)
class CompositeIs:
    """One occurrence of a composite parameter for which every part holds; a part's `param` is its position."""

    param: str
    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Near:
    """Within `metres` of a point along a great circle."""

    param: str
    latitude: float
    longitude: float
    metres: float


@dataclass(frozen=True, slots=True)
class FullText:
    """Each of these folded phrases occurs as whole words in a row in a text of `_text`, or of `_content`, which includes it."""

    param: str
    phrases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """`:missing`: the parameter has no value (True) or at least one (False)."""

    param: str
    missing: bool


@dataclass(frozen=True, slots=True)
class Unequal:
    """One value of the parameter is known to be none of `values`: nodes of one kind that ask for equality, whose `param` is "".

    Kinds: TokenIs, RefersTo, RefersToIdentifier, StringIs (WHOLE, EXACT) and UriIs (EXACT).
    """

    param: str
    values: "tuple[Equality, ...]"


@dataclass(frozen=True, slots=True)
class Chain:
    """A reference to a current resource of type `target` for which `part` holds."""

    param: str
    target: str
    part: "Node"


@dataclass(frozen=True, slots=True)
class Has:
    """A current resource of type `source` refers to this one by its parameter `param`, and `part` holds for it."""

    source: str
    param: str
    part: "Node"


Node: TypeAlias = (
    And | Or | Not | IdIs | LastUpdated | TokenIs | TokenText | OfType | RefersTo | RefersToIdentifier | StringIs | UriIs | Unequal
    | DateCompare | NumberCompare | QuantityCompare | BaseQuantityCompare | CompositeIs | Near | FullText | Missing | Chain | Has
)  # fmt: skip
Equality: TypeAlias = TokenIs | RefersTo | RefersToIdentifier | StringIs | UriIs

EVERYTHING = And(())
NOTHING = Or(())


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of `_sort`; `param` may be `_lastUpdated` or `_id`. A resource without the value sorts last."""

    param: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """What a store is asked: the current resources of one type for which `where` holds, in an order.

    `sort` () means by `_lastUpdated`, newest first. `after` are the sort values of the last row that was seen, with its
    id or sequence last, exactly as `Row.position` gave them; () starts at the beginning.
    """

    type: str
    where: Node = EVERYTHING
    sort: tuple[SortKey, ...] = ()
    limit: int = 20
    after: tuple[str | int | float | None, ...] = ()
