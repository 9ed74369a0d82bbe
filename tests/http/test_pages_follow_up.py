"""Asking again, on the pages with accounts: what is for later stands apart, and the questionnaire of a Task becomes its result."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.page_checks import check_page
from tests.http.page_reader import HELPER, Browser
from tests.http.protected_pages import OPERATOR, ProtectedRegion, said, short

PLANS = "https://w3id.org/social-referral/PlanDefinition/"


@pytest.fixture(scope="module")
def helper(region: ProtectedRegion) -> Iterator[Browser]:
    browser = region.browser("helper")
    yield browser
    browser.http.close()


def followed(region: ProtectedRegion, helper: Browser, name: str, *plans: str) -> str:
    """Refer somebody by plans and take it up on the page; return the id of the ServiceRequest."""
    recipient = {"name": "recipient", "valueReference": {"reference": f"Organization/{HELPER}"}}
    named = (said("plan", PLANS + plan, "valueCanonical") for plan in plans)
    way = said("consent-way", "spoken", "valueCode")
    answered = region.refer(*short(name, f"For {name}", need="parenting"), recipient, way, *named)
    request = str(next(one["resource"]["id"] for one in answered["parameter"] if one["name"] == "request"))
    helper.open(card(helper.open("/inbox/new"), f"For {name}"))
    assert helper.submit("/accept").status == 200
    return request


def finished(helper: Browser) -> None:
    """Close the referral that is open in the browser."""
    assert "closed" in helper.submit("/feedback", kind="outcome", words="Well.", close="yes").said()


def card(page: Any, words: str) -> str:
    """Return the address behind the card with these words."""
    found = next(one for one in page.all("li", class_="card") if words in "".join(one.itertext()))
    return str(next(found.iter("a")).get("href"))


def marks(region: ProtectedRegion) -> dict[str, str]:
    """Return an answer to every question of the questionnaire."""
    asked = region.read("Questionnaire/quality-of-life", OPERATOR)

    def every(items: Any) -> Iterator[Any]:
        for item in items:
            yield item
            yield from every(item.get("item", ()))

    found = {}
    for one in every(asked["item"]):
        if one["type"] == "choice":
            coding = one["answerOption"][0]["valueCoding"]
            found[one["linkId"]] = f"{coding['system']}|{coding['code']}"
        elif one["type"] in ("integer", "decimal"):
            found[one["linkId"]] = "7"
    return found


def test_what_is_for_later_is_not_new_and_asked_early_only_when_one_says_so(
    region: ProtectedRegion, helper: Browser
) -> None:
    followed(region, helper, "Later Laura", "follow-up-three-months")
    finished(helper)
    assert "Later Laura" not in helper.open("/inbox/new").said()
    page = helper.open("/inbox/later")
    assert "Later Laura" in page.said()
    assert "Later" in "".join(page.all("li", class_="card")[0].itertext())
    place = card(page, "Later Laura")
    task = helper.open(place)
    assert "planned from" in task.said()
    early = task.all("input", id="early")[0]
    assert early.get("required") is not None
    refused = helper.submit("/accept")
    assert refused.status == 422
    assert "Tick that you ask it now" in refused.said()
    helper.open(place)
    assert "Taken." in helper.submit("/accept", early="yes").said()
    assert "Later Laura" in helper.open("/inbox/running").said()
    helper.open(place)
    told = helper.submit("/told", words="She sleeps again.")
    assert "She sleeps again." in told.said()
    assert "Completed" in told.said()


def test_the_questionnaire_is_filled_in_on_the_page_and_becomes_the_result(
    region: ProtectedRegion, helper: Browser
) -> None:
    request = followed(region, helper, "Outcome Omar", "outcomes")
    place = card(helper.open("/inbox/new"), "Outcome Omar")
    assert helper.open(f"{place}/questions").status == 422  # nobody took it up yet
    assert "Outcome Omar" in helper.open(place).said()
    taken = helper.submit("/accept")
    assert "Fill in: How do you look at your life?" in taken.said()
    page = helper.click("Fill in: How do you look at your life?")
    assert "Outcome Omar" in page.said()
    check_page(page, "en", notice="")
    half = helper.submit("/questions", button="go-on", **dict([next(iter(marks(region).items()))]))
    assert half.status == 422
    assert "Answer the marked questions too." in half.said()
    french = helper.speak("fr", **marks(region))
    assert french.root.get("lang") == "fr"
    assert {"7"} <= {one.get("value") for one in french.all("input")}
    helper.speak("en")
    told = helper.submit("/questions", button="go-on", **marks(region))
    assert "Saved." in told.said(), told.said()
    assert ": 7" in told.said()
    task = region.read(f"Task/{place.rpartition('/')[2]}")
    assert task["status"] == "completed"
    (output,) = task["output"]
    assert output["type"]["coding"][0]["code"] == "follow-up-result"
    response = region.read(output["valueReference"]["reference"])
    assert response["subject"] == task["for"]
    assert response["status"] == "completed"
    practice = region.browser("practice")
    shown = practice.open(f"/referrals/{request}").said()
    practice.http.close()
    assert "How do you look at your life?" in shown
    assert ": 7" in shown


def test_answers_survive_somebody_elses_change_and_are_stored_once(region: ProtectedRegion, helper: Browser) -> None:
    followed(region, helper, "Twice Tom", "outcomes")
    place = card(helper.open("/inbox/new"), "Twice Tom")
    helper.open(place)
    helper.submit("/accept")
    form = helper.open(f"{place}/questions")
    before = region.read("QuestionnaireResponse?_summary=count")["total"]
    stale = helper.submit("/questions", button="go-on", **marks(region), **{"kept/version": "1"})
    assert stale.status == 412
    assert "your answers are still here" in stale.said()
    assert region.read("QuestionnaireResponse?_summary=count")["total"] == before
    assert "Saved." in helper.submit("/questions", button="go-on").said()
    helper.page = form
    again = helper.submit("/questions", button="go-on", **marks(region))
    assert again.status in (412, 422), again.said()
    assert region.read("QuestionnaireResponse?_summary=count")["total"] == before + 1


def test_what_cannot_be_asked_is_told_why(region: ProtectedRegion, helper: Browser) -> None:
    followed(region, helper, "Gone Greet", "outcomes")
    place = card(helper.open("/inbox/new"), "Gone Greet")
    helper.open(place)
    helper.submit("/accept")
    stopped = helper.submit("/stop", reason="patient-unreachable", words="Moved")
    assert "Person not reached: Moved" in stopped.said()
    assert not stopped.all("textarea")
