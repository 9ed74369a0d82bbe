"""What a Dutch deployment composes: stored in Dutch with its translations, valid, and read by each in a language of choice."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fhir_server.workflow.wording import LANGUAGES, in_language, sentences, translations_of
from tests.conftest import RunningServer
from tests.http.page_reader import HELPER, PRACTICE, Browser, fhir, load_region, refer

FHIR_JSON = "application/fhir+json"
PARENTING = {"nl": "Opvoedingsondersteuning", "fr": "Soutien à la parentalité", "en": "Parenting support"}


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    store = tmp_path_factory.mktemp("composed") / "fhir.sqlite"
    running = RunningServer({"store": f"sqlite:///{store}", "enforce_access": True, "language": "nl"})
    load_region(running.base)
    yield running
    running.stop()


@pytest.fixture
def practice(region: RunningServer) -> Iterator[httpx.Client]:
    yield from acting(region, PRACTICE, "referrer")


@pytest.fixture
def helper(region: RunningServer) -> Iterator[httpx.Client]:
    yield from acting(region, HELPER, "recipient")


def acting(region: RunningServer, organization: str, role: str) -> Iterator[httpx.Client]:
    headers = {
        "Content-Type": FHIR_JSON, "X-Dev-Organization": f"Organization/{organization}", "X-Dev-Roles": role,
    }  # fmt: skip
    with httpx.Client(base_url=region.base, headers=headers, timeout=30) as http:
        yield http


def referred(http: httpx.Client, name: str, **more: Any) -> dict[str, Any]:
    """Refer somebody; return what was answered, by name."""
    given: dict[str, Any] = {
        "name": {"valueString": name}, "phone": {"valueString": "02 555 00 00"}, "city": {"valueString": "Vilvoorde"},
        "reason": {"valueString": "Zoekt raad"}, "need": {"valueString": "parenting"}, "consent-way": {"valueCode": "spoken"},
        "recipient": {"valueReference": {"reference": "HealthcareService/svc-opvoedingssteun"}},
    } | more  # fmt: skip
    body = {"resourceType": "Parameters", "parameter": [{"name": key, **one} for key, one in given.items() if one]}
    answer = http.post("/$refer", json=body)
    assert answer.status_code == 200, answer.text
    return {one["name"]: one.get("resource", one) for one in answer.json()["parameter"]}


def assert_valid(http: httpx.Client, resource: dict[str, Any]) -> None:
    report = http.post(f"/{resource['resourceType']}/$validate", json=resource).json()
    assert [one for one in report["issue"] if one["severity"] != "information"] == []


def test_the_need_is_named_in_dutch_and_each_reader_finds_an_own_language(practice: httpx.Client) -> None:
    made = referred(practice, "Rosa Maes")
    assert made["request"]["code"]["coding"][0]["display"] == PARENTING["nl"]
    task = made["task"]
    assert task["description"] == PARENTING["nl"]
    assert tuple(translations_of(task, "description")) == LANGUAGES
    assert {language: in_language(task, "description", language) for language in PARENTING} == PARENTING
    assert {"Gekozen dienst", "Gemeente"} <= {one["type"]["text"] for one in task["input"]}
    assert_valid(practice, task)


def test_an_organisation_whose_software_drops_translations_works_on(
    practice: httpx.Client, helper: httpx.Client
) -> None:
    task = referred(practice, "Lies Daems")["task"]
    bare = {name: value for name, value in task.items() if not name.startswith("_")} | {"status": "accepted"}
    answer = helper.put(f"/Task/{task['id']}", json=bare, headers={"If-Match": 'W/"1"'})
    assert answer.status_code == 200, answer.text
    assert answer.json()["description"] == PARENTING["nl"]


def test_a_person_to_be_asked_is_announced_in_every_language(practice: httpx.Client) -> None:
    signal: dict[str, Any] = {"consent-pending": {"valueBoolean": True}, "consent-way": None, "recipient": None}
    task = referred(practice, "Jan Signaal", **signal)["task"]
    assert task["description"] == sentences()["consent-to-ask"]["nl"]
    assert translations_of(task, "description") == sentences()["consent-to-ask"]
    assert task["code"]["coding"][0]["display"] == "Toestemming vragen aan een persoon"
    assert_valid(practice, task)


def test_a_hand_over_keeps_the_translations_of_the_need(practice: httpx.Client, helper: httpx.Client) -> None:
    task = referred(practice, "Tom Door")["task"]
    patch = json.dumps([{"op": "replace", "path": "/status", "value": "accepted"}])
    answer = helper.patch(
        f"/Task/{task['id']}",
        content=patch,
        headers={"Content-Type": "application/json-patch+json", "If-Match": 'W/"1"'},
    )
    assert answer.status_code == 200, answer.text
    given: dict[str, dict[str, Any]] = {
        "recipient": {"valueReference": {"reference": "HealthcareService/svc-buddy"}},
        "reason": {"valueString": "Wil een maatje"},
        "consent-way": {"valueCode": "spoken"},
    }
    body = {"resourceType": "Parameters", "parameter": [{"name": name, **one} for name, one in given.items()]}
    answer = helper.post(f"/Task/{task['id']}/$hand-over", json=body, headers={"If-Match": 'W/"2"'})
    assert answer.status_code == 200, answer.text
    (part,) = (
        one["resource"]
        for one in answer.json()["parameter"]
        if one.get("resource", {}).get("resourceType") == "Task" and one["resource"]["id"] != task["id"]
    )
    assert part["_description"] == task["_description"]
    assert {"Toestemming voor de overdracht", "Gekozen dienst"} <= {one["type"]["text"] for one in part["input"]}
    whole = helper.get(f"/Task/{task['id']}").json()
    assert whole["businessStatus"]["coding"][0]["display"] == "Overgedragen"


def test_the_pages_show_the_need_in_the_language_of_who_looks(region: RunningServer) -> None:
    browsers = {language: Browser(region.base, language) for language in PARENTING}
    try:
        browsers["en"].sign_in(PRACTICE, "referrer")
        assert refer(browsers["en"], family="Gezien", reason="Voor ieders ogen").status == 200
        (found,) = (
            one["resource"]
            for one in fhir(browsers["en"], "Task?_count=100", HELPER)["entry"]
            if one["resource"].get("reasonCode", {}).get("text") == "Voor ieders ogen"
        )
        browsers["en"].http.cookies.clear()
        for language, browser in browsers.items():
            browser.sign_in(HELPER, "recipient")
            others = {text for other, text in PARENTING.items() if other != language}
            page = browser.open(f"/tasks/{found['id']}").said()
            browser.open("/inbox")
            cards = ["".join(one.itertext()) for one in browser.page.all("li", class_="card")]
            (card,) = (one for one in cards if "Voor ieders ogen" in one)
            for said in (page, card):
                assert PARENTING[language] in said
                assert not [text for text in others if text in said], said
    finally:
        for browser in browsers.values():
            browser.http.close()


def test_a_reason_of_the_platform_is_said_once_in_the_language_of_who_looks(
    region: RunningServer, practice: httpx.Client
) -> None:
    made = referred(practice, "Eva Terug")
    request = practice.get(f"/ServiceRequest/{made['request']['id']}").json()
    answer = practice.put(f"/ServiceRequest/{request['id']}", json={**request, "status": "revoked"})
    assert answer.status_code == 200, answer.text
    reason = practice.get(f"/Task/{made['task']['id']}").json()["statusReason"]
    assert (reason["text"], reason["coding"][0]["display"]) == ("Verwijzing ingetrokken",) * 2
    for language, said in (("nl", "Verwijzing ingetrokken"), ("en", "Referral withdrawn")):
        browser = Browser(region.base, language)
        try:
            browser.sign_in(HELPER, "recipient")
            page = browser.open(f"/tasks/{made['task']['id']}").said()
        finally:
            browser.http.close()
        assert said in page
        assert language == "nl" or reason["text"] not in page


def test_who_learns_of_an_emergency_access_reads_it_in_an_own_language(
    practice: httpx.Client, helper: httpx.Client
) -> None:
    person = {"resourceType": "Patient", "identifier": [{"system": "urn:test", "value": "112"}]}
    made = practice.post("/Patient", json=person)
    assert made.status_code == 201, made.text
    glass = {"X-Purpose-Of-Use": 'BTG; reason="Gevonden op straat"'}
    opened = helper.post("/Patient/$break-the-glass?identifier=urn:test|112", headers=glass)
    assert opened.status_code == 200, opened.text
    asked = {"subject": f"Patient/{made.json()['id']}"}
    (entry,) = helper.get("/Communication", params=asked, headers=glass).json()["entry"]
    topic = entry["resource"]["topic"]
    assert topic["text"] == sentences()["record-opened"]["nl"]
    assert translations_of(topic, "text") == sentences()["record-opened"]
