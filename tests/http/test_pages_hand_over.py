"""Handing a referral over on the pages: to whom, why, and with the consent of the person."""

from collections.abc import Iterator

import pytest

from tests.conftest import RunningServer
from tests.http.page_checks import check_page
from tests.http.page_reader import HELPER, OTHER, PRACTICE, Browser, fhir, load_region, refer, signed_in

WRITTEN = "« Oui\u00a0», \u200fשלום\u200e and می\u200cخواهد"
"""A blank that does not break, marks of direction, a joiner of Persian: all of it is how languages are written."""


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    store = tmp_path_factory.mktemp("hand-over") / "fhir.sqlite"
    running = RunningServer({"store": f"sqlite:///{store}", "enforce_access": True, "publish_artifacts": False})
    load_region(running.base)
    yield running
    running.stop()


@pytest.fixture
def helper(region: RunningServer) -> Iterator[Browser]:
    with signed_in(region, HELPER, "recipient") as browser:
        yield browser


def accepted(region: RunningServer, helper: Browser, name: str) -> str:
    """Refer somebody for two needs and take it up; return the address of the Task."""
    practice = Browser(region.base)
    practice.sign_in(PRACTICE, "referrer")
    practice.open("/refer")
    practice.submit("/refer/services", need=["parenting", "debt"], place="1800")
    practice.submit("/refer/person", service=["svc-opvoedingssteun"])
    filled = {"given": "Erdan", "family": name, "phone": "+32 470 00 00 22", "city": "Vilvoorde"}
    consent = {"reason": f"For {name}", "consented": "yes", "way": "spoken"}
    practice.submit("/refer/person", button="send", **filled, **consent)
    practice.http.close()
    page = helper.open("/inbox/new")
    card = next(one for one in page.all("li", class_="card") if f"For {name}" in "".join(one.itertext()))
    place = str(next(card.iter("a")).get("href"))
    helper.open(place)
    helper.submit("/accept")
    return place


def test_a_referral_is_handed_over_by_name_and_comes_back(region: RunningServer, helper: Browser) -> None:
    place = accepted(region, helper, "Handed")
    helper.click("Hand over to somebody else")
    found = helper.submit("/hand-over", button="find", find="Werkspoor", reason="Needs work first", way="spoken")
    check_page(found, "en")
    assert "Needs work first" in "".join(found.all("textarea")[0].itertext())
    chosen = next(one for one in found.all("input", name="recipient") if one.get("value") == f"Organization/{OTHER}")
    handed = helper.submit("/hand-over", button="send", recipient=str(chosen.get("value")))
    assert "Handed over." in handed.said(), handed.said()
    assert "Werkspoor" in "".join(handed.all("ul", class_="plain")[0].itertext())
    assert handed.answer.url.path == place
    other = Browser(region.base)
    inbox = other.sign_in(OTHER, "recipient")
    assert "Needs work first" in inbox.said()
    card = next(one for one in inbox.all("li", class_="card") if "Needs work first" in "".join(one.itertext()))
    other.open(str(next(card.iter("a")).get("href")))
    assert "Erdan Handed" in other.submit("/accept").said()
    other.submit("/feedback", kind="outcome", words="Found work.", close="yes")
    other.http.close()
    assert "Completed" in helper.open(place).said()


def test_services_that_fit_are_offered_and_our_own_are_not(region: RunningServer, helper: Browser) -> None:
    place = accepted(region, helper, "Fitting")
    page = helper.open(f"{place}/hand-over")
    offered = [str(one.get("value")) for one in page.all("input", name="recipient")]
    assert offered
    for one in offered:
        service = fhir(helper, one, HELPER)
        assert service["providedBy"]["reference"] != f"Organization/{HELPER}"
    assert "Erdan Fitting" in page.said()


def test_what_is_missing_or_not_covered_is_asked_again_with_all_that_was_filled_in(
    region: RunningServer, helper: Browser
) -> None:
    place = accepted(region, helper, "Missing")
    helper.open(f"{place}/hand-over")
    empty = helper.submit("/hand-over", button="send")
    assert empty.status == 422
    for words in ("Choose to whom", "one line", "Say whether the person agrees"):
        assert words in empty.said()
    filled = {"recipient": f"Organization/{OTHER}", "reason": "Not covered", "way": "covered"}
    uncovered = helper.submit("/hand-over", button="send", **filled)
    assert uncovered.status == 422
    assert "Consent" in uncovered.said()
    assert "Not covered" in "".join(uncovered.all("textarea")[0].itertext())
    french = helper.speak("fr")
    assert french.root.get("lang") == "fr"
    chosen = [one for one in french.all("input", name="recipient") if one.get("checked") is not None]
    assert [one.get("value") for one in chosen] == [f"Organization/{OTHER}"]
    assert fhir(helper, f"Task?part-of=Task/{place.rpartition('/')[2]}&_summary=count", HELPER)["total"] == 0


def test_a_part_leaves_the_rest_with_us_and_a_stale_form_changes_nothing(
    region: RunningServer, helper: Browser
) -> None:
    place = accepted(region, helper, "Part")
    helper.open(f"{place}/hand-over")
    filled = {"recipient": f"Organization/{OTHER}", "reason": "The work part", "way": "spoken", "part": "yes"}
    stale = helper.submit("/hand-over", button="send", version="1", **filled)
    assert stale.status == 412
    assert "Someone was first" in stale.said()
    helper.open(f"{place}/hand-over")
    handed = helper.submit("/hand-over", button="send", **filled)
    assert "Handed over." in handed.said()
    assert "Handed over" not in "".join(one.text or "" for one in handed.all("span", class_="step"))
    again = helper.open(f"{place}/hand-over")
    doubled = helper.submit("/hand-over", button="send", **filled)
    assert again.status == 200
    assert doubled.status == 409
    assert "Someone was first" not in doubled.said()
    assert "handed over there before" in doubled.said()


def test_who_does_not_own_it_hands_nothing_over(region: RunningServer, helper: Browser) -> None:
    place = accepted(region, helper, "Theirs")
    practice = Browser(region.base)
    practice.sign_in(PRACTICE, "referrer")
    assert practice.open(f"{place}/hand-over").status == 403
    practice.http.close()
    other = Browser(region.base)
    other.sign_in(OTHER, "recipient")
    assert other.open(f"{place}/hand-over").status == 404
    other.http.close()


def test_every_letter_that_the_interface_takes_is_taken_by_the_pages_too(
    region: RunningServer, helper: Browser
) -> None:
    practice = Browser(region.base)
    practice.sign_in(PRACTICE, "referrer")
    sent = refer(practice, family="Written", reason=WRITTEN)
    assert sent.status == 200, sent.said()
    assert WRITTEN in sent.text
    place = str(sent.answer.url.path).rpartition("/")[2]
    assert fhir(practice, f"ServiceRequest/{place}", PRACTICE, "referrer")["reasonCode"][0]["text"] == WRITTEN
    helper.open("/inbox/new")
    assert WRITTEN in helper.page.text
    practice.http.close()


@pytest.mark.parametrize(
    ("language", "named"),
    [("nl", "Eén regel"), ("fr", "Une ligne"), ("en", "One line for the recipient"), ("de", "Eine Zeile")],
)
def test_a_field_that_cannot_be_taken_is_named_as_the_page_names_it(
    language: str, named: str, region: RunningServer
) -> None:
    practice = Browser(region.base, language)
    practice.sign_in(PRACTICE, "referrer")
    for reason, hint in (("Turned\u202e round", "U+202E"), ("Bell\x07", "U+0007"), ("x" * 501, "501")):
        refused = refer(practice, family="Kept", reason=reason)
        assert refused.status == 422
        alert = "".join(refused.all("div", role="alert")[0].itertext())
        assert named in alert, alert
        assert "reason " not in alert
        assert hint in refused.said()
        assert "Kept" in {one.get("value") for one in refused.all("input", name="family")}
    practice.http.close()
