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
from typing import NamedTuple, TypeAlias

from fhir_server.search.match import distance as metres_between
from fhir_server.workflow.suggestion_facts import FACTORS, WITHOUT_TRAVEL, Offer, Rules, Wish, applies, detail_of


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


def judge(offer: Offer, wish: Wish, rules: Rules) -> Verdict:
    """Hold an offer against a wish; None when it answers no need at all. `explained` says why it has its score."""
    return judging(wish, rules)(offer)


def judging(wish: Wish, rules: Rules) -> Callable[[Offer], Verdict]:
    """Return what holds offers against a wish: many are, so what follows from the wish alone is found once."""
    needs = {code: rules.need[how] for code, how in wish.needs.items() if how}
    weights, base = rules.weights, rules.weights["need"]
    applying = [(weights[name], factor_of) for name, factor_of in FACTORS if applies(name, wish)]

    def verdict(offer: Offer) -> Verdict:
        found = [needs[code] for code in offer.needs if code in needs]
        if found:
            need = max(found)
        elif offer.types & wish.types:
            need = rules.need["type"]
        else:
            return None
        excluded = _excluded(offer, wish)
        if excluded is not None:
            return Exclusion(offer, excluded)
        far = _distance(offer, wish)
        total, score = base, need * base
        for weight, factor_of in applying:
            said = factor_of(offer, wish, rules, far)
            if said is not None:
                total += weight
                score += weight * said[1]
        return Fit(offer, round(score / total, 6) if total else 0.0, far)

    return verdict


def explained(fit: Fit, wish: Wish, rules: Rules) -> Match:
    """Return a fit with its reasons: first the needs, then what counts, last the area."""
    offer, score, far = fit
    reasons = _needs(offer, wish, rules)
    for name, factor_of in FACTORS:
        found = factor_of(offer, wish, rules, far)
        if found is not None:
            code, factor = found
            reasons.append(Reason(code, rules.weights[name] * factor, detail_of(code, offer, wish, far)))
    reasons.append(Reason("area-served" if offer.areas else "area-everywhere"))
    return Match(offer, score, far, tuple(reasons))


def ranked(fits: Iterable[Fit], most: int) -> list[Fit]:
    """Return the first of the order: by score, then the nearer one, then by id."""
    return nsmallest(
        most, fits, key=lambda fit: (-fit.score, math.inf if fit.distance is None else fit.distance, fit.offer.id)
    )


def _needs(offer: Offer, wish: Wish, rules: Rules) -> list[Reason]:
    """Return a reason for each need that is answered, the best first; only the best counts, or wide offers would win."""
    found = [Reason(f"need-{how}", rules.need[how], code) for code in offer.needs if (how := wish.needs.get(code))]
    if not found and (shared := offer.types & wish.types):
        found = [Reason("need-type", rules.need["type"], min(shared))]
    found.sort(key=lambda reason: (-reason.part, reason.detail))
    weight = rules.weights["need"]
    return [reason._replace(part=0.0 if place else reason.part * weight) for place, reason in enumerate(found)]


def _excluded(offer: Offer, wish: Wish) -> Reason | None:
    if offer.areas and not offer.areas & wish.areas:
        return Reason("area-not-served")
    if wish.age is not None and not offer.youngest <= wish.age < offer.oldest + 1:
        return Reason("age-outside", detail=_ages(offer))
    for closure in offer.closed:
        if closure.start <= wish.now_ms < closure.end:
            return Reason("closed-now", detail=closure.why)
    if wish.channels and offer.channels and not offer.channels & wish.channels:
        return Reason("channel-not-offered", detail=", ".join(sorted(offer.channels)))
    if wish.at_home and offer.channels and not offer.channels & WITHOUT_TRAVEL:
        return Reason("travel-needed")
    return None


def _distance(offer: Offer, wish: Wish) -> float | None:
    if wish.position is None or not offer.places:
        return None
    latitude, longitude = wish.position
    return min([metres_between(latitude, longitude, north, east) for north, east in offer.places])


def _ages(offer: Offer) -> str:
    if math.isinf(offer.oldest):
        return f"≥ {offer.youngest:g}"
    return f"{offer.youngest:g}–{offer.oldest:g}"
