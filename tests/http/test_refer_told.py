"""What `$refer` refuses and tells of a term, a place and hidden characters, and who learns of a referral that is late."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import RunningServer

EXAMPLES = Path(__file__).parents[2] / "examples"
PATCH = "application/json-patch+json"
FAMILY = "org-de-notelaar"
SERVICE = "HealthcareService/svc-dienstencentrum"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The example region, which escalates what is overdue and enforces access."""
    path = tmp_path_factory.mktemp("told") / "fhir.sqlite"
    server = RunningServer({"store": f"sqlite:///{path}", "escalate_overdue": True, "enforce_access": True})
    try:
        with httpx.Client(base_url=server.base, headers={"X-Dev-Roles": "operator"}, timeout=60) as operator:
            for file in sorted((EXAMPLES / "region").glob("*.json")):
                assert operator.post("/", json=json.loads(file.read_text())).status_code == 200
        yield server.base
    finally:
        server.stop()


def acting(base: str, organization: str) -> httpx.Client:
    headers = {"Content-Type": "application/fhir+json", "X-Dev-Organization": f"Organization/{organization}"}
    return httpx.Client(base_url=base, headers=headers, timeout=60)


@pytest.fixture
def gp(base: str) -> Iterator[httpx.Client]:
    with acting(base, "org-praktijk-bea") as http:
        yield http


def asked(person: str, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "name": {"valueString": person},
        "phone": {"valueString": "+32 471 " + "".join(str(ord(one) % 10) for one in person)[:8].ljust(8, "3")},
        "city": {"valueString": "Vilvoorde"},
        "reason": {"valueString": "Zoekt gezelschap"},
        "recipient": {"valueReference": {"reference": SERVICE}},
        "consent_way": {"valueCode": "spoken"},
    }
    listed = [(name, one) for name, one in {**given, **changes}.items() if one is not None]
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name.replace("_", "-"), **one} for name, one in listed],
    }


def named(answer: httpx.Response, name: str) -> list[Any]:
    assert answer.status_code == 200, answer.text
    found = [one for one in answer.json()["parameter"] if one["name"] == name]
    return [next(value for key, value in one.items() if key != "name") for one in found]


def told(answer: httpx.Response) -> dict[str, tuple[str, str]]:
    """Return key → (severity, expression) of what the answer tells besides."""
    return {
        one["details"]["coding"][0]["code"]: (one["severity"], one["expression"][0])
        for outcome in named(answer, "outcome")
        for one in outcome["issue"]
    }


@pytest.mark.parametrize("until", ["1900-01-01", "2026-11-01", "2026-11-01T10:00:00+01:00"])
def test_a_term_that_has_passed_is_refused_in_each_form(gp: httpx.Client, refused: Any, until: str) -> None:
    late = {"contact_by": {"valueDateTime": until}}
    issue = refused(gp.post("/$refer", json=asked("Te Vroeg", **late)), 400, "refer-input")
    assert issue["expression"] == ["Parameters.parameter[6].valueDateTime"]
    assert gp.get("/Patient", params={"name": "Te Vroeg", "_summary": "count"}).json()["total"] == 0
    request = named(gp.post("/$refer", json=asked(f"Vooraf {until}")), "request")[0]
    term = {"url": "https://w3id.org/social-referral/StructureDefinition/contact-by", "valueDateTime": until}
    own = {"system": "https://bea.example.org/referrals", "value": until}
    again = {**request, "extension": [term], "identifier": [own], "reasonCode": [{"text": "Zoekt taalles"}]}
    again = {name: value for name, value in again.items() if name not in ("id", "meta")}
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": again, "request": {"method": "POST", "url": "ServiceRequest"}}],
    }
    issue = refused(gp.post("/$refer", json=bundle), 422, "contact-by-passed")
    assert issue["expression"] == ["Bundle.entry[0].resource.extension[0]"]
    today = {"contact_by": {"valueDateTime": time.strftime("%Y-%m-%d", time.gmtime(time.time() + 60))}}
    assert named(gp.post("/$refer", json=asked(f"Op Dag {until}", **today)), "task")


@pytest.mark.parametrize("code", ["0000", "abc", "18OO!", "BE-", "1 800 000 000 000"])
def test_a_postal_code_that_is_none_is_refused(gp: httpx.Client, refused: Any, code: str) -> None:
    issue = refused(
        gp.post("/$refer", json=asked("Post", city=None, postal_code={"valueString": code})), 400, "refer-input"
    )
    assert issue["expression"] == ["Parameters.parameter[5].valueString"]
    address = {"valueAddress": {"country": "NL", "postalCode": "1811 A"}}
    issue = refused(gp.post("/$refer", json=asked("Post", city=None, address=address)), 400, "refer-input")
    assert issue["expression"] == ["Parameters.parameter[5].valueAddress.postalCode"]


def test_a_place_that_the_directory_does_not_know_is_told_and_one_that_it_knows_is_not(gp: httpx.Client) -> None:
    away = gp.post("/$refer", json=asked("Ver Weg", city=None, postal_code={"valueString": "75001"}))
    assert told(away)["unknown-area"] == ("warning", "Parameters.parameter[5].valueString")
    assert told(away)["escalation-not-covered"][0] == "warning"
    patient = {
        "resourceType": "Patient",
        "name": [{"text": "Ook Ver"}],
        "telecom": [{"system": "phone", "value": "02 1"}],
    }
    other = {"resource": {**patient, "address": [{"city": "Nergens"}]}}
    listed = asked("x", name=None, phone=None, city=None, patient=other)
    assert told(gp.post("/$refer", json=listed))["unknown-area"][0] == "warning"
    assert "unknown-area" not in told(
        gp.post("/$refer", json=asked("Hier", city=None, postal_code={"valueString": "1800"}))
    )


@pytest.mark.parametrize("hidden", ["\u202e", "\u2066", "\x7f", "\x85"])
def test_what_nobody_sees_is_refused_in_every_text_of_a_referral(gp: httpx.Client, refused: Any, hidden: str) -> None:
    bad = f"Zoekt {hidden}raad"
    for index, name in ((3, "reason"), (0, "name")):
        issue = refused(gp.post("/$refer", json=asked("Wie", **{name: {"valueString": bad}})), 422, "hidden-character")
        assert issue["expression"] == [f"Parameters.parameter[{index}].valueString"]
        assert f"U+{ord(hidden):04X}" in issue["diagnostics"]
    (task,) = named(gp.post("/$refer", json=asked(f"Taak {ord(hidden)}")), "task")
    match = {"If-Match": f'W/"{task["meta"]["versionId"]}"', "Content-Type": PATCH}
    note = [{"op": "add", "path": "/note", "value": [{"text": bad}]}]
    issue = refused(gp.patch(f"/Task/{task['id']}", json=note, headers=match), 422, "hidden-character")
    assert issue["expression"] == ["Task.note[0].text"]
    right = [{"op": "add", "path": "/note", "value": [{"text": "Bel\u00a0na 18\u202f u\n\u200fשלום 👨‍👩‍👧"}]}]
    assert gp.patch(f"/Task/{task['id']}", json=right, headers=match).status_code == 200
    plain = {"resourceType": "Patient", "name": [{"text": bad}]}
    assert gp.post("/Patient", json=plain).status_code == 201  # R4 allows it


def overdue(gp: httpx.Client, task: dict[str, Any]) -> None:
    match = {"If-Match": f'W/"{task["meta"]["versionId"]}"', "Content-Type": PATCH}
    term = [{"op": "replace", "path": "/restriction/period/end", "value": "2026-11-20"}]
    assert gp.patch(f"/Task/{task['id']}", json=term, headers=match).status_code == 200


def until(ask: Any) -> Any:
    """Return the first answer that holds, within some seconds: the scheduler looks every second."""
    for _ in range(80):
        if found := ask():
            return found
        time.sleep(0.1)
    raise AssertionError("the scheduler did nothing")


def test_the_contact_point_learns_of_what_is_late_and_reads_it_once_it_takes_that_up(
    base: str, gp: httpx.Client
) -> None:
    answer = gp.post("/$refer", json=asked("Laat Gebeld"))
    assert told(answer)["escalation-covered"][0] == "information"
    (task,), (patient,), (consent,) = (named(answer, name) for name in ("task", "patient", "consent"))
    nested = gp.get(f"/{consent['reference']}").json()["provision"]["provision"]
    assert [one["reference"]["reference"] for one in nested[0]["actor"]] == ["Organization/org-aanmeldpunt"]
    with acting(base, "org-aanmeldpunt") as link:
        assert link.get("/Task", params={"focus": task["focus"]["reference"]}).json()["total"] == 0
        assert link.get(f"/{patient['reference']}").status_code in (403, 404)
        overdue(gp, task)
        where = {"part-of": f"Task/{task['id']}", "code": "escalation"}
        (entry,) = until(lambda: link.get("/Task", params=where).json().get("entry"))
        late = entry["resource"]
        match = {"If-Match": f'W/"{late["meta"]["versionId"]}"', "Content-Type": PATCH}
        taken = [{"op": "replace", "path": "/status", "value": "accepted"}]
        assert link.patch(f"/Task/{late['id']}", json=taken, headers=match).status_code == 200
        assert link.get(f"/{patient['reference']}").json()["name"] == [{"text": "Laat Gebeld"}]


def test_where_the_consent_does_not_cover_it_the_task_and_the_meeting_list_say_so(gp: httpx.Client) -> None:
    answer = gp.post("/$refer", json=asked("Niet Verteld", consent_escalation={"valueBoolean": False}))
    assert told(answer)["escalation-not-covered"][0] == "warning"
    (task,), (consent,) = named(answer, "task"), named(answer, "consent")
    assert "provision" not in gp.get(f"/{consent['reference']}").json()["provision"]
    overdue(gp, task)
    noted = until(lambda: gp.get(f"/Task/{task['id']}").json().get("note"))
    assert "the consent does not cover that" in noted[0]["text"]
    listed = gp.get("/Organization/org-praktijk-bea/$meeting-list").json()["entry"]
    found = next(one["resource"] for one in listed if one["resource"]["id"] == task["id"])
    assert found["note"] == noted


def test_the_answers_of_an_outcome_are_linked_to_its_task_and_the_referrer_reads_them(
    base: str, gp: httpx.Client
) -> None:
    plan = {"valueCanonical": "https://w3id.org/social-referral/PlanDefinition/outcomes"}
    (task,) = named(gp.post("/$refer", json=asked("Uit Komst", plan=plan)), "task")
    with acting(base, FAMILY) as worker:

        def change(one: dict[str, Any], *operations: dict[str, Any]) -> dict[str, Any]:
            match = {"If-Match": f'W/"{one["meta"]["versionId"]}"', "Content-Type": PATCH}
            answer = worker.patch(f"/Task/{one['id']}", json=list(operations), headers=match)
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

        accept = {"op": "replace", "path": "/status", "value": "accepted"}
        change(task, accept)
        found = worker.get("/Task", params={"focus": task["focus"]["reference"], "code": "follow-up"}).json()["entry"]
        outcome = change(found[0]["resource"], accept)
        answers = {
            "resourceType": "QuestionnaireResponse",
            "questionnaire": outcome["input"][0]["valueCanonical"],
            "status": "in-progress",
            "subject": task["for"],
        }
        stored = worker.post("/QuestionnaireResponse", json=answers)
        assert stored.status_code == 201, stored.text
        place = f"QuestionnaireResponse/{stored.json()['id']}"
        assert gp.get(f"/{place}").status_code in (403, 404)
        kind = {"system": "https://w3id.org/social-referral/CodeSystem/task-parameter", "code": "feedback"}
        output = [{"type": {"coding": [kind]}, "valueReference": {"reference": place}}]
        done = {"op": "replace", "path": "/status", "value": "completed"}
        change(outcome, done, {"op": "add", "path": "/output", "value": output})
    assert gp.get(f"/{place}").json()["questionnaire"] == answers["questionnaire"]
    assert gp.get(f"/Task/{outcome['id']}").json()["output"] == output
