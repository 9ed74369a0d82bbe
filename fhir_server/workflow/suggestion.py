"""Which services fit a person: a documented function of the facts of an offer and the wishes of a person, nothing else.

First an offer is held against what excludes it: the area, the age, a closed period, the way it is given. What is left
gets a score between 0 and 1: the sum of weight × factor over the reasons that apply, divided by the sum of their
weights. A reason applies when the wish asks for it (a theme, a language, a channel, a position) or the offer says it
(capacity, wait, date of the last check); what an offer does not say counts as half. Ties go by id. The weights are data
(mappings/suggestion.json).
"""

import math
from collections.abc import Callable, Iterable
from heapq import nsmallest
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from fhir_server.search.match import distance as metres_between
from fhir_server.workflow.seasons import next_season
from fhir_server.workflow.suggestion_facts import (
    FACTORS,
    WITHOUT_TRAVEL,
    Closure,
    Found,
    Offer,
    Rules,
    Wish,
    applies,
    detail_of,
)

K = TypeVar("K")
V = TypeVar("V")


class Reason(NamedTuple):
    """One reason: a code of CodeSystem/suggestion-reason, its part of the score (weight × factor), and a detail."""

    code: str
    part: float = 0.0
    detail: str = ""


class Fit(NamedTuple):
    """An offer that fits, with its score (0–1) and its distance in metres where one is known."""

    offer: Offer
    score: float
    distance: float | None


class Match(NamedTuple):
    """A fit and why: the parts of its reasons, added up and divided by the weights that apply, are its score."""

    offer: Offer
    score: float
    distance: float | None
    reasons: tuple[Reason, ...]


class Exclusion(NamedTuple):
    """An offer that answers the need and is left out, with the first reason why."""

    offer: Offer
    reason: Reason


Verdict: TypeAlias = Fit | Exclusion | None

_FACTS: Final = {
    "theme": "types", "language": "languages", "channel": "channels", "distance": "places", "capacity": "capacity",
    "wait": "wait_days", "verified": "verified_ms",
}  # fmt: skip
"""The one fact of an offer that a factor reads."""
_FACTOR: Final = dict(FACTORS)
_NOTHING: Final[Found] = ("", 0.0)
_SERVED: Final = Reason("area-served")
_EVERYWHERE: Final = Reason("area-everywhere")
_NEW: Final[Callable[..., Any]] = tuple.__new__
"""Makes a named tuple of a tuple; its own constructor takes twice as long, and many offers fit."""


class _Kept(dict[K, V]):
    """What follows from a fact, found once for each: many offers say the same of themselves."""

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[K], V]) -> None:
        self._find = find

    def __missing__(self, fact: K) -> V:
        found = self[fact] = self._find(fact)
        return found


def judge(offer: Offer, wish: Wish, rules: Rules) -> Verdict:
    """Hold an offer against a wish; None when it answers no need at all. `explained` says why it has its score."""
    return judging(wish, rules)(offer)


def judging(wish: Wish, rules: Rules) -> Callable[[Offer], Verdict]:
    """Return what holds offers against a wish, and says why one is left out."""
    fit, needs, objection = fitting(wish, rules), _answering(wish, rules), _refusing(wish)

    def verdict(offer: Offer) -> Verdict:
        found = fit(offer)
        if found is not None or (needs[offer.needs] is None and offer.types.isdisjoint(wish.types)):
            return found
        code = objection(offer)
        return Exclusion(offer, Reason(code, detail=_refused(code, offer, wish)))

    return verdict


def fitting(wish: Wish, rules: Rules, *, served: bool = False) -> Callable[[Offer], Fit | None]:
    """Return what tells offers that fit a wish: many are held against it, so what follows from a fact is found once.

    `served` says that the offers were chosen by the area, so that it need not be looked at again.
    """
    needs, types, position = _answering(wish, rules), wish.types, wish.position
    objection = _refusing(wish, served=served)
    by_type = rules.need["type"] * rules.weights["need"]
    counted = _counted(wish)
    total = rules.weights["need"]
    for name, _, _ in counted:
        total += rules.weights[name]
    rounded = _Kept[float, float](lambda share: round(share, 6))

    def fit(offer: Offer) -> Fit | None:
        score = needs[offer.needs]
        if score is None:
            if types.isdisjoint(offer.types):
                return None
            score = by_type
        if objection(offer):
            return None
        far = None if position is None else _distance(offer, position)
        for name, place, parts in counted:
            part = parts.get(offer[place])
            if part is None:
                part = parts[offer[place]] = rules.weights[name] * _said(name, offer, wish, rules, far)[1]
            score += part
        share = score / total if total else 0.0
        found: Fit = _NEW(Fit, (offer, rounded[share] if far is None else round(share, 6), far))
        return found

    return fit


def explained(fit: Fit, wish: Wish, rules: Rules) -> Match:
    """Return a fit with its reasons: first the needs, then what counts, last the area."""
    return explaining(wish, rules)(fit)


def explaining(wish: Wish, rules: Rules) -> Callable[[Fit], Match]:
    """Return what gives the reasons of fits, see `explained`."""
    counted = _counted(wish)

    def match(fit: Fit) -> Match:
        offer, score, far = fit
        reasons = _needs(offer, wish, rules)
        for name, place, known in counted:
            reason = known.get(offer[place])
            if reason is None:
                code, factor = _said(name, offer, wish, rules, far)
                reason = Reason(code, rules.weights[name] * factor, detail_of(code, offer, wish, far))
                known[offer[place]] = reason
            reasons.append(reason)
        reasons.append(_SERVED if offer.areas else _EVERYWHERE)
        return Match(offer, score, far, tuple(reasons))

    return match


def ranked(fits: Iterable[Fit], most: int) -> list[Fit]:
    """Return the first of the order: by score, then the nearer one, then by id."""
    listed = list(fits)
    if len(listed) > most > 0:  # who scores less than enough others is not looked at
        least = sorted([score for _, score, _ in listed])[-most]
        listed = [fit for fit in listed if fit[1] >= least]
    order = [
        (-score, math.inf if far is None else far, offer.id, place) for place, (offer, score, far) in enumerate(listed)
    ]
    return [listed[place] for _, _, _, place in nsmallest(most, order)]


def _needs(offer: Offer, wish: Wish, rules: Rules) -> list[Reason]:
    """Return a reason for each need that is answered, the best first; only the best counts, or wide offers would win."""
    found = [Reason(f"need-{how}", rules.need[how], code) for code in offer.needs if (how := wish.needs.get(code))]
    if not found and (shared := offer.types & wish.types):
        found = [Reason("need-type", rules.need["type"], min(shared))]
    weight = rules.weights["need"]
    found.sort(key=lambda reason: (-reason.part, reason.detail))
    return [reason._replace(part=0.0 if place else reason.part * weight) for place, reason in enumerate(found)]


def _answering(wish: Wish, rules: Rules) -> _Kept[frozenset[str], float | None]:
    """Return the part of the score for the needs of an offer: that of the best; None where none is answered."""
    worth = {code: rules.need[how] for code, how in wish.needs.items() if how}
    weight = rules.weights["need"]

    def best(needs: frozenset[str]) -> float | None:
        found = [worth[code] for code in needs if code in worth]
        return max(found) * weight if found else None

    return _Kept(best)


def _counted(wish: Wish) -> list[tuple[str, int, dict[Any, Any]]]:
    """Return the factors that count for a wish: the name, the place of its fact in an offer, what is known by the fact."""
    return [(name, Offer._fields.index(_FACTS[name]), {}) for name, _ in FACTORS if applies(name, wish)]


def _said(name: str, offer: Offer, wish: Wish, rules: Rules, far: float | None) -> Found:
    """Return what a factor says; one that applies to a wish always says something."""
    return _FACTOR[name](offer, wish, rules, far) or _NOTHING


def _refusing(wish: Wish, *, served: bool = False) -> Callable[[Offer], str]:
    """Return what tells why an offer is left out, by the code of the reason; "" when it is not."""
    areas, age, now, channels, at_home = wish.areas, wish.age, wish.now_ms, wish.channels, wish.at_home

    def objection(offer: Offer) -> str:
        if not served and offer.areas and areas.isdisjoint(offer.areas):
            return "area-not-served"
        if age is not None and not offer.youngest <= age < offer.oldest + 1:
            return "age-outside"
        if offer.closed and _closure(offer, now) is not None:
            return "closed-now"
        if offer.seasons and next_season(offer.seasons, now):
            return "out-of-season"
        if channels and offer.channels and channels.isdisjoint(offer.channels):
            return "channel-not-offered"
        if at_home and offer.channels and WITHOUT_TRAVEL.isdisjoint(offer.channels):
            return "travel-needed"
        return ""

    return objection


def _refused(code: str, offer: Offer, wish: Wish) -> str:
    """Return what goes with the code of an objection."""
    match code:
        case "age-outside":
            return _ages(offer)
        case "closed-now":
            closure = _closure(offer, wish.now_ms)
            return closure.why if closure is not None else ""
        case "out-of-season":
            return next_season(offer.seasons, wish.now_ms)
        case "channel-not-offered":
            return ", ".join(sorted(offer.channels))
        case _:
            return ""


def _closure(offer: Offer, now_ms: int) -> Closure | None:
    return next((closure for closure in offer.closed if closure.start <= now_ms < closure.end), None)


def _distance(offer: Offer, position: tuple[float, float]) -> float | None:
    if not offer.places:
        return None
    latitude, longitude = position
    return min([metres_between(latitude, longitude, north, east) for north, east in offer.places])


def _ages(offer: Offer) -> str:
    if math.isinf(offer.oldest):
        return f"≥ {offer.youngest:g}"
    return f"{offer.youngest:g}–{offer.oldest:g}"
