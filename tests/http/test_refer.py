"""$refer over HTTP: what it makes, what it refuses and where it points, and that a refusal leaves nothing behind."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.workflow.numbers import is_number, spoken

EXAMPLES = Path(__file__).parents[2] / "examples"
NUMBER = "https://w3id.org/social-referral/NamingSystem/referral-number"
PROFILE = "https://w3id.org/social-referral/StructureDefinition/"
KINDS = ("Patient", "Consent", "ServiceRequest", "Task")


@pytest.fixture(scope="module")
def gp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A practice that refers to the example region; each test refers a person of its own."""
    from tests.conftest import RunningServer

    server = RunningServer({"store": f"sqlite:///{tmp_path_factory.mktemp('refer') / 'fhir.sqlite'}"})
    try:
        with httpx.Client(base_url=server.base, headers={"X-Dev-Roles": "operator"}, timeout=60) as operator:
            for path in sorted((EXAMPLES / "region").glob("*.json")):
                assert operator.post("/", json=json.loads(path.read_text())).status_code == 200
        headers = {"Content-Type": "application/fhir+json", "X-Dev-Organization": "Organization/org-praktijk-bea"}
        with httpx.Client(base_url=server.base, headers=headers, timeout=60) as http:
            yield http
    finally:
        server.stop()


def text(value: str) -> dict[str, Any]:
    return {"valueString": value}


def ref(target: str) -> dict[str, Any]:
    return {"valueReference": {"reference": target}}


def parameters(**given: Any) -> dict[str, Any]:
    listed = [(name, one) for name, value in given.items() for one in (value if isinstance(value, list) else [value])]
    sent = [{"name": name.replace("_", "-"), **one} for name, one in listed if one is not None]
    return {"resourceType": "Parameters", "parameter": sent}


def short(person: str, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "name": text(person),
        "phone": text("+32 470 " + "".join(str(ord(letter) % 10) for letter in person.lower())[:8].ljust(8, "7")),
        "city": text("Vilvoorde"),
        "reason": text("Zoekt gezelschap"),
        "need": text("social-connection"),
        "consent_way": {"valueCode": "spoken"},
    }
    return parameters(**{**given, **changes})


def named(answer: httpx.Response, name: str) -> list[Any]:
    assert answer.status_code == 200, answer.text
    found = [one for one in answer.json()["parameter"] if one["name"] == name]
    return [next(value for key, value in one.items() if key != "name") for one in found]


def counts(http: httpx.Client) -> dict[str, int]:
    return {kind: http.get(f"/{kind}", params={"_summary": "count"}).json()["total"] for kind in KINDS}


def test_contact_data_and_one_line_make_a_whole_referral(gp: httpx.Client) -> None:
    answer = gp.post("/$refer", json=short("Rosa Maes", contact_by={"valueDateTime": "2027-01-05"}))
    (number,), (told,), (request,), (task,) = (
        named(answer, name) for name in ("reference-number", "spoken", "request", "task")
    )
    assert is_number(number)
    assert told == spoken(number)
    assert request["status"] == "active"
    assert task["status"] == "requested"
    assert task["restriction"]["period"]["end"] == "2027-01-05"
    assert task["owner"]["reference"] == "Organization/org-aanmeldpunt"
    for kind in ("ServiceRequest", "Task"):
        assert gp.get(f"/{kind}", params={"identifier": f"{NUMBER}|{number}"}).json()["total"] == 1
    (patient,), (consent,) = named(answer, "patient"), named(answer, "consent")
    for reference in (
        patient["reference"],
        consent["reference"],
        f"ServiceRequest/{request['id']}",
        f"Task/{task['id']}",
    ):
        stored = gp.get(f"/{reference}").json()
        assert stored["meta"]["profile"][0].startswith(PROFILE), reference
        report = gp.post(f"/{stored['resourceType']}/$validate", json=stored).json()
        assert [one for one in report["issue"] if one["severity"] in ("error", "fatal")] == []
    assert gp.get(f"/{patient['reference']}").json()["name"] == [{"text": "Rosa Maes"}]


def test_what_is_open_is_told_and_not_doubled(gp: httpx.Client, refused: Any) -> None:
    first = gp.post("/$refer", json=short("Lies Daems", phone=text("+32 473 12 34 56")))
    (number,) = named(first, "reference-number")
    before = counts(gp)
    issue = refused(
        gp.post("/$refer", json=short("lies  DAEMS", phone=text("(0473) 12.34.56"))), 409, "referral-duplicate"
    )
    assert spoken(number) in issue["diagnostics"]
    assert counts(gp) == before
    other = gp.post("/$refer", json=short("Lies Daems", phone=text("0473123456"), need=text("employment")))
    assert named(other, "patient") == named(first, "patient")
    assert named(other, "outcome")[0]["issue"][0]["details"]["coding"][0]["code"] == "person-known"
    elsewhere = gp.post(
        "/$refer", json=short("Lies Daems", phone=text("0473123456"), recipient=ref("HealthcareService/svc-buddy"))
    )
    assert named(elsewhere, "patient") == named(first, "patient")


def test_a_namesake_with_another_birth_date_or_number_is_somebody_else(gp: httpx.Client) -> None:
    first = gp.post("/$refer", json=short("Jan Janssens", birth_date={"valueDate": "1950-01-01"}))
    son = gp.post("/$refer", json=short("Jan Janssens", birth_date={"valueDate": "1980-01-01"}))
    other = gp.post("/$refer", json=short("Jan Janssens", phone=text("02 999 88 77")))
    assert len({named(one, "patient")[0]["reference"] for one in (first, son, other)}) == 3


def test_the_same_identifier_makes_nothing_twice_even_at_once(gp: httpx.Client) -> None:
    before = counts(gp)
    body = short("Tom Bos", identifier={"valueIdentifier": {"system": "urn:epd", "value": "at-once"}})
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: gp.post("/$refer", json=body), range(6)))
    assert len({named(one, "request")[0]["id"] for one in answers}) == 1
    assert sum(bool(named(one, "outcome")) for one in answers) == 5
    assert counts(gp) == {kind: number + 1 for kind, number in before.items()}


def test_a_bundle_gets_a_number_and_our_profiles(gp: httpx.Client, refused: Any) -> None:
    bundle = json.loads((EXAMPLES / "erdan/01-referral-bundle.json").read_text())
    for entry in bundle["entry"]:
        entry["resource"].pop("meta", None)
        if entry["resource"]["resourceType"] == "ServiceRequest":
            del entry["resource"]["identifier"]
    answer = gp.post("/$refer", json=bundle)
    (request,) = named(answer, "request")
    assert request["meta"]["profile"] == [f"{PROFILE}social-referral"]
    assert is_number(named(answer, "reference-number")[0])
    assert len(named(answer, "task")) == 2
    at = next(i for i, entry in enumerate(bundle["entry"]) if entry["resource"]["resourceType"] == "ServiceRequest")
    bundle["entry"][at]["resource"]["performer"][0] = {"reference": "HealthcareService/none"}
    issue = refused(gp.post("/$refer", json=bundle), 422, "refer-recipient")
    assert issue["expression"] == [f"Bundle.entry[{at}].resource.performer[0].reference"]
    inside = parameters(bundle={"resource": bundle})
    issue = refused(gp.post("/$refer", json=inside), 422, "refer-recipient")
    assert issue["expression"] == [f"Parameters.parameter[0].resource.entry[{at}].resource.performer[0].reference"]
    bundle["entry"] = bundle["entry"][:at]
    del bundle["meta"]
    refused(gp.post("/$refer", json=bundle), 400, "refer-input")


CLOSED = {"during": {"start": "2020-01-01", "end": "2099-01-01"}, "description": "Verbouwing"}


@pytest.mark.parametrize(
    ("changes", "status", "key", "expression"),
    [
        ({"reason": None}, 400, "refer-input", "Parameters"),
        ({"reason": text("x" * 251)}, 400, "refer-input", "Parameters.parameter[3].valueString"),
        ({"name": text("n" * 201)}, 400, "refer-input", "Parameters.parameter[0].valueString"),
        ({"phone": None}, 400, "refer-input", "Parameters.parameter[0].valueString"),
        ({"consent_way": None}, 400, "refer-input", "Parameters"),
        ({"consent_way": {"valueCode": "shouted"}}, 422, "profile-binding", "Parameters.parameter[5].valueCode"),
        ({"need": text("nonsense")}, 400, "unknown-code", "Parameters.parameter[4].valueString"),
        ({"need": [text("debt")] * 10_000}, 400, "refer-input", "Parameters.parameter[24].valueString"),
        ({"city": text("Atlantis")}, 422, "refer-no-recipient", "Parameters"),
        ({"recipient": ref("HealthcareService/none")}, 422, "refer-recipient", "Parameters.parameter[6].valueReference.reference"),
        ({"recipient": ref("Patient/x")}, 422, "refer-recipient", "Parameters.parameter[6].valueReference.reference"),
        ({"recipient": ref("HealthcareService/closed")}, 422, "refer-recipient", "Parameters.parameter[6].valueReference.reference"),
        ({"recipient": ref("HealthcareService/gone")}, 422, "refer-recipient", "Parameters.parameter[6].valueReference.reference"),
        ({"priority": {"valueCode": "soon"}}, 400, "refer-input", "Parameters.parameter[6].valueCode"),
        ({"plan": {"valueCanonical": "https://example.org/none"}}, 400, "refer-input", "Parameters.parameter[6].valueCanonical"),
        ({"subject": ref("Patient/none"), "name": None}, 400, "refer-input", "Parameters.parameter[5].valueReference.reference"),
        ({"requester": ref("Organization/org-taalhuis")}, 403, "request-actor", "Parameters.parameter[6].valueReference"),
        ({"colour": text("red")}, 400, "unknown-parameter", "Parameters.parameter[6]"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_where_it_stands_and_leaves_nothing(
    gp: httpx.Client, refused: Any, changes: dict[str, Any], status: int, key: str, expression: str
) -> None:
    operator = {"X-Dev-Roles": "operator", "X-Dev-Organization": "Organization/org-handje-bij"}
    for name, more in (("closed", {"notAvailable": [CLOSED]}), ("gone", {"active": False})):
        service = {
            "resourceType": "HealthcareService",
            "id": name,
            "providedBy": {"reference": "Organization/org-handje-bij"},
            **more,
        }
        assert gp.put(f"/HealthcareService/{name}", json=service, headers=operator).status_code in (200, 201)
    before = counts(gp)
    answer = gp.post("/$refer", json=short("Piet Fout", **changes))
    issue = refused(answer, status, key)
    assert issue["expression"] == [expression]
    assert counts(gp) == before


def test_a_consent_that_does_not_cover_the_recipient_is_told_at_the_recipient(gp: httpx.Client, refused: Any) -> None:
    first = gp.post("/$refer", json=short("Wim Nauw"))
    before = counts(gp)
    again = short(
        "Wim Nauw", consent_way=None, need=text("debt"), recipient=[ref("HealthcareService/svc-schuldhulp")],
        consent_reference=ref(named(first, "consent")[0]["reference"]),
    )  # fmt: skip
    issue = refused(gp.post("/$refer", json=again), 422, "consent-recipient")
    assert issue["expression"] == ["Parameters.parameter[5].valueReference"]
    assert counts(gp) == before


def test_a_consent_that_came_as_a_resource_is_judged_where_it_stands(gp: httpx.Client, refused: Any) -> None:
    consent: dict[str, Any] = {
        "resourceType": "Consent",
        "status": "active",
        "policy": [{"uri": "urn:x"}],
        "category": [],
    }
    consent = json.loads((EXAMPLES / "profiles/referral-consent-minimal.json").read_text())
    for name in ("patient", "organization", "id"):
        consent.pop(name, None)
    consent["provision"]["actor"][0]["reference"] = {"reference": "Organization/org-aanmeldpunt"}
    answer = gp.post("/$refer", json=short("Bo Papier", consent_way=None, consent={"resource": consent}))
    stored = gp.get(f"/{named(answer, 'consent')[0]['reference']}").json()
    assert stored["patient"] == named(answer, "patient")[0]
    assert stored["organization"] == [{"reference": "Organization/org-praktijk-bea"}]
    consent.pop("extension")
    issue = refused(gp.post("/$refer", json=short("Bo Blad", consent_way=None, consent={"resource": consent})), 422)
    assert issue["expression"][0].startswith("Parameters.parameter[5].resource")


def test_a_script_stays_text_and_is_answered_as_json(gp: httpx.Client, refused: Any) -> None:
    script = "<script>alert(1)</script> =cmd()"
    answer = gp.post("/$refer", json=short(f"Eva {script}", reason=text(script)))
    assert answer.headers["content-type"].startswith("application/fhir+json")
    (task,) = named(answer, "task")
    assert task["reasonCode"]["text"] == script
    assert "text" not in named(answer, "request")[0]
    person = {
        "resourceType": "Patient", "name": [{"text": "Eva Script"}], "telecom": [{"system": "phone", "value": "0470 11 22 33"}],
        "address": [{"city": "Vilvoorde"}],
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></div>'},
    }  # fmt: skip
    bad = short("x", name=None, phone=None, city=None, patient={"resource": person})
    issue = refused(gp.post("/$refer", json=bad), 400)
    assert ".text" in issue["expression"][0]


def test_without_saying_who_asks_nothing_is_made(gp: httpx.Client, refused: Any) -> None:
    before = counts(gp)
    with httpx.Client(base_url=gp.base_url, timeout=30) as nobody:
        answer = nobody.post("/$refer", json=short("Niemand"), headers={"Content-Type": "application/fhir+json"})
    assert answer.status_code in (400, 403, 422), answer.text
    refused(answer, answer.status_code)
    assert counts(gp) == before


def test_overdue_is_true_or_false_and_means_the_same_as_its_opposite(gp: httpx.Client, refused: Any) -> None:
    (task,) = named(gp.post("/$refer", json=short("Laat Laatste")), "task")
    term = [{"op": "replace", "path": "/restriction/period/end", "value": "2026-01-01"}]
    kind = {"Content-Type": "application/json-patch+json", "If-Match": f'W/"{task["meta"]["versionId"]}"'}
    assert gp.patch(f"/Task/{task['id']}", json=term, headers=kind).status_code == 200
    narrow = {"_id": task["id"]}
    assert gp.get("/Task", params={"overdue": "true", **narrow}).json()["total"] == 1
    assert gp.get("/Task", params={"overdue": "false", **narrow}).json()["total"] == 0
    request = task["focus"]["reference"].partition("/")[2]
    assert gp.get("/ServiceRequest", params={"_has:Task:focus:overdue": "true", "_id": request}).json()["total"] == 1
    issue = refused(gp.get("/Task", params={"overdue": "maybe"}), 400, "search-bad-boolean")
    assert "true or false" in issue["diagnostics"]
    refused(gp.get("/Task", params={"overdue:not": "true"}), 400, "search-unsupported-modifier")


def test_the_short_form_in_the_address_alone_is_a_referral_and_what_is_wrong_points_at_no_body(
    gp: httpx.Client, refused: Any
) -> None:
    """Plain values may stand in the URL (R4 operations.html#executing), with a body for the rest or without one."""
    body = short("Adres Alleen")
    given = {one["name"]: next(value for key, value in one.items() if key != "name") for one in body["parameter"]}
    before = counts(gp)
    issue = refused(gp.post("/$refer", params={**given, "reason": "x" * 251}), 400, "refer-input")
    assert (issue["code"], issue["expression"]) == ("too-long", ["Parameters"])
    issue = refused(gp.post("/$refer", params={"reason": "x" * 251}, json=short("Half Half", reason=None)), 400)
    assert (issue["code"], issue["expression"]) == ("too-long", ["Parameters"])
    assert counts(gp) == before
    (request,) = named(gp.post("/$refer", params=given), "request")
    assert request["reasonCode"][0]["text"] == given["reason"]
    assert counts(gp)["ServiceRequest"] == before["ServiceRequest"] + 1
