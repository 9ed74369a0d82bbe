"""Another language in the middle of referring: the step is shown again with all that was entered, and nothing else happens."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import RunningServer
from tests.http.page_checks import check_page
from tests.http.page_reader import PRACTICE, Browser, Page, fhir, region_in, signed_in

SCAN = "/refer/questionnaires/quick-scan"
NEEDS = "/refer/questionnaires/psychosocial-needs"
NEED = "https://w3id.org/social-referral/CodeSystem/social-need|"
WORDS = '</textarea><script>alert(1)</script> Post ligt "ongeopend" & wacht'
MARKS = {f"{domain}.mark": "8" for domain in ("body", "mind", "daily-life", "network")} | {"money.mark": "3"}


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with region_in(tmp_path_factory.mktemp("spoken"), enforce_access=True) as running:
        yield running


@pytest.fixture
def practice(region: RunningServer) -> Iterator[Browser]:
    with signed_in(region, PRACTICE, "referrer") as browser:
        yield browser


def entered(page: Page) -> dict[str, set[str]]:
    """Return all that stands in the form of a page, its proof of origin aside."""
    (form,) = page.all("form", id="step")
    found: dict[str, set[str]] = {}
    for one in form.iter():
        name, kind = one.get("name") or "", one.get("type")
        if one.tag == "select":
            value: str | None = next(
                (each.get("value") for each in one.iter("option") if "selected" in each.attrib), ""
            )
        elif one.tag == "textarea":
            value = one.text
        elif one.tag != "input" or (kind in ("checkbox", "radio") and "checked" not in one.attrib):
            continue
        else:
            value = one.get("value")
        if name not in ("", "csrf", "number") and value:
            found.setdefault(name, set()).add(value)
    return found


def in_each_language(browser: Browser, **filled: Any) -> Page:
    """Fill in a page, change the language three times, and return the last page; all were right."""
    page = browser.speak("fr", **filled)
    first = entered(page)
    for name, value in filled.items():
        assert set([value] if isinstance(value, str) else value) <= first.get(name, set()), (name, first)
    for language in ("fr", "de", "nl"):
        if language != "fr":
            page = browser.speak(language)
        assert page.status == 200
        check_page(page, language)
        kept = entered(page)
        for name in first.keys() | kept.keys():
            assert name == "answers" or kept[name] == first[name]
        assert browser.http.cookies["language"] == language
    return page


def test_nothing_that_was_entered_is_lost_on_any_step(
    region: RunningServer, practice: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    practice.open("/refer")
    in_each_language(practice, place="1800", age="44", language="tr", need=["debt"], **{"at-home": "yes"})
    practice.press(SCAN)
    in_each_language(practice, **MARKS, **{"kept/place": "1800"})
    asked = practice.submit(SCAN, button="look")
    assert asked.all("input", name="money.needs")
    in_each_language(practice, **{"money.needs": f"{NEED}financial-insecurity"})
    practice.submit(SCAN, button="go-on")
    needs = in_each_language(practice, age="45")
    assert entered(needs)["need"] == {"debt", "financial-insecurity"}  # the one ticked before, and the one answered
    assert entered(needs)["language"] == {"tr"}
    assert "Geld" in needs.said()
    addresses = [str(needs.answer.url)]
    practice.submit("/refer/services", place="Vilvoorde", age="", language="", at__home=[])
    service = str(practice.page.all("input", name="service")[-1].get("value"))
    wide = practice.submit("/refer/services", exclusions="yes")
    wide = in_each_language(practice, service=[service])
    assert wide.all("h2", id="left-out")
    addresses.append(str(wide.answer.url))
    practice.submit("/refer/person")
    filled: dict[str, Any] = {"given": "Öz", "family": "O'Neill & <Zn>", "birth": "1980-02-29", "phone": "+32 470 00 00 61", "reason": WORDS,
              "preference": ["phone-call"], "consented": "yes", "way": "spoken", "find": "nobody-like-this"}  # fmt: skip
    filled["preference"] = [str(practice.page.all("input", name="preference")[0].get("value"))]
    before = fhir(practice, "ServiceRequest?_summary=count", PRACTICE, "referrer")["total"]
    last = in_each_language(practice, **filled)
    assert entered(last)["city"] == {"Vilvoorde"}
    assert fhir(practice, "ServiceRequest?_summary=count", PRACTICE, "referrer")["total"] == before
    addresses.append(str(last.answer.url))
    sent = practice.submit("/refer/person")
    assert sent.answer.url.query == b"done=sent", sent.said()
    made = fhir(practice, f"ServiceRequest/{str(sent.answer.url.path).rpartition('/')[2]}", PRACTICE, "referrer")
    found = fhir(
        practice, f"QuestionnaireResponse?subject={made['subject']['reference']}&_summary=count", PRACTICE, "referrer"
    )
    assert found["total"] == 1
    assert not [one for one in addresses if "answers" in one or "need" in one]
    logged = capsys.readouterr()
    for words in ("financial-insecurity", "ongeopend", "O'Neill", next(iter(entered(last)["answers"]))[:40]):
        assert words not in logged.out + logged.err


def test_a_person_who_was_found_stays_chosen(practice: Browser) -> None:
    practice.open("/refer/person?need=parenting&place=1800&service=svc-opvoedingssteun")
    person = {"family": "Foundagain", "phone": "+32 470 00 00 62", "reason": "x", "consented": "yes", "way": "spoken"}
    practice.submit("/refer/person", button="send", **person)
    practice.open("/refer/person?need=parenting&place=1800&service=svc-opvoedingssteun")
    found = practice.submit("/refer/person", button="find", find="Foundagain")
    patient = str(found.all("input", name="patient")[1].get("value"))
    in_each_language(practice, patient=patient)


def test_free_words_survive_as_they_were_typed(practice: Browser) -> None:
    practice.open(NEEDS)
    asked = {str(one.get("name")) for one in practice.page.all("input", type="radio")}
    practice.submit(NEEDS, button="look", **(dict.fromkeys(asked, "false") | {"family.ask": "true"}))
    in_each_language(practice, **{"family.words": WORDS})


def test_a_step_without_answers_keeps_an_address_to_go_back_to(practice: Browser) -> None:
    practice.open("/refer")
    page = practice.speak("fr", place="1800", need=["debt", "parenting"])
    assert page.answer.request.method == "GET"
    assert page.answer.url.params.get_list("need") == ["debt", "parenting"]
    assert "csrf" not in str(page.answer.url)
    practice.submit("/refer/services")
    service = str(practice.page.all("input", name="service")[0].get("value"))
    page = practice.speak("nl", service=[service])
    assert page.answer.request.method == "GET"
    assert entered(page)["service"] == {service}
    nowhere = practice.open("/refer/services?need=parenting&place=1800&age=3")
    assert practice.speak("de").status == nowhere.status == 200


def test_a_language_changes_only_by_a_form_of_ours(practice: Browser) -> None:
    practice.open("/refer/person?need=parenting&place=1800&service=svc-opvoedingssteun")
    for form in ({}, {"csrf": "0" * 64}):
        answer = practice.http.post("/refer/person?in=fr", data={"family": "Forged", "consented": "yes", **form})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
    csrf = str(practice.page.all("button", lang="fr")[0].get("value"))
    abroad = practice.http.post("/refer/person?in=fr", data={"csrf": csrf}, headers={"Origin": "https://evil.example"})
    assert abroad.status_code == 403
    assert "set-cookie" not in abroad.headers
    unknown = practice.http.post("/refer?in=xx", data={"csrf": csrf})
    assert "set-cookie" not in unknown.headers
    practice.http.get("/refer?in=fr")
    assert "language" not in practice.http.cookies


def test_the_answers_can_be_changed_and_what_they_led_to_goes(practice: Browser) -> None:
    practice.open(f"{SCAN}?place=1800&need=parenting&age=44")
    practice.submit(SCAN, button="look", **MARKS)
    needs = practice.submit(SCAN, button="go-on", **{"money.needs": f"{NEED}financial-insecurity"})
    assert entered(needs)["need"] == {"parenting", "financial-insecurity"}
    again = practice.press(SCAN, place="1820")
    assert again.status == 200
    shown = entered(again)
    assert shown["money.mark"] == {"3"}
    assert shown["money.needs"] == {f"{NEED}financial-insecurity"}
    assert shown["kept/need"] == {"parenting"}
    assert shown["kept/place"] == {"1820"}
    assert entered(practice.click("Back to the list of needs"))["place"] == {"1820"}
    practice.page = again
    changed = practice.submit(SCAN, button="go-on", **{"money.needs": f"{NEED}debt"})
    assert entered(changed)["need"] == {"parenting", "debt"}


@pytest.mark.parametrize("answers", ["", "zz", "ab" * 40])
def test_changing_answers_that_this_session_did_not_seal_is_refused(answers: str, practice: Browser) -> None:
    practice.open(SCAN)
    csrf = str(practice.page.all("button", lang="fr")[0].get("value"))
    answer = practice.http.post(SCAN, data={"csrf": csrf, "do": "change", "answers": answers})
    assert answer.status_code == 400


def test_the_browser_keeps_no_page_with_words_or_a_name_and_signing_out_clears_the_rest(practice: Browser) -> None:
    def kept(page: Page) -> str:
        return str(page.answer.headers["cache-control"])

    assert kept(practice.open("/inbox")) == kept(practice.open("/referrals")) == "no-store"
    assert kept(practice.open(NEEDS)) == "private, no-cache"
    asked = {str(one.get("name")) for one in practice.page.all("input", type="radio")}
    looked = practice.submit(NEEDS, button="look", **(dict.fromkeys(asked, "false") | {"family.ask": "true"}))
    assert kept(looked) == "no-store"
    answered = {"family.needs": f"{NEED}parenting", "family.help": "true", "family.words": "Slaapt niet"}
    needs = practice.submit(NEEDS, button="go-on", **answered)
    assert kept(needs) == "private, no-cache"
    assert "Slaapt niet" not in needs.text
    assert kept(practice.press(NEEDS)) == "no-store"
    practice.page = needs
    assert kept(practice.submit("/refer/services", place="1800")) == "private, no-cache"
    assert kept(practice.submit("/refer/person", service=["svc-opvoedingssteun"])) == "private, no-cache"
    typed = practice.speak("fr", family="Peeters")
    assert kept(typed) == kept(practice.submit("/refer/person", button="find", find="Peeters")) == "no-store"
    csrf = str(typed.form("/sign-out").find("input").get("value"))  # type: ignore[union-attr]  # each page has it
    assert practice.http.post("/sign-out", data={"csrf": csrf}).headers["clear-site-data"] == '"cache"'
