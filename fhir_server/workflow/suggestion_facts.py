"""What a suggestion counts with: the facts of an offer, the wish of a person, the weights, and a factor for each."""

import json
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from fhir_server.workflow.seasons import Season

_UNSAID = 0.5
WITHOUT_TRAVEL: Final = frozenset({"at-home", "phone", "online", "outreach"})
"""Channels that ask no journey of the person."""
CAPACITIES: Final = frozenset({"capacity", "no-capacity", "waitlist", "additional-assessment-required", "unknown"})
"""What a service may say of its capacity (ValueSet capacity-status)."""


class RulesBroken(ValueError):
    """The data of the ranking cannot be used."""


class Rules(NamedTuple):
    """The weights and factors of mappings/suggestion.json."""

    weights: Mapping[str, float]
    need: Mapping[str, float]
    half_distance: float
    longest_wait: float
    verified_within: float
    capacity: Mapping[str, float]
    version: str


class Closure(NamedTuple):
    """A period in which a service is closed: `[start, end)` in milliseconds, and why."""

    start: int
    end: int
    why: str


class Offer(NamedTuple):
    """What a HealthcareService says, as far as it counts here."""

    id: str
    needs: frozenset[str] = frozenset()
    """Codes of social-need."""
    types: frozenset[str] = frozenset()
    """Codes of service-type."""
    areas: frozenset[str] = frozenset()
    """Ids of the Locations it covers; empty: everywhere."""
    youngest: float = 0.0
    oldest: float = math.inf
    """Years, both included."""
    languages: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    capacity: str = "unknown"
    wait_days: float | None = None
    verified_ms: int | None = None
    closed: tuple[Closure, ...] = ()
    places: tuple[tuple[float, float], ...] = ()
    """Latitude and longitude of its sites."""
    seasons: tuple[Season, ...] = ()
    """When in the year it is given; empty: always."""
    provider: str = ""
    """The reference to who provides it, as it is stored."""


class Wish(NamedTuple):
    """What is sought, for whom, where. `needs` maps each code that may answer a need to how it answers (`Rules.need`)."""

    needs: Mapping[str, str]
    types: frozenset[str]
    """Service types that answer the needs."""
    areas: frozenset[str]
    """Ids of the Locations that the person lives in: by code, by boundary, and what these are part of."""
    age: float | None = None
    languages: tuple[str, ...] = ()
    channels: frozenset[str] = frozenset()
    """Ways that would do; empty: any."""
    at_home: bool = False
    """The person cannot travel."""
    themes: frozenset[str] = frozenset()
    position: tuple[float, float] | None = None
    now_ms: int = 0


@lru_cache(maxsize=4)
def load_rules(root: Path) -> Rules:
    """Read the ranking from an artefact root. Raises RulesBroken."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415  # a tenth of a second, at first use only

    try:
        schema = json.loads((root / "mappings" / "suggestion.schema.json").read_bytes())
        raw: dict[str, Any] = json.loads((root / "mappings" / "suggestion.json").read_bytes())
    except (OSError, ValueError) as error:
        raise RulesBroken(f"mappings/suggestion.json cannot be read: {error}") from error
    for fault in Draft202012Validator(schema).iter_errors(raw):
        raise RulesBroken(f"mappings/suggestion.json {fault.json_path}: {fault.message}")
    return Rules(
        raw["weights"],
        raw["need"],
        float(raw["halfDistanceMetres"]),
        float(raw["longestWaitDays"]),
        float(raw["verifiedWithinDays"]),
        raw["capacity"],
        raw["version"],
    )


Found: TypeAlias = tuple[str, float]
"""The code of a reason and its factor, 0–1."""


def _theme(offer: Offer, wish: Wish, _: Rules, __: float | None) -> Found | None:
    if not wish.themes:
        return None
    return ("theme-fits", 1.0) if offer.types & wish.themes else ("theme-differs", 0.0)


def _language(offer: Offer, wish: Wish, _: Rules, __: float | None) -> Found | None:
    if not wish.languages:
        return None
    if not offer.languages:
        return "language-unknown", _UNSAID
    for place, language in enumerate(wish.languages):
        if _speaks(offer, language):
            return "language-spoken", 1.0 - 0.1 * min(place, 5)
    return "language-not-spoken", 0.0


def _channel(offer: Offer, wish: Wish, _: Rules, __: float | None) -> Found | None:
    wanted = wish.channels or (WITHOUT_TRAVEL if wish.at_home else None)
    if wanted is None:
        return None
    return ("channel-offered", 1.0) if offer.channels & wanted else ("channel-unknown", _UNSAID)


def _near(_: Offer, wish: Wish, rules: Rules, far: float | None) -> Found | None:
    if wish.position is None:
        return None
    return ("distance-unknown", _UNSAID) if far is None else ("near", rules.half_distance / (rules.half_distance + far))


def _capacity(offer: Offer, _: Wish, rules: Rules, __: float | None) -> Found:
    known = offer.capacity if offer.capacity in rules.capacity else "unknown"
    return f"capacity-{known}", rules.capacity[known]


def _wait(offer: Offer, _: Wish, rules: Rules, __: float | None) -> Found:
    if offer.wait_days is None:
        return "wait-unknown", _UNSAID
    return "wait-known", max(0.0, 1.0 - offer.wait_days / rules.longest_wait)


def _verified(offer: Offer, wish: Wish, rules: Rules, _: float | None) -> Found:
    if offer.verified_ms is None:
        return "verified-never", 0.0
    factor = max(0.0, 1.0 - _days_ago(offer.verified_ms, wish) / rules.verified_within)
    return ("verified-recently" if factor else "verified-long-ago"), factor


FACTORS: Final[tuple[tuple[str, Callable[[Offer, Wish, Rules, float | None], Found | None]], ...]] = (
    ("theme", _theme),
    ("language", _language),
    ("channel", _channel),
    ("distance", _near),
    ("capacity", _capacity),
    ("wait", _wait),
    ("verified", _verified),
)


def applies(name: str, wish: Wish) -> bool:
    """Whether a factor can count for a wish at all."""
    match name:
        case "theme":
            return bool(wish.themes)
        case "language":
            return bool(wish.languages)
        case "channel":
            return bool(wish.channels) or wish.at_home
        case "distance":
            return wish.position is not None
        case _:
            return True


def detail_of(code: str, offer: Offer, wish: Wish, far: float | None) -> str:
    """Return what goes with the code of a reason: a theme, a language, a distance, a wait."""
    match code:
        case "theme-fits":
            return ", ".join(sorted(offer.types & wish.themes))
        case "language-spoken":
            return next(language for language in wish.languages if _speaks(offer, language))
        case "language-not-spoken":
            return ", ".join(sorted(offer.languages))
        case "channel-offered":
            return ", ".join(sorted(offer.channels & (wish.channels or WITHOUT_TRAVEL)))
        case "near":
            return f"{(far or 0.0) / 1000:.1f} km"
        case "wait-known":
            return f"{offer.wait_days:g} d"
        case "verified-recently" | "verified-long-ago":
            return f"{_days_ago(offer.verified_ms or 0, wish):.0f} d"
        case _:
            return ""


def _speaks(offer: Offer, language: str) -> bool:
    return language in offer.languages or language.partition("-")[0] in offer.languages


def _days_ago(then_ms: int, wish: Wish) -> float:
    return max(0.0, (wish.now_ms - then_ms) / 86_400_000)
