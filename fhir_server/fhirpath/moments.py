"""Dates, dateTimes and times with the precision they were written in (FHIRPath N1, section Date/Time literals).

Comparison goes component by component and is undecided where one side stops earlier. A dateTime without a zone is read
as UTC, as everywhere in this server.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Final, Literal

from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.quantities import Quantity

MomentKind = Literal["date", "dateTime", "time"]

_DATE: Final = re.compile(
    r"(\d{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01]))?)?"
    r"(T(?:([01]\d|2[0-3])(?::([0-5]\d)(?::([0-5]\d|60)(\.\d+)?)?)?(Z|[+-]\d\d:\d\d)?)?)?",
    re.ASCII,
)
_TIME: Final = re.compile(r"T?([01]\d|2[0-3])(?::([0-5]\d)(?::([0-5]\d|60)(\.\d+)?)?)?", re.ASCII)
_TO_DAY: Final = 3
_TO_MINUTE: Final = 5
_FARTHEST: Final = 10**15
"""No duration that stays within the calendar is a larger number, milliseconds included."""
_STEP: Final = {"week": 7 * 86_400, "day": 86_400, "hour": 3600, "minute": 60, "second": 1}
_LEVEL: Final = {"year": 1, "month": 2, "week": 3, "day": 3, "hour": 4, "minute": 5, "second": 6, "millisecond": 6}


@dataclass(frozen=True, slots=True)
class Moment:
    """A date, dateTime or time; `parts` are the components that were written (year … second, or hour … second)."""

    text: str
    kind: MomentKind
    parts: tuple[int | Decimal, ...]
    offset: int | None = None
    """Minutes east of UTC, where the text says so."""

    @classmethod
    def parse(cls, text: str, *, literal: bool = False) -> "Moment":
        """Read a date, dateTime, instant or time. Raises FhirPathError (a literal) when it is none."""
        moment = moment_of(text)
        if moment is None:
            where = "the literal @" if literal else ""
            raise FhirPathError(f"FHIRPath: {where}{text} is not a date, dateTime or time that exists.")
        return moment

    def __str__(self) -> str:
        return self.text

    def in_utc(self) -> tuple[int | Decimal, ...]:
        """Return the components shifted to UTC where a zone other than UTC is known."""
        if not self.offset or len(self.parts) < _TO_MINUTE:
            return self.parts
        year, month, day, hour, minute = (int(part) for part in self.parts[:_TO_MINUTE])
        try:
            moved = datetime(year, month, day, hour, minute, tzinfo=UTC) - timedelta(minutes=self.offset)
        except (OverflowError, ValueError):
            return self.parts
        return (moved.year, moved.month, moved.day, moved.hour, moved.minute, *self.parts[_TO_MINUTE:])


def moment_of(text: str) -> Moment | None:
    """Read a text as a moment, or return None."""
    if match := _DATE.fullmatch(text):
        return _date(text, match)
    if match := _TIME.fullmatch(text):
        return Moment(text.removeprefix("T"), "time", _numbers(match[1], match[2], match[3], match[4]))
    return None


def _date(text: str, match: re.Match[str]) -> Moment | None:
    year, month, day = int(match[1]), int(match[2] or 1), int(match[3] or 1)
    if year == 0 or day > calendar.monthrange(year, month)[1]:
        return None
    parts = _numbers(match[1], match[2], match[3])
    if match[4] is None:
        return Moment(text, "date", parts)
    if match[5] is None:
        return Moment(text.removesuffix("T"), "dateTime", parts)
    if match[3] is None:
        return None
    zone = match[9]
    offset = None
    if zone is not None:
        offset = 0 if zone == "Z" else int(zone[:3]) * 60 + int(zone[0] + zone[4:])
    return Moment(text, "dateTime", parts + _numbers(match[5], match[6], match[7], match[8]), offset)


def _numbers(*texts: str | None) -> tuple[int | Decimal, ...]:
    found = [text for text in texts if text is not None]
    if found and found[-1].startswith("."):
        return (*(int(text) for text in found[:-2]), Decimal(found[-2] + found[-1]))
    return tuple(int(text) for text in found)


def compare_moments(left: Moment, right: Moment) -> int | None:
    """Return -1, 0 or 1, or None where the precisions leave it open. Raises FhirPathError on a time and a date."""
    if (left.kind == "time") != (right.kind == "time"):
        raise FhirPathError(f"FHIRPath: {left} and {right} cannot be compared: only one of them is a time of day.")
    zoned = len(left.parts) > _TO_DAY and len(right.parts) > _TO_DAY
    ours, theirs = (left.in_utc(), right.in_utc()) if zoned else (left.parts, right.parts)
    for mine, other in zip(ours, theirs, strict=False):
        if mine != other:
            return -1 if mine < other else 1
    return 0 if len(ours) == len(theirs) else None


def shift(moment: Moment, quantity: Quantity, sign: int) -> Moment:
    """Add (`sign` 1) or subtract (-1) a duration; parts finer than the precision are dropped as N1 asks.

    Raises FhirPathError when the unit is no duration or the result leaves the years 1 to 9999.
    """
    unit = quantity.calendar
    if not unit or (moment.kind == "time" and _LEVEL[unit] <= _TO_DAY):
        raise FhirPathError(f"FHIRPath: {quantity} cannot be added to the {moment.kind} {moment}: it is no duration.")
    if quantity.value.copy_abs() > _FARTHEST:
        raise FhirPathError(f"FHIRPath: {moment} and {quantity} leave the years 1 to 9999.")
    amount = quantity.value * sign
    try:
        return _shifted_time(moment, amount, unit) if moment.kind == "time" else _shifted(moment, amount, unit)
    except (OverflowError, ValueError) as error:
        raise FhirPathError(f"FHIRPath: {moment} and {quantity} leave the years 1 to 9999.") from error


def _seconds(amount: Decimal, unit: str) -> Decimal:
    return amount / 1000 if unit == "millisecond" else amount * _STEP[unit]


def _split(seconds: Decimal) -> tuple[int, Decimal]:
    minutes = int((seconds / 60).to_integral_value(ROUND_FLOOR))
    return minutes, seconds - minutes * 60


def _shifted_time(moment: Moment, amount: Decimal, unit: str) -> Moment:
    hour, minute, second = (*moment.parts, 0, 0)[:3]
    minutes, seconds = _split(Decimal(second) + _seconds(amount, unit))
    minutes += int(hour) * 60 + int(minute)
    parts: tuple[int | Decimal, ...] = (minutes // 60 % 24, minutes % 60, seconds)
    kept = tuple(parts[: len(moment.parts)])
    return Moment(":".join(_two(part) for part in kept), "time", kept)


def _shifted(moment: Moment, amount: Decimal, unit: str) -> Moment:
    count = len(moment.parts)
    year, month, day, hour, minute = (*(int(part) for part in moment.parts[:_TO_MINUTE]), *(1, 1, 0, 0)[count - 1 :])[
        :5
    ]
    second = Decimal(moment.parts[5]) if count > _TO_MINUTE else Decimal(0)
    if unit in ("year", "month"):
        months = year * 12 + month - 1 + int(amount) * (12 if unit == "year" else 1)
        year, month = divmod(months, 12)
        month += 1
        day = min(day, calendar.monthrange(year, month)[1])
        moved = datetime(year, month, day, hour, minute, tzinfo=UTC)
    else:
        if count == 1:
            return _shifted(moment, Decimal(int(_seconds(amount, unit) / (365 * 86_400))), "year")
        if count < _TO_DAY:
            return _shifted(moment, Decimal(int(_seconds(amount, unit) / (30 * 86_400))), "month")
        step = _seconds(amount, unit)
        if count == _TO_DAY:
            step = Decimal(int(step / 86_400) * 86_400)
        minutes, second = _split(second + step)
        moved = datetime(year, month, day, hour, minute, tzinfo=UTC) + timedelta(minutes=minutes)
    parts = (moved.year, moved.month, moved.day, moved.hour, moved.minute, second)[:count]
    return Moment(_render(parts, moment), moment.kind, parts, moment.offset)


def _render(parts: tuple[int | Decimal, ...], like: Moment) -> str:
    date = "-".join((f"{parts[0]:04d}", *(f"{part:02d}" for part in parts[1:_TO_DAY])))
    if len(parts) <= _TO_DAY:
        return date
    zone = like.text[like.text.index("T") :].lstrip("T0123456789:.")
    return f"{date}T{':'.join(_two(part) for part in parts[_TO_DAY:])}{zone}"


def _two(part: int | Decimal) -> str:
    whole, dot, fraction = str(part).partition(".")
    return whole.rjust(2, "0") + dot + fraction
