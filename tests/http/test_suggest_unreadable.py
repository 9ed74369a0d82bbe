"""What a service says and nobody can read is told: by $suggest to who asks for the service, and by $validate."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import FHIR_JSON, RunningServer

BASE = "https://w3id.org/social-referral"
SD = f"{BASE}/StructureDefinition/"
AREA = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/location-physical-type", "code": "area"}]}
SEASON = {"url": f"{SD}service-season", "extension": [{"url": "start", "valueString": "02-30"}, {"url": "end", "valueString": "03-01"}]}  # fmt: skip
AGES = {"url": f"{SD}eligibility-age", "valueString": "18-25"}
SAID = (
    "HealthcareService/s: The extension service-season cannot be read, so a suggestion counts as if it were not said: "
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    running = RunningServer({"store": f"sqlite:///{tmp_path_factory.mktemp('unreadable')}/fhir.sqlite"})
    headers = {"Accept": FHIR_JSON, "Content-Type": FHIR_JSON, "X-Dev-Roles": "operator"}
    with httpx.Client(base_url=running.base, headers=headers, timeout=30) as http:
        put(http, area("here", nis("11111")))
        put(http, area("there", nis("22222")))
        yield http
    running.stop()


def nis(code: str) -> dict[str, str]:
    return {"system": f"{BASE}/NamingSystem/nis", "value": code}


def area(name: str, *identifiers: dict[str, str], **more: Any) -> dict[str, Any]:
    found = {"resourceType": "Location", "id": name, "name": name, "physicalType": AREA, **more}
    return {**found, "identifier": list(identifiers)} if identifiers else found


def service(
    name: str, *extensions: dict[str, Any], where: str = "here", need: str = "debt", **more: Any
) -> dict[str, Any]:
    made = {
        "resourceType": "HealthcareService", "id": name, "active": True, "name": name, "extension": list(extensions),
        "type": [{"coding": [{"system": f"{BASE}/CodeSystem/social-need", "code": need}]}],
        "coverageArea": [{"reference": f"Location/{where}"}], **more,
    }  # fmt: skip
    return {key: value for key, value in made.items() if value}


def put(http: httpx.Client, resource: dict[str, Any]) -> None:
    answer = http.put(f"{resource['resourceType']}/{resource['id']}", json=resource)
    assert answer.status_code in (200, 201), answer.text


def asked(http: httpx.Client, query: str) -> tuple[set[str], list[str]]:
    answer = http.get(f"HealthcareService/$suggest?{query}")
    assert answer.status_code == 200, answer.text
    entries = answer.json().get("entry", ())
    issues = [issue for one in entries if one["search"]["mode"] == "outcome" for issue in one["resource"]["issue"]]
    told = [one["diagnostics"] for one in issues if one["details"]["coding"][0]["code"] == "fact-unreadable"]
    return {one["resource"]["id"] for one in entries if one["search"]["mode"] == "match"}, told


def test_who_asks_for_the_service_learns_what_cannot_be_read(server: httpx.Client) -> None:
    put(server, service("s", SEASON, AGES))
    for query in (
        "need=debt&nis=11111",
        "need=debt&nis=11111&exclusions=true",
        "need=debt&nis=11111&age=90",
    ):
        matches, told = asked(server, query)
        assert matches == {"s"}, "it is not hidden by what nobody can read"
        assert told[0].startswith(f"{SAID}start is '02-30'.")
        assert "eligibility-age" in told[1]
    for other in ("need=debt&nis=22222", "need=parenting&nis=11111", "need=debt"):
        assert asked(server, other)[1] == [], "nobody else is told"
    put(server, service("s", where="there"))
    assert asked(server, "need=debt&nis=22222") == ({"s"}, [])
    put(server, service("s", SEASON) | {"active": False})
    assert asked(server, "need=debt") == (set(), [])


def test_of_much_that_cannot_be_read_the_number_is_told(server: httpx.Client) -> None:
    for number in range(6):
        put(server, service(f"many-{number}", SEASON, AGES, need="parenting"))
    _, told = asked(server, "need=parenting&nis=11111")
    assert len(told) == 11
    assert told[-1] == "Of what services say, 12 things cannot be read; 10 are told."


@pytest.mark.parametrize(
    ("language", "said"), [("en", "of UCUM: d, wk"), ("nl", "Stuur een code"), ("fr", "Envoyez un code")]
)
def test_validate_tells_as_a_warning_what_no_definition_refuses(server: httpx.Client, language: str, said: str) -> None:
    waits = {"url": f"{SD}service-wait", "valueDuration": {"value": 3, "unit": "fortnights"}}
    sent = service("v", {"url": "https://example.org/else", "valueString": "x"}, waits)
    answer = server.post("HealthcareService/$validate", json=sent, headers={"Accept-Language": language})
    told = [one for one in answer.json()["issue"] if one["details"]["coding"][0]["code"] == "fact-unreadable"]
    assert [(one["severity"], one["expression"]) for one in told] == [("warning", ["HealthcareService.extension[1]"])]
    assert said in told[0]["diagnostics"]


@pytest.mark.parametrize("profile", [[], [f"{SD}social-service"]])
def test_validate_tells_once_what_the_definition_of_an_extension_refuses(
    server: httpx.Client, profile: list[str]
) -> None:
    claimed = service("v", SEASON) | ({"meta": {"profile": profile}} if profile else {})
    issues = server.post("HealthcareService/$validate", json=claimed).json()["issue"]
    assert "fact-unreadable" not in [one["details"]["coding"][0]["code"] for one in issues]
    assert "sxs-1" in [one["details"]["coding"][0]["code"] for one in issues]


def test_half_a_position_and_a_postal_code_without_a_value_stop_nobody(server: httpx.Client) -> None:
    absent = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    put(server, area("half", nis("33333"), position={"longitude": 4.4, "_latitude": absent}))
    put(server, area("off", nis("44444"), position={"longitude": 4.4, "latitude": 950}))
    put(server, area("bare", {"system": f"{BASE}/NamingSystem/postal-code"}))
    put(
        server,
        service("s-half", where="half", location=[{"reference": "Location/half"}, {"reference": "Location/off"}]),
    )
    assert asked(server, "need=debt&nis=33333") == ({"s-half"}, [])
    assert asked(server, "need=debt&nis=33333&position=50.9|4.4") == ({"s-half"}, [])
