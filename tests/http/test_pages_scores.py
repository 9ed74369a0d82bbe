"""Questionnaires whose needs come from scores: what the answers say is shown to the practice, and what follows is ticked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest

from fhir_server.access.accounts import Accounts
from fhir_server.access.keys import KeyFolder
from fhir_server.access.principal import Principal
from fhir_server.app import build_engine
from fhir_server.http.pages.texts import messages
from fhir_server.model.clock import SystemClock
from fhir_server.settings import Settings
from tests.conftest import RunningServer
from tests.http.page_checks import check_page
from tests.http.page_reader import HELPER, PRACTICE, Browser, Page, fhir, region_in, signed_in
from tests.http.smart_client import prepare

LONELY = "/refer/questionnaires/loneliness-screen"
STRAIN = "/refer/questionnaires/vulnerability-screen"
QUALITY = "/refer/questionnaires/quality-of-life"
ANSWER = "https://w3id.org/social-referral/CodeSystem/screening-answer|"
OPERATOR = Principal(roles=frozenset({"operator"}), agent="test")
ALONE = {"alone": "often", "heart": "never", "visit": "never", "belong": "often", "weekend": "never"}
"""Four points."""


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with region_in(tmp_path_factory.mktemp("scores"), enforce_access=True) as running:
        yield running


@pytest.fixture
def practice(region: RunningServer) -> Iterator[Browser]:
    with signed_in(region, PRACTICE, "referrer") as browser:
        yield browser


def lonely(browser: Browser, **changed: str) -> Page:
    browser.open(LONELY)
    given = {f"loneliness.{name}": ANSWER + code for name, code in (ALONE | changed).items()}
    return browser.submit(LONELY, button="go-on", **given)


def strained(browser: Browser, *often: str) -> Page:
    """Answer never to all but some."""
    browser.open(STRAIN)
    names = {str(one.get("name")) for one in browser.page.all("input", type="radio")}
    given = {name: ANSWER + ("often" if name in often else "never") for name in names}
    return browser.submit(STRAIN, button="go-on", **given)


def ticked(page: Page) -> list[str | None]:
    return [one.get("value") for one in page.all("input", name="need") if one.get("checked") is not None]


def offers(page: Page) -> set[str]:
    return {str(one.get("formaction")) for one in page.all("button")} & {LONELY, STRAIN, QUALITY}


def told(page: Page) -> dict[str, str]:
    """Return the scores as the page tells them."""
    return {
        "".join(name.itertext()): "".join(value.itertext())
        for name, value in zip(page.all("dt"), page.all("dd"), strict=True)
    }


@pytest.mark.parametrize(
    ("changed", "needs", "score"),
    [
        ({"visit": "often", "weekend": "often"}, ["social-connection"], "8 · Strongly lonely"),
        ({"alone": "sometimes"}, ["social-connection"], "3 · Somewhat lonely"),
        ({"alone": "never"}, [], "2 · Not lonely"),
        ({"alone": "never", "heart": "often"}, [], "0 · Not lonely"),
    ],
)
def test_a_score_is_told_and_the_need_that_follows_from_it_is_ticked(
    changed: dict[str, str], needs: list[str], score: str, practice: Browser
) -> None:
    page = lonely(practice, **changed)
    assert ticked(page) == needs
    assert told(page) == {"Loneliness": score}
    assert ("No need follows" in page.said()) == (not needs)
    check_page(page, "en")


def test_the_risk_class_and_when_to_ask_again_are_told_in_each_language(practice: Browser) -> None:
    often = ("physical.walk", "physical.tired", "psychological.gloomy", "cognitive.forget")
    page = strained(practice, *often)
    assert ticked(page) == []
    for language, risk, dimensions, stable in (
        ("en", "Complex care need", "Vulnerable dimensions", "Stable"), ("nl", "Complexe zorgbehoefte", "Kwetsbare dimensies", "Stabiel"),
        ("fr", "Besoin complexe", "Dimensions vulnérables", "Stable"), ("de", "Komplexer Bedarf", "Verletzliche Dimensionen", "Stabil"),
    ):  # fmt: skip
        page = page if language == "en" else practice.speak(language)
        check_page(page, language)
        scores = told(page)
        assert len(scores) == 5
        assert scores[dimensions] == f"3 · {risk}"
        assert sum(one == f"0 · {stable}" for one in scores.values()) == 1
        assert f"{messages(language)['reading.risk']} {risk}" in page.said()
        assert messages(language)["reading.again"].partition("{")[0] in page.said()
    assert fhir(practice, "RiskAssessment?_summary=count", PRACTICE, "referrer")["total"] == 0


def test_a_referral_with_scores_keeps_them_with_the_practice(region: RunningServer, practice: Browser) -> None:
    lonely(practice)
    practice.submit("/refer/services", place="1800", age="71")
    service = str(practice.page.all("input", name="service")[0].get("value"))
    practice.submit("/refer/person", service=[service])
    person = {"family": "Scored", "phone": "+32 470 00 00 71", "reason": "Looks for company", "consented": "yes", "way": "spoken"}  # fmt: skip
    sent = practice.submit("/refer/person", button="send", **person)
    assert "scores: 1" in sent.said(), sent.said()
    made = fhir(practice, f"ServiceRequest/{str(sent.answer.url.path).rpartition('/')[2]}", PRACTICE, "referrer")
    query = f"Observation?subject={made['subject']['reference']}&category=survey&_summary=count"
    assert fhir(practice, query, PRACTICE, "referrer")["total"] == 1
    helper = Browser(region.base)
    owner = fhir(practice, f"Task?focus=ServiceRequest/{made['id']}", PRACTICE, "referrer")["entry"][0]["resource"]
    assert fhir(helper, query, owner["owner"]["reference"].partition("/")[2])["total"] == 0
    helper.http.close()


def test_what_is_offered_follows_who_asks_where_and_whom(region: RunningServer, practice: Browser) -> None:
    assert offers(practice.open("/refer")) == {LONELY, STRAIN}  # quality of life leads to no need and no risk class
    assert offers(practice.open("/refer?place=1800&age=17")) == set()
    assert offers(practice.open("/refer?age=18")) == {LONELY, STRAIN}
    assert offers(practice.open("/refer?age=many")) == {LONELY, STRAIN}
    worker = Browser(region.base)
    worker.sign_in("org-aanmeldpunt", "link-worker")
    assert offers(worker.open("/refer")) == {LONELY}  # the other is asked in a practice
    worker.http.close()


def test_who_does_not_refer_asks_nothing(region: RunningServer) -> None:
    helper = Browser(region.base)
    helper.sign_in(HELPER, "recipient")
    csrf = str(helper.page.form("/sign-out").find("input").get("value"))  # type: ignore[union-attr]  # each page has it
    assert helper.open(LONELY).status == 403
    for path in (LONELY, f"{LONELY}?in=fr", "/refer?in=fr"):
        assert helper.http.post(path, data={"csrf": csrf, "do": "go-on"}).status_code == 403
    helper.http.close()


def test_in_protected_mode_an_account_sees_what_its_own_rights_allow(tmp_path: Path, fresh_server: Any) -> None:
    settings = prepare(tmp_path) | {"publish_artifacts": True}
    engine = build_engine(Settings(**settings))
    accounts = Accounts(engine.store, engine.clock, KeyFolder(tmp_path / "keys", SystemClock()).secret())
    secrets = {}
    for name, role in (("dora@example.org", "referrer"), ("eli@example.org", "recipient")):
        given = {"name": name, "organization": "Organization/caw", "roles": [role]}
        secrets[name] = engine.store.write(lambda uow, given=given: accounts.add(uow, given, OPERATOR))
    engine.store.close()
    server = fresh_server(**settings)
    for name, allowed in (("dora@example.org", True), ("eli@example.org", False)):
        browser = Browser(server.base)
        browser.open("/sign-in")
        code = pyotp.TOTP(pyotp.parse_uri(secrets[name].totp_uri).secret).now()
        browser.submit("/sign-in", name=name, password=secrets[name].password, code=code)
        if not allowed:
            assert browser.open(LONELY).status == 403
            browser.http.close()
            continue
        assert LONELY in offers(browser.open("/refer"))
        page = lonely(browser)
        assert ticked(page) == ["social-connection"]
        assert told(page)["Loneliness"].startswith("4 ·")
        page = browser.speak("nl", place="1800")
        assert ticked(page) == ["social-connection"]
        assert told(page)["Eenzaamheid"].startswith("4 ·")
        assert page.all("input", name="place", value="1800")
        sealed = str(page.all("input", name="answers")[0].get("value"))
        browser.submit("/sign-out")
        browser.open("/sign-in")
        csrf = str(browser.page.all("input", name="csrf")[0].get("value"))
        lost = browser.http.post("/refer?in=fr", data={"csrf": csrf, "answers": sealed})
        assert lost.headers["location"].startswith("/sign-in")
        browser.http.close()
