"""Offers that are held against a wish one after another are judged as each alone: what is kept between them changes nothing."""

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.artifacts.source import default_root
from fhir_server.workflow.seasons import Season
from fhir_server.workflow.suggestion import Exclusion, Fit, explained, explaining, fitting, judge, judging, ranked
from fhir_server.workflow.suggestion_facts import Closure, Offer, Wish, load_rules

RULES = load_rules(default_root())
DAY = 86_400_000
NOW = 20_000 * DAY
CODES = ["debt", "economic", "arrears", "other"]
TYPES = ["debt-help", "nature", "walk"]
CHANNELS = ["on-site", "phone", "online"]
some = st.frozensets
offers = st.lists(
    st.builds(
        Offer,
        st.uuids().map(str),
        some(st.sampled_from(CODES), max_size=2),
        some(st.sampled_from(TYPES), max_size=2),
        some(st.sampled_from(["zone", "a1", "far"]), max_size=2),
        st.sampled_from([0.0, 18.0]),
        st.sampled_from([17.0, 65.0, float("inf")]),
        some(st.sampled_from(["nl", "fr", "ar"]), max_size=2),
        some(st.sampled_from(CHANNELS), max_size=2),
        st.sampled_from(["unknown", "capacity", "no-capacity", "strange"]),
        st.sampled_from([None, 0.0, 7.0, 400.0]),
        st.sampled_from([None, NOW - 3 * DAY, NOW - 900 * DAY, 0]),
        st.sampled_from([(), (Closure(NOW - 1, NOW + 1, "Kerst"),), (Closure(0, 1, ""),)]),
        st.lists(st.tuples(st.floats(50, 51), st.floats(3, 5)), max_size=2).map(tuple),
        st.sampled_from([(), (Season("01-01", "01-02", "Winter"),), (Season("02-01", "12-31"),)]),
        st.just(""),
    ),
    max_size=12,
)
wishes = st.builds(
    Wish,
    st.sampled_from([{"debt": "exact", "economic": "broader", "arrears": "narrower"}, {"other": "exact"}]),
    some(st.sampled_from(TYPES), max_size=2),
    st.just(frozenset({"zone", "a1"})),
    st.sampled_from([None, 17.5, 30.0]),
    st.sampled_from([(), ("nl",), ("fr-BE", "nl")]),
    some(st.sampled_from(CHANNELS), max_size=2),
    st.booleans(),
    some(st.sampled_from(TYPES), max_size=2),
    st.sampled_from([None, (50.5, 4.0)]),
    st.just(NOW),
)


@settings(max_examples=60)
@given(offers, wishes)
def test_each_is_judged_as_alone(listed: list[Offer], wish: Wish) -> None:
    verdict, fit, explain = judging(wish, RULES), fitting(wish, RULES), explaining(wish, RULES)
    for offer in listed:
        alone = judge(offer, wish, RULES)
        assert verdict(offer) == alone
        assert fit(offer) == (alone if isinstance(alone, Fit) else None)
        if isinstance(alone, Fit):
            assert explain(alone) == explained(alone, wish, RULES)


@settings(max_examples=60)
@given(offers, wishes)
def test_who_was_chosen_by_the_area_is_only_not_asked_for_it_again(listed: list[Offer], wish: Wish) -> None:
    verdict, fit = judging(wish, RULES), fitting(wish, RULES, served=True)
    for offer in listed:
        alone = verdict(offer)
        if isinstance(alone, Exclusion) and alone.reason.code == "area-not-served":
            alone = verdict(offer._replace(areas=frozenset()))
            assert (fit(offer) is not None) == isinstance(alone, Fit)
        else:
            assert fit(offer) == (alone if isinstance(alone, Fit) else None)


@settings(max_examples=60)
@given(offers, wishes, st.integers(0, 15))
def test_the_first_of_the_order_are_those_of_the_whole_order(listed: list[Offer], wish: Wish, most: int) -> None:
    fits = [fit for fit in map(fitting(wish, RULES), listed) if fit is not None]
    whole = sorted(
        fits,
        key=lambda fit: (-fit.score, float("inf") if fit.distance is None else fit.distance, fit.offer.id),
    )
    assert ranked(fits, most) == whole[:most]
