"""A signal of others, played on the pages with accounts: taken from the pool, the person asked, and then sent or closed."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.page_checks import check_page
from tests.http.page_reader import Browser
from tests.http.protected_pages import ProtectedRegion, short


@pytest.fixture(scope="module")
def worker(region: ProtectedRegion) -> Iterator[Browser]:
    browser = region.browser("worker")
    yield browser
    browser.http.close()


def signal(region: ProtectedRegion, name: str, reason: str) -> str:
    """Tell of somebody who was not asked yet; return the id of the ServiceRequest."""
    pending = {"name": "consent-pending", "valueBoolean": True}
    answered = region.refer(*short(name, reason, need="social-connection"), pending)
    return str(next(one["resource"]["id"] for one in answered["parameter"] if one["name"] == "request"))


def take(worker: Browser) -> Any:
    """Take the newest signal of the pool."""
    pool = worker.open("/inbox/pool")
    card = pool.all("li", class_="card")[-1]
    worker.open(str(next(card.iter("a")).get("href")))
    return worker.submit("/accept")


def asking(region: ProtectedRegion, request: str) -> Any:
    """Return the Task that asks for consent."""
    tasks = region.read(f"Task?focus=ServiceRequest/{request}")["entry"]
    return next(one["resource"] for one in tasks if one["resource"]["code"]["coding"][0]["code"] == "ask-consent")


def test_who_agrees_is_referred_and_the_page_goes_on_there(region: ProtectedRegion, worker: Browser) -> None:
    request = signal(region, "Yvonne Peeters", "Curtains stay closed")
    before = worker.open(f"/tasks/{asking(region, request)['id']}")
    for hidden in ("Yvonne", "02 555 01 09", "Curtains"):
        assert hidden not in before.text
    taken = take(worker)
    assert "Yvonne Peeters" in taken.said()
    assert "02 555 01 09" in taken.said()
    assert "Curtains" not in taken.text
    assert "not opened" not in taken.said()
    assert "not, or no longer" not in taken.said()
    assert "Give feedback" not in taken.said()
    assert "Ask the person" in "".join(taken.all("p", role="status")[0].itertext()) or "ask the person" in taken.said()
    agreed = worker.submit("/agreed", way="spoken")
    assert agreed.status == 200, agreed.said()
    assert "Noted. The referral has left." in agreed.said()
    done = asking(region, request)
    assert done["status"] == "completed"
    assert done["output"][0]["valueCodeableConcept"]["coding"][0]["code"] == "spoken"
    assert region.read(f"ServiceRequest/{request}")["status"] == "active"
    onward = worker.click("Go on with the referral at our place")
    assert "Curtains stay closed" in onward.said()
    assert "Yvonne Peeters" in worker.submit("/accept").said()


def test_who_does_not_agree_is_left_alone(region: ProtectedRegion, worker: Browser) -> None:
    request = signal(region, "Karel Nee", "Never opens")
    take(worker)
    closed = worker.submit("/not-agreed", words="All is well")
    assert "Noted and closed." in closed.said()
    assert not closed.all("textarea")
    assert "Karel" not in closed.said()
    task = asking(region, request)
    assert task["status"] == "failed"
    assert task["statusReason"]["coding"][0]["code"] == "patient-declined"
    request_now = region.read(f"ServiceRequest/{request}")
    assert request_now["status"] == "revoked"
    consent = region.read(request_now["supportingInfo"][0]["reference"])
    assert consent["status"] == "rejected"


def test_a_refusal_is_told_as_what_it_is_and_only_a_stale_version_as_somebody_elses_change(
    region: ProtectedRegion, worker: Browser
) -> None:
    request = signal(region, "Rita Regel", "Refused")
    page = take(worker)
    place = page.answer.url.path
    version = page.form("/agreed").find(".//input[@name='version']").get("value")
    csrf = page.form("/agreed").find(".//input[@name='csrf']").get("value")
    form = {"csrf": csrf, "version": version, "kind": "outcome", "words": "Called", "close": "yes"}
    refused = worker.http.post(f"{place}/feedback", data=form)
    assert refused.status_code == 422
    assert "Someone was first" not in refused.text
    assert "This cannot be done like that" in refused.text
    unchosen = worker.http.post(f"{place}/agreed", data={"csrf": csrf, "version": version})
    assert unchosen.status_code == 400
    stale = worker.http.post(f"{place}/agreed", data={"csrf": csrf, "version": "1", "way": "spoken"})
    assert stale.status_code == 412
    assert "Someone was first" in stale.text
    assert asking(region, request)["status"] == "accepted"


def test_somebody_else_neither_sees_nor_answers_a_signal_that_was_taken(
    region: ProtectedRegion, worker: Browser
) -> None:
    request = signal(region, "Vera Verborgen", "Hidden")
    take(worker)
    helper = region.browser("helper")
    place = f"/tasks/{asking(region, request)['id']}"
    assert helper.open(place).status == 404
    csrf = helper.page.form("/sign-out").find("input").get("value")
    answer = helper.http.post(f"{place}/agreed", data={"csrf": csrf, "version": "2", "way": "spoken"})
    assert answer.status_code == 404
    assert region.read(f"ServiceRequest/{request}")["status"] == "draft"
    helper.http.close()


def test_the_answer_of_a_person_is_no_way_to_end_another_task(region: ProtectedRegion, worker: Browser) -> None:
    signal(region, "Anders Soort", "Kind")
    take(worker)
    worker.submit("/agreed", way="spoken")
    page = worker.click("Go on with the referral at our place")
    place, csrf = page.answer.url.path, page.form("/accept").findall(".//input[@name='csrf']")[0].get("value")
    for action, form in (("agreed", {"way": "spoken"}), ("not-agreed", {}), ("told", {"words": "x"})):
        version = page.form("/accept").findall(".//input[@name='version']")[0].get("value")
        answer = worker.http.post(f"{place}/{action}", data={"csrf": csrf, "version": version} | form)
        assert answer.status_code == 422, action
        assert "a task of this kind" in answer.text
    assert "New" in worker.open(place).said()


def test_who_told_of_somebody_takes_it_back_as_long_as_it_waits(region: ProtectedRegion, worker: Browser) -> None:
    request = signal(region, "Terug Trek", "Mistaken")
    place = f"/tasks/{asking(region, request)['id']}"
    practice = region.browser("practice")
    shown = practice.open(f"/referrals/{request}")
    assert "A person to be asked for consent" in shown.said()
    assert "Withdrawn" in practice.submit("/withdraw").said()
    practice.http.close()
    assert asking(region, request)["status"] == "cancelled"
    assert worker.open(place).status == 404 or "Cancelled" in worker.page.said()


@pytest.mark.parametrize("language", ["nl", "fr", "de"])
def test_the_pages_of_a_signal_are_sound_in_every_language(
    language: str, region: ProtectedRegion, worker: Browser
) -> None:
    signal(region, f"Taal {language}", f"Language {language}")
    worker.open(f"/language/{language}?to=/inbox")
    try:
        for page in (take(worker), worker.submit("/agreed", way="digital")):
            check_page(page, language, notice="")
    finally:
        worker.open("/language/en?to=/inbox")
