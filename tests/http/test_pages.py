"""The story of one referral through the pages alone, and what happens when somebody else was first."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import RunningServer
from tests.http.page_reader import HELPER, OTHER, PRACTICE, Browser, fhir, refer, region_in

Visiting = Callable[[str, str], Browser]


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with region_in(tmp_path_factory.mktemp("pages"), enforce_access=True) as running:
        yield running


@pytest.fixture
def visit(region: RunningServer) -> Iterator[Visiting]:
    with contextlib.ExitStack() as open_browsers:

        def visiting(organization: str, role: str) -> Browser:
            browser = Browser(region.base)
            open_browsers.callback(browser.http.close)
            browser.sign_in(organization, role)
            return browser

        yield visiting


@pytest.fixture
def practice(visit: Visiting) -> Browser:
    return visit(PRACTICE, "referrer")


@pytest.fixture
def helper(visit: Visiting) -> Browser:
    return visit(HELPER, "recipient")


def test_a_referral_goes_round_through_pages_alone(practice: Browser, helper: Browser) -> None:
    sent = refer(practice, family="Demir-Story", reason="Alone with a child of two")
    assert sent.status == 200, sent.said()
    assert "Sent." in sent.said()
    assert practice.clicks == 1 + 3  # signing in, and one for each step
    helper.clicks = 0
    found = helper.open("/inbox")
    assert "Alone with a child of two" in found.said()
    assert "Demir-Story" not in found.said()  # least data: not before it is accepted
    card = next(one for one in found.all("li", class_="card") if "Alone with a child of two" in "".join(one.itertext()))
    helper.clicks += 1
    task = helper.open(str(next(card.iter("a")).get("href")))
    assert "Demir-Story" not in task.said()
    assert "+32 470" not in task.said()
    assert "18-24 years" in task.said()
    assert "Vilvoorde" in task.said()
    accepted = helper.submit("/accept")
    assert "Erdan Demir-Story" in accepted.said()
    assert "+32 470 00 00 22" in accepted.said()
    told = helper.submit("/feedback", kind="first-contact", words="We met on Monday.")
    assert "Feedback sent." in told.said()
    assert helper.clicks == 3  # open, accept, send: four with signing in
    stepped = helper.submit("/step", step="support-started", words="Every Wednesday")
    assert "Support started" in stepped.said()
    assert "Running" in stepped.said()
    closed = helper.submit("/feedback", kind="outcome", words="It goes well now.", close="yes")
    assert "closed" in closed.said()
    assert not closed.all("textarea")
    practice.open("/referrals")
    seen = practice.click("Erdan Demir-Story").said()
    for words in ("We met on Monday.", "It goes well now.", "Completed", "Support ended", "Accepted"):
        assert words in seen or words.lower() in seen.lower(), seen


def test_declining_needs_a_reason_and_the_referrer_reads_it(practice: Browser, helper: Browser) -> None:
    refer(practice, family="Declined", reason="For declining")
    helper.open("/inbox")
    helper.open(_task_of(helper, "For declining"))
    place = helper.page.answer.url
    assert helper.submit("/decline", reason="").status == 400
    helper.open(str(place.path))
    declined = helper.submit("/decline", reason="at-capacity", words="In January again")
    assert "Declined. The referrer is told." in declined.said()
    assert "Declined" not in " ".join(str(one.text) for one in declined.all("h1"))
    practice.open("/referrals")
    seen = practice.click("Erdan Declined").said()
    assert "No capacity: In January again" in seen
    assert "Refer again" in seen


def test_two_who_accept_at_once_are_told_who_was_first(visit: Visiting, practice: Browser, helper: Browser) -> None:
    refer(practice, family="Twice", reason="For two")
    colleague = visit(HELPER, "recipient")
    place = _task_of(helper, "For two")
    helper.open(place)
    colleague.open(place)
    assert helper.submit("/accept").status == 200
    late = colleague.submit("/accept")
    assert late.status == 412
    assert "Someone was first" in late.said()
    again = colleague.click("See how it stands now")
    assert "Accepted" in again.said()
    stale = colleague.submit("/step", step="contacted", version="1")
    assert stale.status == 412
    lost = colleague.open(place)
    assert "Contacted" not in "".join(lost.all("ol", class_="timeline")[0].itertext())
    assert colleague.submit("/feedback", kind="progress", words="Unseen", version="1").status == 412
    assert "Unseen" not in colleague.open(place).text


def test_another_organisation_finds_nothing(visit: Visiting, practice: Browser, helper: Browser) -> None:
    refer(practice, family="Hidden", reason="For one only")
    place = _task_of(helper, "For one only")
    stranger = visit(OTHER, "recipient")
    assert "For one only" not in stranger.page.said()
    hidden = stranger.open(place)
    absent = stranger.open("/tasks/none")
    assert hidden.status == absent.status == 404
    assert hidden.said() == absent.said()
    assert stranger.open("/refer").status == 403
    assert stranger.open("/region").status == 403


def test_what_is_not_filled_in_is_asked_again_and_nothing_is_stored(practice: Browser) -> None:
    before = fhir(practice, "ServiceRequest?_summary=count", PRACTICE, "referrer")["total"]
    practice.open("/refer")
    assert "Tick at least one need." in practice.submit("/refer/services", place="1800").said()
    unknown = practice.submit("/refer/services", need=["debt"], place="9999")
    assert unknown.status == 400
    assert "9999 is no postal code" in unknown.said()
    for age in ("-1", "130", "old"):
        assert practice.submit("/refer/services", need=["debt"], place="1800", age=age).status == 400
    practice.submit("/refer/services", need=["debt"], place="Vilvoorde", age="40")
    assert "Choose at least one service." in practice.submit("/refer/person", service=[]).said()
    practice.submit("/refer/person", service=["svc-schuldhulp"])
    again = practice.submit("/refer/person", button="send", family="Only", birth="2004-02-31")
    assert again.status == 422
    for words in (
        "how the person can be reached",
        "no date",
        "the reason in one line",
        "Nothing leaves without consent",
    ):
        assert words in again.said()
    assert again.all("input", name="family", value="Only")
    assert fhir(practice, "ServiceRequest?_summary=count", PRACTICE, "referrer")["total"] == before


def test_the_same_form_sent_twice_is_one_referral(practice: Browser) -> None:
    refer(practice, family="Once", reason="Sent twice")
    practice.open("/refer")
    practice.submit("/refer/services", need=["debt"], place="1800")
    practice.submit("/refer/person", service=["svc-schuldhulp"])
    form = practice.page
    filled: dict[str, Any] = {
        "family": "Doubled", "phone": "+32 2 1", "reason": "Pressed twice", "consented": "yes", "way": "digital"
    }  # fmt: skip
    first = practice.submit("/refer/person", button="send", **filled)
    practice.page = form
    second = practice.submit("/refer/person", button="send", **filled)
    assert first.answer.url == second.answer.url


def test_somebody_who_was_referred_before_is_found_and_not_doubled(practice: Browser) -> None:
    refer(practice, family="Known", reason="First time")
    practice.open("/refer")
    practice.submit("/refer/services", need=["debt"], place="1800")
    practice.submit("/refer/person", service=["svc-schuldhulp"])
    found = practice.submit("/refer/person", button="find", find="Known")
    chosen = [one.get("value") for one in found.all("input", name="patient") if one.get("value")]
    assert len(chosen) == 1
    sent = practice.submit(
        "/refer/person", button="send", patient=chosen[0], reason="Second time", consented="yes", way="spoken"
    )
    assert "Erdan Known" in sent.said()
    assert fhir(practice, "Patient?family=Known&_summary=count", PRACTICE, "referrer")["total"] == 1


def test_withdrawing_reaches_the_organisation(practice: Browser, helper: Browser) -> None:
    refer(practice, family="Back", reason="To be withdrawn")
    place = _task_of(helper, "To be withdrawn")
    assert "Withdrawn" in practice.submit("/withdraw", words="Moved away").said()
    assert "Cancelled" in helper.open(place).said()


def _task_of(helper: Browser, reason: str) -> str:
    """Return the address of the Task with this reason in the inbox."""
    page = helper.open("/inbox/new")
    card = next(one for one in page.all("li", class_="card") if reason in "".join(one.itertext()))
    return str(next(card.iter("a")).get("href"))
