"""Seasons of a service: from a day of the year to another, both included, over New Year where the end comes first.

Days are those of UTC, as everywhere that a suggestion counts with dates.
"""

import re
from calendar import isleap
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final, NamedTuple

_DAY_MS: Final = 86_400_000
_LEAP_DAY: Final = "02-29"
_DAY: Final = re.compile(r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|[12]\d))", re.ASCII)  # fmt: skip


class Season(NamedTuple):
    """A part of each year; `start` and `end` are `MM-DD`, which sort as they follow one another."""

    start: str
    end: str
    why: str = ""

    def holds(self, day: str) -> bool:
        """Tell whether a day, `MM-DD`, is in the season."""
        if self.start <= self.end:
            return self.start <= day <= self.end
        return day >= self.start or day <= self.end

    def begins(self, after: date) -> date:
        """Return the first day of the next season.

        One from 29 February begins on 1 March in a year without that day; one of that day only waits for a leap year.
        """
        year = after.year if self.start > f"{after:%m-%d}" else after.year + 1
        if self.start == self.end == _LEAP_DAY:
            while not isleap(year):
                year += 1
        month, day = (3, 1) if self.start == _LEAP_DAY and not isleap(year) else map(int, self.start.split("-"))
        return date(year, month, day)


def read_season(start: str, end: str, why: str) -> Season | None:
    """Return a season of two days of the year, None where one is no such day."""
    return Season(start, end, why) if is_day(start) and is_day(end) else None


def is_day(text: str) -> bool:
    """Tell whether a text is a day of the year, `MM-DD`."""
    return _DAY.fullmatch(text) is not None


def next_season(seasons: Sequence[Season], now_ms: int) -> str:
    """Return when the next season begins and what it is, "" in a season or where there are none."""
    today, day = _today(now_ms // _DAY_MS)
    for season in seasons:
        if season.holds(day):
            return ""
    if not seasons:
        return ""
    begins, why = min((season.begins(today), season.why) for season in seasons)
    return f"{begins.isoformat()} ({why})" if why else begins.isoformat()


@lru_cache(maxsize=4)
def _today(days: int) -> tuple[date, str]:
    today = datetime.fromtimestamp(days * 86_400, UTC).date()
    return today, f"{today:%m-%d}"
