"""Temporal values as half-open intervals `[lo, hi)` of microseconds since 1970-01-01T00:00:00Z.

The one place where precision is interpreted (R4 search.html#date: a value stands for the whole range that its precision
leaves open). A date or partial date has no zone; it is read as UTC, so that an index does not depend on the host.
"""

import re
from datetime import MAXYEAR, UTC, date, datetime, timedelta, timezone
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
_DAY_US = 86_400 * _SECOND_US
_LAST_MONTH = 12
_EPOCH_DAY = _EPOCH.toordinal()
_FARTHEST_ZONE = 14 * 3_600
_DAY_LENGTH, _UTC_LENGTH, _ZONED_LENGTH = 10, 20, 25
"""Lengths of `2026-11-05`, `2026-11-05T10:30:00Z` and `2026-11-05T10:30:00+01:00`."""


class Interval(NamedTuple):
    """A half-open interval in microseconds since the epoch."""

    lo: int
    hi: int


@lru_cache(maxsize=4096)
def parse_temporal(text: str) -> Interval:
    """Read a FHIR date, dateTime or instant at any precision, minutes without seconds included (search allows them).

    Whole days and seconds, as most dates are, take a short way to the same result.
    Raises ValueError when the text is not such a value or names a day that does not exist.
    """
    length = len(text)
    if length == _DAY_LENGTH and text[4] == text[7] == "-":
        lo = (date.fromisoformat(text).toordinal() - _EPOCH_DAY) * _DAY_US
        return Interval(lo, lo + _DAY_US)
    if length in (_UTC_LENGTH, _ZONED_LENGTH) and text[4] == text[7] == "-" and text[13] == text[16] == ":":
        zone = text[19]
        if text[10] == "T" and (
            zone == "Z" if length == _UTC_LENGTH else zone in "+-" and text[22] == ":" and text[23] < "6"
        ):
            return _whole_second(text)
    return _at_any_precision(text)


def _whole_second(text: str) -> Interval:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:  # a leap second, or no date at all
        return _at_any_precision(text)
    offset = moment.utcoffset() or timedelta()
    away = offset.days * 86_400 + offset.seconds
    if abs(away) > _FARTHEST_ZONE:
        return _at_any_precision(text)
    seconds = moment.hour * 3_600 + moment.minute * 60 + moment.second - away
    lo = (moment.toordinal() - _EPOCH_DAY) * _DAY_US + seconds * _SECOND_US
    return Interval(lo, lo + _SECOND_US)


def _at_any_precision(text: str) -> Interval:
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
