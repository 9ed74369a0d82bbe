"""The periods of the calendar that figures are told for: a month `2026-11`, a quarter `2026-Q4`, a year `2026`."""

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from fhir_server.http.pages.visit import Visit
from fhir_server.model.errors import Malformed

_PERIOD: Final = re.compile(r"(\d{4})(?:-(?:(0[1-9]|1[0-2])|Q([1-4])))?", re.ASCII)
_MONTHS, _QUARTERS, _YEARS = 12, 8, 4
"""How many of each are offered, the running one first."""


class Period(NamedTuple):
    """One period to choose."""

    value: str
    name: str
    chosen: bool


def days_of(period: str) -> list[tuple[str, str]]:
    """Return from when to when a period asks for figures. Raises Malformed for what is no period."""
    found = _PERIOD.fullmatch(period)
    if found is None or found[1] == "0000":
        raise Malformed(f"{period!r} is no period; choose one from the list.", key="form-field")
    first, last = _months(found)
    # days that lie within it are enough: what counts is the period of the calendar that holds them
    return [("start", f"{found[1]}-{first:02d}-01"), ("end", f"{found[1]}-{last:02d}-28")]


def of_days(start: str, end: str) -> str:
    """Return the period that a report counted, by its first and last day."""
    first, last = int(start[5:7]), int(end[5:7])
    if first == last:
        return start[:7]
    return start[:4] if (first, last) == (1, 12) else f"{start[:4]}-Q{(first + 2) // 3}"


def offered_periods(visit: Visit, chosen: str) -> list[tuple[str, list[Period]]]:
    """Return what to choose from, by kind (quarter, month, year), the newest first; what is chosen is always there."""
    today = datetime.fromtimestamp(visit.site.engine.clock.now_ms() / 1000, UTC)
    month, quarter = today.year * 12 + today.month - 1, today.year * 4 + (today.month - 1) // 3
    values = {
        "quarter": [f"{at // 4:04d}-Q{at % 4 + 1}" for at in range(quarter, quarter - _QUARTERS, -1)],
        "month": [f"{at // 12:04d}-{at % 12 + 1:02d}" for at in range(month, month - _MONTHS, -1)],
        "year": [f"{at:04d}" for at in range(today.year, today.year - _YEARS, -1)],
    }
    if chosen and not any(chosen in listed for listed in values.values()):
        values["quarter" if "Q" in chosen else "month" if "-" in chosen else "year"].append(chosen)
    return [
        (visit.texts(f"region.{kind}"), [Period(one, _name(visit, one), one == chosen) for one in listed])
        for kind, listed in values.items()
    ]


def _months(found: re.Match[str]) -> tuple[int, int]:
    if found[2]:
        return int(found[2]), int(found[2])
    return (int(found[3]) * 3 - 2, int(found[3]) * 3) if found[3] else (1, 12)


def _name(visit: Visit, period: str) -> str:
    year, _, part = period.partition("-")
    if not part:
        return year
    if part.startswith("Q"):
        return visit.texts("region.quarter-of", number=part[1:], year=year)
    return visit.texts("region.month-of", month=visit.texts(f"month.{part}"), year=year)
