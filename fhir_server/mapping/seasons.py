"""Days of the year as people write them, and the seasons between two of them (extension service-season)."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from fhir_server.mapping.places import Place, Remark, read_path

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
    a year apart; other such days say nothing and are passed over.
    """
    parts = spec["season"]
    start, end, validity = read_path(parts["start"]), read_path(parts["end"]), parts.get("validity", False)
    text = read_path(parts["description"]) if "description" in parts else None

    def value(place: Place) -> list[dict[str, str]] | None:
        said = {parts[name]: str(found) for name, read in (("start", start), ("end", end)) if (found := read(place))}
        why = text(place) if text else None
        if not said and (validity or why is None):
            return None
        days = _passing(said) if validity else _recurring(place, parts, said)
        if not days:
            return None
        made = [{"url": "start", "valueString": days[0]}, {"url": "end", "valueString": days[1]}]
        return [*made, {"url": "description", "valueString": str(why)}] if why else made

    return value


def _recurring(place: Place, parts: Mapping[str, str], said: Mapping[str, str]) -> list[str]:
    days = []
    for name in (parts["start"], parts["end"]):
        day = day_of_year(said.get(name, ""))
        if day is None:
            other = "is missing: a season has a first and a last day." if name not in said else ADVICE
            shown = f"{said[name][:60]!r} " if name in said else "The other day of the season "
            place.run.remark(Remark("warning", "unreadable-value", name, shown + other))
            return []
        days.append(day)
    return days


def _passing(said: Mapping[str, str]) -> list[str]:
    """Return the days of two dates that are less than a year apart, [] for others."""
    dates = [_whole_date(text) for text in said.values()]
    if len(dates) < 2 or dates[0] is None or dates[1] is None:  # noqa: PLR2004  # a start and an end
        return []
    return [f"{one:%m-%d}" for one in dates if one] if 0 < (dates[1] - dates[0]).days < _A_YEAR else []


def _whole_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
