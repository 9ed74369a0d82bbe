"""The words of the pages: one JSON file for each language in messages/, name to text with `{values}`."""

import json
from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from functools import cache
from importlib.resources import files
from typing import Final

LANGUAGES: Final = ("nl", "fr", "en", "de")
"""The languages of the pages; the first where none of them is wanted."""
NAMES: Final = {"nl": "Nederlands", "fr": "Français", "en": "English", "de": "Deutsch"}
_MOST: Final = 20


@cache
def messages(language: str) -> Mapping[str, str]:
    """Return the texts of a language by name."""
    read: dict[str, str] = json.loads(files(__package__).joinpath(f"messages/{language}.json").read_bytes())
    return read


class Texts:
    """The texts of one language; called with a name and its values it returns plain text, which templates escape."""

    def __init__(self, language: str, zone: tzinfo) -> None:
        self.language = language
        self._texts = messages(language)
        self._zone = zone

    def __call__(self, name: str, /, **values: object) -> str:
        """Return a text. Raises KeyError for a name that this language lacks."""
        text = self._texts[name]
        return text.format_map(values) if values else text

    def has(self, name: str) -> bool:
        """Tell whether there is a text of this name."""
        return name in self._texts

    def day(self, value: str) -> str:
        """Return the day of a FHIR date, dateTime or instant as people of this language write it; "" for none."""
        moment = self._moment(value)
        return moment.strftime(self._texts["format.day"]) if moment is not None else value

    def moment(self, value: str) -> str:
        """Return the day and the minute of a FHIR dateTime or instant, the day alone when it says no more."""
        moment = self._moment(value)
        if moment is None or "T" not in value:
            return self.day(value)
        return moment.strftime(f"{self._texts['format.day']} {self._texts['format.time']}")

    def number(self, value: float) -> str:
        """Return a number with at most one decimal, as this language writes it."""
        text = f"{value:.1f}".removesuffix(".0")
        return text.replace(".", self._texts["format.decimal"])

    def duration(self, value: str, unit: str) -> str:
        """Return a length of time; `unit` is a code of UCUM (d, wk, mo)."""
        name = f"duration.{unit}"
        return self(name, number=value.replace(".", self._texts["format.decimal"])) if self.has(name) else value

    def _moment(self, value: str) -> datetime | None:
        try:
            if "T" in value:
                return datetime.fromisoformat(value).astimezone(self._zone)
            return datetime.combine(date.fromisoformat(value), datetime.min.time(), self._zone)
        except ValueError:  # a year or a month alone
            return None


def choose(chosen: str, accepted: str) -> str:
    """Return the language of a visit: the one that was chosen, else the best of Accept-Language (RFC 9110 §12.5.4)."""
    if chosen in LANGUAGES:
        return chosen
    wanted: list[tuple[float, int, str]] = []
    for place, part in enumerate(accepted.split(",")[:_MOST]):
        tag, _, parameter = part.strip().lower().partition(";")
        language = tag.partition("-")[0]
        if language in LANGUAGES:
            wanted.append((-_weight(parameter), place, language))
    best = min(wanted, default=(0.0, 0, LANGUAGES[0]))
    return best[2]


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0
