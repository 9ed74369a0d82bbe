"""The answers of a questionnaire on the pages: sealed from page to page, stored when the person consents, for the practice alone."""

from collections.abc import Iterator

import pytest

from tests.conftest import RunningServer
from tests.http.page_checks import check_page
from tests.http.page_reader import HELPER, PRACTICE, Browser, Page, fhir, region_in, signed_in

NEEDS = "/refer/questionnaires/psychosocial-needs"
NEED = "https://w3id.org/social-referral/CodeSystem/social-need|"
WORDS = "</textarea><script>alert('x')</script> Alone since the summer"
PERSON = {"family": "Answered", "phone": "+32 470 00 00 77", "reason": "Looks for support", "consented": "yes", "way": "spoken"}  # fmt: skip


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with region_in(tmp_path_factory.mktemp("answered"), enforce_access=True) as running:
        yield running


@pytest.fixture
def practice(region: RunningServer) -> Iterator[Browser]:
    with signed_in(region, PRACTICE, "referrer") as browser:
        yield browser


def answer_all(browser: Browser, words: str = WORDS) -> Page:
    """Answer no to every question but two: help is wanted with parenting, not with work."""
    browser.open(NEEDS)
    asked = {str(one.get("name")) for one in browser.page.all("input", type="radio")}
    yes = {"family.ask": "true", "economic-stability.ask": "true"}
    browser.submit(NEEDS, button="look", **(dict.fromkeys(asked, "false") | yes))
    return browser.submit(NEEDS, button="go-on", **{
        "family.needs": f"{NEED}parenting", "family.help": "true", "family.words": words,
        "economic-stability.needs": f"{NEED}employment", "economic-stability.help": "false",
    })  # fmt: skip


def ticked(page: Page) -> list[str | None]:
    return [one.get("value") for one in page.all("input", name="need") if one.get("checked") is not None]


def kept(page: Page) -> str:
    (field,) = {one.get("value") or "" for one in page.all("input", name="answers")}
    return field


def to_person(browser: Browser) -> Page:
    browser.submit("/refer/services", place="1800", age="22")
    return browser.submit("/refer/person", service=["svc-opvoedingssteun"])


def test_answers_go_with_the_referral_and_stay_with_the_practice(
    region: RunningServer, practice: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = [answer_all(practice)]
    assert ticked(seen[0]) == ["parenting"]  # with work no help is wanted
    seen.append(practice.submit("/refer/services", place="1800", age="22"))
    missed = practice.submit("/refer/person", service=[])
    assert "Choose at least one service." in missed.said()
    seen += [missed, practice.submit("/refer/person", service=["svc-opvoedingssteun"])]
    half = practice.submit("/refer/person", button="send", **(PERSON | {"reason": ""}))
    assert half.status == 422
    seen.append(half)
    for page in seen:
        assert kept(page)
        assert "answers" not in str(page.answer.url)
        assert "Alone since" not in page.text
        assert "stay with you" in page.said()
        check_page(page, "en")
    sent = practice.submit("/refer/person", button="send", **PERSON)
    assert sent.answer.url.query == b"done=sent"
    for words in ("What the organisation sees", "what the questionnaire says of this need", "What stays with you",
                  "findings: 11", "scores: 0", "needs: 1"):  # fmt: skip
        assert words in sent.said(), sent.said()
    check_page(sent, "en")
    made = fhir(practice, f"ServiceRequest/{str(sent.answer.url.path).rpartition('/')[2]}", PRACTICE, "referrer")
    (told,) = made["reasonReference"]
    person = made["subject"]["reference"]
    (response,) = fhir(practice, f"QuestionnaireResponse?subject={person}", PRACTICE, "referrer")["entry"]
    assert WORDS in str(response["resource"]["item"])

    helper = Browser(region.base)
    helper.sign_in(HELPER, "recipient")
    (task,) = fhir(helper, f"Task?focus=ServiceRequest/{made['id']}", HELPER)["entry"]
    helper.open(f"/tasks/{task['resource']['id']}")
    accepted = helper.submit("/accept")
    assert "Alone since" not in accepted.text
    assert fhir(helper, told["reference"], HELPER)["valueCodeableConcept"]["coding"][0]["code"] == "parenting"
    assert (
        fhir(helper, f"QuestionnaireResponse/{response['resource']['id']}", HELPER)["resourceType"]
        == "OperationOutcome"
    )
    helper.http.close()
    logged = capsys.readouterr()
    for words in ("parenting", "Alone", kept(half)[:40]):
        assert words not in logged.out + logged.err


def test_going_back_keeps_the_answers_and_beginning_again_drops_them(practice: Browser) -> None:
    answer_all(practice)
    practice.submit("/refer/services", place="1800", need=["parenting", "debt"])
    changed = practice.submit("/refer")
    assert set(ticked(changed)) == {"parenting", "debt"}
    assert kept(changed)
    wider = practice.submit("/refer/services")
    wider = practice.submit("/refer/services", exclusions="yes")
    assert kept(wider)
    assert "What was left out" in wider.said()
    practice.submit("/refer")
    assert practice.click("Begin again without answers").all("input", name="answers") == []


def test_a_form_that_is_sent_twice_stores_the_answers_once(practice: Browser) -> None:
    answer_all(practice)
    form = to_person(practice)
    filled = PERSON | {"family": "Pressed-Twice", "phone": "+32 470 00 00 78"}
    first = practice.submit("/refer/person", button="send", **filled)
    practice.page = form
    assert practice.submit("/refer/person", button="send", **filled).answer.url == first.answer.url
    practice.page = form
    other = filled | {"family": "Somebody-Else", "phone": "+32 470 99 99 99", "number": "ab" * 16}
    refused = practice.submit("/refer/person", button="send", **other)
    assert refused.status == 422
    assert "stored with somebody else already" in refused.said()
    assert fhir(practice, "Patient?family=Somebody-Else&_summary=count", PRACTICE, "referrer")["total"] == 0


@pytest.mark.parametrize("spoil", ["zz", "ab" * 40, "x" * 100_001, "other session"])
def test_answers_that_this_session_did_not_seal_are_refused(
    spoil: str, region: RunningServer, practice: Browser
) -> None:
    token = spoil
    if spoil == "other session":
        other = Browser(region.base)
        other.sign_in(PRACTICE, "referrer")
        token = kept(answer_all(other))
        other.http.close()
    before = fhir(practice, "ServiceRequest?_summary=count", PRACTICE, "referrer")["total"]
    answer_all(practice)
    for action in ("/refer/services", "/refer/person"):
        form = practice.page
        assert practice.submit(action, answers=token, place="1800", service=["svc-opvoedingssteun"]).status == 400
        practice.page = form
        practice.submit(action, place="1800", service=["svc-opvoedingssteun"])
    assert practice.submit("/refer/person", button="send", answers=token, **PERSON).status == 400
    assert fhir(practice, "ServiceRequest?_summary=count", PRACTICE, "referrer")["total"] == before


def test_answers_that_the_server_refuses_are_told_on_the_questionnaire(practice: Browser) -> None:
    page = answer_all(practice, "x" * 2001)
    assert page.status == 422
    assert page.form(NEEDS)
    assert "2000" in page.said()
    assert page.all("input", name="family.needs", value=f"{NEED}parenting")[0].get("checked") is not None


def test_a_link_brings_no_answers(practice: Browser) -> None:
    answers = kept(answer_all(practice))
    assert answers not in practice.open(f"/refer/services?need=parenting&place=1800&answers={answers[:900]}").text
    for path in ("/refer", "/refer/services?need=parenting&place=1800"):
        assert practice.open(path).all("input", name="answers") == []
