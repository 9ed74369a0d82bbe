"""Index entries: what a search parameter finds in a resource, normalised once for every interpreter.

`param` is the code of the search parameter (`owner`); the resource type is known from the resource. `match` (the
reference interpreter) and every store read these same entries, so they cannot disagree about what was indexed.
"""

from typing import NamedTuple, TypeAlias


class TokenEntry(NamedTuple):
    """A code with its system. `system` is "" when there is none, None when the element's type implies it (`code`)."""

    param: str
    system: str | None
    code: str
    text: str = ""
    """Display or CodeableConcept.text, for `:text`; a text without a code is an entry with code ""."""
    type_system: str = ""
    """Identifier.type system, for `:of-type`."""
    type_code: str = ""
    """Identifier.type code, for `:of-type`."""


class ReferenceEntry(NamedTuple):
    """A reference: `target` is `Type/id` (version cut off), an absolute URL, a canonical, or "" for a logical one."""

    param: str
    target: str
    version: str = ""
    """The version that the reference or canonical names."""
    identifier_system: str = ""
    identifier_value: str = ""
    """Reference.identifier, for `:identifier` and for logical references."""
    target_type: str = ""
    """The type that is referred to, where it is known (also of logical references, by Reference.type)."""


class StringEntry(NamedTuple):
    """A text as it was sent; `normal` is `search.text.normalise(value)`: no case, accents or extra white space."""

    param: str
    normal: str
    value: str


class UriEntry(NamedTuple):
    """A URI, compared by code point."""

    param: str
    value: str


class DateEntry(NamedTuple):
    """A half-open interval in microseconds since the epoch (`model.temporal`)."""

    param: str
    lo: int
    hi: int


class NumberEntry(NamedTuple):
    """A number as a half-open range is asked for, a point is stored."""

    param: str
    value: float


class QuantityEntry(NamedTuple):
    """A quantity in the unit it was sent in."""

    param: str
    value: float
    system: str
    code: str
    unit: str


class BaseQuantityEntry(NamedTuple):
    """A quantity in base units, beside its QuantityEntry where its UCUM unit converts (`search.units`)."""

    param: str
    value: float
    unit: str


class PositionEntry(NamedTuple):
    """A point on earth in degrees (WGS 84)."""

    param: str
    latitude: float
    longitude: float


class TextEntry(NamedTuple):
    """All words of a resource for `_text` (its narrative) or `_content` (the rest), folded (`search.fulltext`)."""

    param: str
    text: str


class CompositeEntry(NamedTuple):
    """The components of one occurrence of a composite parameter, which therefore belong together."""

    param: str
    parts: "tuple[tuple[SimpleEntry, ...], ...]"
    """For each component, in order, its entries; their `param` is the position of the component ("0", "1")."""


SimpleEntry: TypeAlias = (
    TokenEntry
    | ReferenceEntry
    | StringEntry
    | UriEntry
    | DateEntry
    | NumberEntry
    | QuantityEntry
    | BaseQuantityEntry
    | PositionEntry
)
Entry: TypeAlias = SimpleEntry | CompositeEntry | TextEntry
