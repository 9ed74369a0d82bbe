"""Quantities with a UCUM unit or a calendar word. Units are compared by name: none is ever converted."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

UCUM: Final = "http://unitsofmeasure.org"

UNIT_WORDS: Final = {
    "year": "year", "years": "year", "month": "month", "months": "month", "week": "week", "weeks": "week",
    "day": "day", "days": "day", "hour": "hour", "hours": "hour", "minute": "minute", "minutes": "minute",
    "second": "second", "seconds": "second", "millisecond": "millisecond", "milliseconds": "millisecond",
}  # fmt: skip
"""Calendar words of the grammar → their singular."""

_WORD_OF_CODE: Final = {
    "a": "year", "mo": "month", "wk": "week", "d": "day", "h": "hour", "min": "minute", "s": "second",
    "ms": "millisecond",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value and its unit: a UCUM code, a calendar word in the singular, or `1`."""

    value: Decimal
    unit: str

    @property
    def calendar(self) -> str:
        """The calendar word that the unit means (`d` and `day` alike), or an empty text."""
        return _WORD_OF_CODE.get(self.unit, self.unit if self.unit in UNIT_WORDS else "")

    def same_unit(self, other: "Quantity") -> bool:
        """Tell whether the values may be compared as they are."""
        return self.unit == other.unit or (self.calendar != "" and self.calendar == other.calendar)

    def __str__(self) -> str:
        return f"{self.value} {self.unit}" if self.unit in UNIT_WORDS else f"{self.value} '{self.unit}'"

    def to_json(self) -> dict[str, Any]:
        """Render as a FHIR Quantity."""
        if self.unit in UNIT_WORDS:
            return {"value": self.value, "unit": self.unit}
        return {"value": self.value, "unit": self.unit, "system": UCUM, "code": self.unit}


def quantity_of(element: dict[str, Any]) -> Quantity | None:
    """Read a FHIR Quantity (or Age, Duration, …) element; None when it has no number or has a comparator."""
    value = element.get("value")
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)) or "comparator" in element:
        return None
    unit = element.get("code") or element.get("unit") or "1"
    return Quantity(Decimal(value), unit) if isinstance(unit, str) else None
