"""Temporal values as half-open intervals `[lo, hi)` of microseconds since 1970-01-01T00:00:00Z.

The one place where precision is interpreted (R4 search.html#date: a value stands for the whole range that its precision
leaves open). A date or partial date has no zone; it is read as UTC, so that an index does not depend on the host.
"""

import re
from datetime import MAXYEAR, UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, NamedTuple

BEGINNING = -(2**62)
"""`lo` of an interval without a start."""
END = 2**62
"""`hi` of an interval without an end."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TEXT = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>0[1-9]|1[0-2])(?:-(?P<day>0[1-9]|[12]\d|3[01])"
    r"(?:T(?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d|60)(?:\.(?P<fraction>\d+))?)?"
    r"(?P<zone>Z|[+-](?:0\d|1[0-3]):[0-5]\d|[+-]14:00)?)?)?)?",
    re.ASCII,
)
_SECOND_US = 1_000_000
_LAST_MONTH = 12


class Interval(NamedTuple):
    """A half-open interval in microseconds since the epoch."""

    lo: int
    hi: int


@lru_cache(maxsize=4096)
def parse_temporal(text: str) -> Interval:
    """Read a FHIR date, dateTime or instant at any precision, minutes without seconds included (search allows them).

    Raises ValueError when the text is not such a value or names a day that does not exist.
    """
    match = _TEXT.fullmatch(text)
    if match is None or match["year"] == "0000":
        raise ValueError(f"{text!r} is not a FHIR date, dateTime or instant")
    year, month, day = int(match["year"]), int(match["month"] or 1), int(match["day"] or 1)
    if match["hour"] is None:
        start = datetime(year, month, day, tzinfo=UTC)
        return Interval(_micros(start), _end_of_date(start, match["month"], match["day"]))
    second = min(int(match["second"] or 0), 59)  # a leap second is read as the last second of its minute
    start = datetime(year, month, day, int(match["hour"]), int(match["minute"]), second, tzinfo=_zone(match["zone"]))
    lo = _micros(start)
    if match["second"] is None:
        return Interval(lo, lo + 60 * _SECOND_US)
    fraction = match["fraction"]
    if fraction is None:
        return Interval(lo, lo + _SECOND_US)
    lo += int(fraction[:6].ljust(6, "0"))
    return Interval(lo, lo + int(10 ** max(0, 6 - len(fraction))))


def period_interval(start: str | None, end: str | None) -> Interval:
    """Return the interval of a Period; an absent bound is open. Raises ValueError on a malformed bound."""
    lo = parse_temporal(start).lo if start else BEGINNING
    hi = parse_temporal(end).hi if end else END
    return Interval(lo, hi)


def timing_interval(timing: dict[str, Any]) -> Interval | None:
    """Return the outer interval of a Timing: its events, or else its bounds; None when it has neither.

    Raises ValueError on a malformed date.
    """
    events = [parse_temporal(event) for event in timing.get("event", ()) if isinstance(event, str)]
    repeat = timing.get("repeat")
    bounds = repeat.get("boundsPeriod") if isinstance(repeat, dict) else None
    if isinstance(bounds, dict):
        events.append(period_interval(bounds.get("start"), bounds.get("end")))
    if not events:
        return None
    return Interval(min(event.lo for event in events), max(event.hi for event in events))


def _zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-offset if text[0] == "-" else offset)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _end_of_date(start: datetime, month: str | None, day: str | None) -> int:
    if day is not None:
        return _micros(start) + 86_400 * _SECOND_US
    year, last = start.year, month is None or start.month == _LAST_MONTH
    if last and year == MAXYEAR:  # 9999-12 and 9999 end where datetime ends
        return _micros(datetime(year, 12, 31, tzinfo=UTC)) + 86_400 * _SECOND_US
    return _micros(datetime(year + 1, 1, 1, tzinfo=UTC) if last else datetime(year, start.month + 1, 1, tzinfo=UTC))
