"""The ranking of suggestions is the function that it says it is."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.artifacts.source import default_root
from fhir_server.workflow.seasons import Season
from fhir_server.workflow.suggestion import Exclusion, Fit, explained, judge, ranked
from fhir_server.workflow.suggestion_facts import Closure, Offer, Rules, Wish, load_rules

RULES = load_rules(default_root())
DAY = 86_400_000
NOW = 20_000 * DAY
WISH = Wish(
    {"debt": "exact", "economic": "broader", "arrears": "narrower"},
    frozenset({"debt-help"}),
    frozenset({"a1", "zone"}),
    now_ms=NOW,
)
OFFER = Offer("s1", frozenset({"debt"}), frozenset({"debt-help"}), frozenset({"a1"}))


def score(offer: Offer, wish: Wish = WISH) -> float:
    verdict = judge(offer, wish, RULES)
    assert isinstance(verdict, Fit)
    return verdict.score


def test_the_score_is_the_sum_of_the_parts_over_the_weights_that_apply() -> None:
    offer = OFFER._replace(capacity="waitlist", wait_days=45.0, verified_ms=NOW - 73 * DAY, languages=frozenset({"nl"}))
    wish = WISH._replace(languages=("fr", "nl"))
    weights = RULES.weights
    expected = (
        weights["need"]
        + weights["language"] * 0.9
        + weights["capacity"] * 0.3
        + weights["wait"] * 0.5
        + weights["verified"] * 0.8
    )
    total = sum(weights[name] for name in ("need", "language", "capacity", "wait", "verified"))
    assert score(offer, wish) == pytest.approx(expected / total, abs=1e-6)


@pytest.mark.parametrize(("needs", "types", "code"), [
    ({"debt"}, set(), "need-exact"), ({"arrears"}, set(), "need-narrower"), ({"economic"}, set(), "need-broader"),
    (set(), {"debt-help"}, "need-type"), ({"economic", "debt"}, set(), "need-exact"),
])  # fmt: skip
def test_a_need_is_answered_exactly_narrower_broader_or_by_type(needs: set[str], types: set[str], code: str) -> None:
    verdict = judge(OFFER._replace(needs=frozenset(needs), types=frozenset(types)), WISH, RULES)
    assert isinstance(verdict, Fit)
    assert explained(verdict, WISH, RULES).reasons[0].code == code
    assert judge(OFFER._replace(needs=frozenset(), types=frozenset()), WISH, RULES) is None


@pytest.mark.parametrize(("change", "wish", "code"), [
    ({"areas": frozenset({"elsewhere"})}, {}, "area-not-served"),
    ({"youngest": 23.0}, {"age": 22.0}, "age-outside"), ({"oldest": 21.0}, {"age": 22.0}, "age-outside"),
    ({"closed": (Closure(NOW - 1, NOW + 1, "Kerst"),)}, {}, "closed-now"),
    ({"seasons": (Season("04-01", "09-30"),)}, {}, "out-of-season"),
    ({"channels": frozenset({"on-site"})}, {"channels": frozenset({"online"})}, "channel-not-offered"),
    ({"channels": frozenset({"on-site"})}, {"at_home": True}, "travel-needed"),
])  # fmt: skip
def test_what_excludes_is_told_and_its_edge_does_not_exclude(
    change: dict[str, Any], wish: dict[str, Any], code: str
) -> None:
    verdict = judge(OFFER._replace(**change), WISH._replace(**wish), RULES)
    assert isinstance(verdict, Exclusion)
    assert verdict.reason.code == code


@pytest.mark.parametrize(("change", "wish"), [
    ({"areas": frozenset()}, {}), ({"areas": frozenset({"zone", "x"})}, {}), ({"youngest": 22.0, "oldest": 22.0}, {"age": 22.0}),
    ({"closed": (Closure(NOW + 1, NOW + 9, ""), Closure(NOW - 9, NOW, ""))}, {}), ({"channels": frozenset()}, {"at_home": True}),
    ({"youngest": 65.0}, {}), ({"seasons": (Season("04-01", "09-30"), Season("10-04", "10-04"))}, {}),
])  # fmt: skip
def test_what_does_not_exclude(change: dict[str, Any], wish: dict[str, Any]) -> None:
    assert isinstance(judge(OFFER._replace(**change), WISH._replace(**wish), RULES), Fit)


def test_more_of_what_is_wished_never_scores_less() -> None:
    near, far = ((50.93, 4.43),), ((51.2, 3.2),)
    position = WISH._replace(position=(50.93, 4.43))
    assert score(OFFER._replace(places=near), position) > score(OFFER._replace(places=far), position)
    order = ["capacity", "additional-assessment-required", "unknown", "waitlist", "no-capacity"]
    scores = [score(OFFER._replace(capacity=name)) for name in order]
    assert scores == sorted(scores, reverse=True)
    assert (
        score(OFFER._replace(wait_days=1.0))
        > score(OFFER._replace(wait_days=60.0))
        >= score(OFFER._replace(wait_days=9999.0))
    )
    themed = WISH._replace(themes=frozenset({"debt-help"}))
    assert score(OFFER, themed) > score(OFFER._replace(types=frozenset()), themed)


def test_ties_stand_by_distance_then_id_whatever_the_order_of_arrival() -> None:
    fits = [Fit(OFFER._replace(id=name), 0.5, far) for name, far in (("b", 9.0), ("a", 9.0), ("c", 1.0), ("d", None))]
    for order in itertools.permutations(fits):
        assert [fit.offer.id for fit in ranked(order, 9)] == ["c", "a", "b", "d"]
    assert [fit.offer.id for fit in ranked(fits, 2)] == ["c", "a"]


@given(
    st.builds(
        Offer, st.just("x"), st.just(frozenset({"debt"})), st.frozensets(st.sampled_from(["debt-help", "nature"])), st.just(frozenset({"zone"})),
        youngest=st.just(0.0), oldest=st.just(99.0), closed=st.just(()), seasons=st.just(()), languages=st.frozensets(st.sampled_from(["nl", "fr"])), channels=st.frozensets(st.sampled_from(["online", "phone"])),
        capacity=st.sampled_from(["capacity", "no-capacity", "strange"]), wait_days=st.none() | st.floats(0, 1e4),
        verified_ms=st.none() | st.integers(0, 2 * NOW), places=st.tuples(st.tuples(st.floats(-90, 90), st.floats(-180, 180))),
    ),
    st.none() | st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
    st.lists(st.sampled_from(["nl-BE", "fr", "ar"]), max_size=3),
)  # fmt: skip
def test_a_score_lies_between_0_and_1_and_is_what_its_reasons_add_up_to(
    offer: Offer, position: tuple[float, float] | None, languages: list[str]
) -> None:
    wish = WISH._replace(position=position, languages=tuple(languages), themes=frozenset({"nature"}))
    verdict = judge(offer, wish, RULES)
    assert isinstance(verdict, Fit)
    assert 0.0 <= verdict.score <= 1.0
    match = explained(verdict, wish, RULES)
    applies = (
        {"need", "theme", "capacity", "wait", "verified"}
        | ({"language"} if languages else set())
        | ({"distance"} if position else set())
    )
    total = sum(RULES.weights[name] for name in applies)
    assert sum(reason.part for reason in match.reasons) / total == pytest.approx(verdict.score, abs=1e-6)


def test_the_weights_are_data() -> None:
    doubled = Rules(**{**RULES._asdict(), "weights": {**RULES.weights, "wait": 80.0}})
    offer = OFFER._replace(wait_days=90.0, capacity="capacity")
    verdict = judge(offer, WISH, doubled)
    assert isinstance(verdict, Fit)
    assert verdict.score < score(offer)
