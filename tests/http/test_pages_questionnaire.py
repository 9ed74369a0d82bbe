"""A questionnaire in the pages: what follows from an answer is asked, what is required is missed, needs come out of it."""

import random
from collections.abc import Iterator

import pytest

from tests.conftest import RunningServer
from tests.http.page_checks import check_page
from tests.http.page_reader import PRACTICE, Browser, load_region

SCAN = "/refer/questionnaires/quick-scan"
DOMAINS = ("body", "mind", "daily-life", "network", "money")
NEED = "https://w3id.org/social-referral/CodeSystem/social-need|"


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    store = tmp_path_factory.mktemp("questions") / "fhir.sqlite"
    running = RunningServer({"store": f"sqlite:///{store}", "enforce_access": True})
    load_region(running.base)
    browser = Browser(running.base)
    browser.sign_in(PRACTICE, "referrer")
    yield browser
    browser.http.close()
    running.stop()


def test_the_questionnaires_that_lead_to_needs_are_offered(practice: Browser) -> None:
    page = practice.open("/refer")
    offered = {one.get("formaction") for one in page.all("button")}
    assert SCAN in offered
    for language in ("nl", "fr", "en", "de"):
        practice.open(f"/language/{language}?to={SCAN}")
        check_page(practice.page, language)
    practice.open("/language/en")


def test_a_question_appears_when_its_condition_holds_and_counts_only_then(practice: Browser) -> None:
    practice.open(SCAN)
    assert not practice.page.all("input", name="money.needs")
    asked = practice.submit(SCAN, button="look", **{"money.mark": "4"})
    assert asked.all("input", name="money.needs")
    marks = {f"{domain}.mark": "8" for domain in DOMAINS}
    hidden = practice.submit(SCAN, button="go-on", **marks, **{"money.needs": f"{NEED}financial-insecurity"})
    assert hidden.form("/refer/services")
    assert not [one for one in hidden.all("input", name="need") if one.get("checked") is not None]


def test_what_was_answered_becomes_the_needs(practice: Browser) -> None:
    marks = {f"{domain}.mark": "8" for domain in DOMAINS} | {"money.mark": "3"}
    practice.open(SCAN)
    asked = practice.submit(SCAN, button="go-on", **marks, **{"money.needs": f"{NEED}financial-insecurity"})
    chosen = [one.get("value") for one in asked.all("input", name="need") if one.get("checked") is not None]
    assert chosen == ["financial-insecurity"]


@pytest.mark.parametrize(
    "wrong",
    [{}, {"body.mark": "seven"}, {"body.mark": "8", "money.mark": "NaN"}, {"body.mark": "11"}, {"body.mark": "-1"}],
)
def test_half_an_answer_is_marked_and_kept(wrong: dict[str, str], practice: Browser) -> None:
    practice.open(SCAN)
    page = practice.submit(SCAN, button="go-on", **wrong)
    assert page.status == 422
    assert "Answer the marked questions too." in page.said()
    for name, value in wrong.items():
        assert page.all("input", name=name, value=value)


def test_answers_that_are_too_long_to_carry_are_refused_at_once(practice: Browser) -> None:
    words = {"linkId": "words", "type": "text", "text": "In your own words"}
    form = {"resourceType": "Questionnaire", "id": "words", "url": "https://example.org/Questionnaire/words", "status": "active",
            "title": "Words", "item": [words]}  # fmt: skip
    stored = practice.http.put(
        "/fhir/Questionnaire/words", json=form, headers={"X-Dev-Roles": "operator", "Accept": "*/*"}
    )
    assert stored.status_code == 201, stored.text
    practice.open("/refer/questionnaires/words")
    page = practice.submit(
        "/refer/questionnaires/words", button="go-on", words=random.Random(7).randbytes(45_000).hex()
    )
    assert page.status == 422
    assert "too long to be sent along" in page.said()
    assert not page.all("input", name="answers")
    practice.open("/refer/questionnaires/words")
    assert practice.submit("/refer/questionnaires/words", button="go-on", words="x" * 90_000).form("/refer/services")
