"""Days of the year as people write them, and the seasons between two of them (extension service-season)."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from fhir_server.mapping.places import Place, Read, Remark, read_path

Days = Callable[[Place, Any], list[str]]
"""Returns the first and the last day of a season, [] where there is none; the description of it is passed along."""
ADVICE: Final = "is no day of the year. Write month and day as 04-01 (MM-DD), or day and month as 1/4 or 1 april."
_MONTH_FIRST = re.compile(r"(?:--)?(\d{2})-(\d{2})", re.ASCII)
_DAY_FIRST = re.compile(r"(\d{1,2})\s?[/.]\s?(\d{1,2})\.?", re.ASCII)
_NAMED = re.compile(r"(\d{1,2})(?:\.|er|ste|de)?\s+([a-z]+)\.?", re.ASCII)
_LEAP_YEAR: Final = 2024
_A_YEAR: Final = 364
"""Days from the first to the last day of a whole year, the last not counted."""
_MONTHS: Final = (
    "january januari janvier januar jan", "february februari fevrier februar feb fevr", "march maart mars marz mrt mar",
    "april avril apr avr", "may mei mai", "june juni juin jun", "july juli juillet jul juil",
    "august augustus aout aug", "september septembre sept sep", "october oktober octobre okt oct",
    "november novembre nov", "december decembre dezember dec dez",
)  # fmt: skip


def day_of_year(text: str) -> str | None:
    """Return `MM-DD` for a day of the year as people write it; of a whole date (2026-04-01) the year is dropped.

    A hyphen stands between month and day, a stroke or a dot between day and month. None for what is no such day.
    """
    plain = unicodedata.normalize("NFKD", text.strip().casefold())
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    if match := _MONTH_FIRST.fullmatch(plain):
        month, day = int(match[1]), int(match[2])
    elif match := _DAY_FIRST.fullmatch(plain):
        day, month = int(match[1]), int(match[2])
    elif match := _NAMED.fullmatch(plain):
        day = int(match[1])
        month = next((number for number, names in enumerate(_MONTHS, start=1) if match[2] in names.split()), 0)
    else:
        whole = _whole_date(plain)
        return f"{whole:%m-%d}" if whole else None
    try:
        return f"{date(_LEAP_YEAR, month, day):%m-%d}"
    except ValueError:
        return None


def compile_season(spec: Mapping[str, Any]) -> Any:
    """Compile `season`: the parts of the extension service-season, None where there is no season.

    Where the days are those between which a statement holds (`validity`), they are one only with a year and less than
    a year apart; other such days say nothing and are passed over. Of several statements the narrowest counts.
    """
    parts = spec["season"]
    text = read_path(parts["description"]) if "description" in parts else None
    days_of = (_passing if parts.get("validity", False) else _recurring)(parts)

    def value(place: Place) -> list[dict[str, str]] | None:
        why = text(place) if text else None
        days = days_of(place, why)
        if not days:
            return None
        made = [{"url": "start", "valueString": days[0]}, {"url": "end", "valueString": days[1]}]
        return [*made, {"url": "description", "valueString": str(why)}] if why else made

    return value


def _recurring(parts: Mapping[str, Any]) -> Days:
    reads = [(parts[name], read_path(parts[name])) for name in ("start", "end")]

    def days_of(place: Place, why: Any) -> list[str]:
        said = {path: str(found) for path, read in reads if (found := read(place))}
        if not said and why is None:
            return []
        days = []
        for path, _ in reads:
            day = day_of_year(said.get(path, ""))
            if day is None:
                other = "is missing: a season has a first and a last day." if path not in said else ADVICE
                shown = f"{said[path][:60]!r} " if path in said else "The other day of the season "
                place.run.remark(Remark("warning", "unreadable-value", path, shown + other))
                return []
            days.append(day)
        return days

    return days_of


def _passing(parts: Mapping[str, Any]) -> Days:
    """Return what reads two dates that are less than a year apart, [] for others."""
    listed = [[parts[name]] if isinstance(parts[name], str) else parts[name] for name in ("start", "end")]
    starts, ends = ([(path, read_path(path)) for path in paths] for paths in listed)

    def days_of(place: Place, _: Any) -> list[str]:
        first, last = max(_dates(place, starts), default=None), min(_dates(place, ends), default=None)
        if first is None or last is None:
            return []
        if last < first:
            said = f"{last} comes before {first}, so these days are passed over."
            place.run.remark(Remark("warning", "unreadable-value", listed[1][0], said))
        return [f"{first:%m-%d}", f"{last:%m-%d}"] if 0 < (last - first).days < _A_YEAR else []

    return days_of


def _dates(place: Place, reads: Sequence[tuple[str, Read]]) -> list[date]:
    """Return the dates that are said, with a remark for what is none."""
    found = []
    for path, read in reads:
        text = read(place)
        one = _whole_date(str(text)) if text else None
        if one is not None:
            found.append(one)
        elif text:
            place.run.remark(
                Remark("warning", "unreadable-value", path, f"{str(text)[:60]!r} is not a date as 2026-11-22.")
            )
    return found


def _whole_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
