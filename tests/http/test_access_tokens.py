"""Policies with real tokens over HTTP: a person, a representative with a mandate, scopes with parameters, and closing a part."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fhir_server.access.clients import add_client, new_client
from fhir_server.app import build_engine
from fhir_server.cli.client import OPERATOR
from fhir_server.settings import Settings
from tests.conftest import RunningServer
from tests.http.local_issuer import local_issuer, signed_by
from tests.http.smart_client import RSA, Caller, prepare, public
from tests.property.access_world import World, about, consent, furnish

FILE = """
[[issuer]]
url = "{issuer}"
name = "Local"
audience = "fhir"
algorithms = ["RS256"]
[issuer.claims.person]
claim = "fhirUser"
[issuer.claims.roles]
claim = "groups"
values = {{ citizens = "person" }}
"""
CLOSING: dict[str, Any] = {
    "resourceType": "Consent", "status": "active", "patient": {"reference": "Patient/ann"}, "dateTime": "2026-11-01",
    "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
    "category": [{"text": "privacy"}], "policyRule": {"text": "ours"},
}  # fmt: skip

CLIENTS: list[dict[str, Any]] = [
    {"id": "cbo", "organization": "Organization/cbo", "roles": ["recipient"], "scopes": "system/*.cruds"},
    {
        "id": "narrow", "organization": "Organization/cbo", "roles": ["recipient"],
        "scopes": "system/Task.rs?status=accepted system/ServiceRequest.rs",
    },
    {
        "id": "worker", "organization": "Organization/worker", "roles": ["link-worker"], "areas": ["Location/north"],
        "scopes": "system/*.rs",
    },
]  # fmt: skip


class Actor:
    """One caller with its token."""

    def __init__(self, caller: Caller, token: str) -> None:
        self.http, self.base = caller.http, caller.base
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.http.request(method, f"{self.base}/{path}", json=body, headers=self.headers)

    def statuses(self, *paths: str) -> list[int]:
        return [self.ask("GET", path).status_code for path in paths]


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with local_issuer() as url:
        yield url


@pytest.fixture(scope="module")
def caller(issuer: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    folder = tmp_path_factory.mktemp("tokens")
    settings = prepare(folder)
    file = folder / "issuers.toml"
    file.write_text(FILE.format(issuer=issuer), encoding="utf-8")
    world = World(build_engine(Settings(**settings)))
    furnish(world)
    world.put(about("RelatedPerson", "mother", "Patient/ann"), "")
    world.put(consent("mandate", "Patient/ann", "RelatedPerson/mother"), "")
    world.put(about("RelatedPerson", "uncle", "Patient/ann"), "")
    world.put({"resourceType": "Location", "id": "north"}, "")
    for client in CLIENTS:
        made = new_client({"name": client["id"], "jwks": public(RSA), **client})
        world.engine.store.write(lambda uow, made=made: add_client(uow, made, OPERATOR))
    world.close()
    running = RunningServer({**settings, "issuers_file": str(file), "private_addresses": True})
    found = Caller(running.base)
    yield found
    found.close()
    running.stop()


def person(caller: Caller, issuer: str, who: str, scope: str = "patient/*.cruds") -> Actor:
    claims = {"aud": "fhir", "sub": who, "groups": ["citizens"], "fhirUser": who, "scope": scope}
    return Actor(caller, signed_by(issuer, **claims))


def system(caller: Caller, client: str, scope: str) -> Actor:
    return Actor(caller, caller.token(client, scope))


def test_a_representative_sees_the_record_as_long_as_the_mandate_holds(caller: Caller, issuer: str) -> None:
    mother, uncle, ann = (
        person(caller, issuer, who) for who in ("RelatedPerson/mother", "RelatedPerson/uncle", "Patient/ann")
    )
    record = ("Patient/ann", "Observation/apart-ann", "Task/t-ann")
    assert mother.statuses(*record, "Patient/ben") == [200, 200, 200, 404]
    assert uncle.statuses(*record) == [404] * 3
    assert mother.ask("GET", "Patient").json()["total"] == 1
    mandate = ann.ask("GET", "Consent/mandate").json()
    given = {**CLOSING, **mandate}
    ended = ann.ask("PUT", "Consent/mandate", {**given, "status": "inactive"})
    assert ended.status_code == 200, ended.text
    assert mother.statuses(*record) == [404] * 3
    actor = [{"role": {"text": "representative"}, "reference": {"reference": "RelatedPerson/uncle"}}]
    made = ann.ask("POST", "Consent", {**CLOSING, "provision": {"type": "permit", "actor": actor}})
    assert made.status_code == 201, made.text
    assert uncle.statuses(*record, "Patient/ben") == [200, 200, 200, 404]
    over = {**made.json(), "provision": {"type": "permit", "actor": actor, "period": {"end": "2026-01-01"}}}
    assert ann.ask("PUT", f"Consent/{made.json()['id']}", over).status_code == 200
    assert uncle.statuses(*record) == [404] * 3


def test_nobody_gives_oneself_a_mandate(caller: Caller, issuer: str) -> None:
    uncle = person(caller, issuer, "RelatedPerson/uncle")
    actor = [{"role": {"text": "representative"}, "reference": {"reference": "RelatedPerson/uncle"}}]
    refused = uncle.ask("POST", "Consent", {**CLOSING, "provision": {"type": "permit", "actor": actor}})
    assert refused.status_code in (403, 409), refused.text
    assert uncle.statuses("Patient/ann") == [404]


@pytest.mark.parametrize("part", ["Condition", "Observation", "Patient"])
def test_a_person_closes_a_part_and_opens_it_again(caller: Caller, issuer: str, part: str) -> None:
    cbo, ann = system(caller, "cbo", "system/*.rs"), person(caller, issuer, "Patient/ann")
    places = {"Condition": "Condition/named-ann", "Observation": "Observation/info-ann", "Patient": "Patient/ann"}
    assert cbo.statuses(*places.values()) == [200] * 3
    provision = {
        "type": "deny", "class": [{"system": "http://hl7.org/fhir/resource-types", "code": part}],
        "actor": [{"role": {"text": "recipient"}, "reference": {"reference": "Organization/cbo"}}],
    }  # fmt: skip
    made = ann.ask("POST", "Consent", {**CLOSING, "provision": provision})
    assert made.status_code == 201, made.text
    assert cbo.statuses(*places.values()) == [404 if name == part else 200 for name in places]
    found = cbo.ask("GET", f"{part}?_id={places[part].partition('/')[2]}")
    assert found.json()["total"] == 0
    assert ann.statuses(*places.values()) == [200] * 3
    opened = ann.ask("PUT", f"Consent/{made.json()['id']}", {**made.json(), "status": "inactive"})
    assert opened.status_code == 200, opened.text
    assert cbo.statuses(*places.values()) == [200] * 3


def test_a_scope_with_a_parameter_bounds_what_a_token_shows_by_every_way(caller: Caller) -> None:
    narrow = system(caller, "narrow", "system/Task.rs?status=accepted system/ServiceRequest.rs")
    assert narrow.statuses("Task/t-ann", "Task/u-ben", "Task/u-ben/_history") == [200, 404, 404]
    rows = narrow.ask("GET", "Task?_count=100").json()
    assert {entry["resource"]["status"] for entry in rows["entry"]} == {"accepted"}
    asked = narrow.ask("GET", "ServiceRequest?_has:Task:focus:_id=u-ben")
    assert asked.json()["total"] == 0
    assert narrow.ask("GET", "Patient/ann").status_code == 403
    brought = narrow.ask("GET", "Task?_id=t-ann&_include=Task:patient&_include=Task:focus").json()
    assert {entry["resource"]["resourceType"] for entry in brought["entry"]} == {"Task", "ServiceRequest"}


def test_a_link_worker_sees_the_area_that_its_client_is_registered_for(caller: Caller) -> None:
    worker = system(caller, "worker", "system/*.rs")
    assert worker.statuses("Task/p-ann", "Task/p-ben", "Task/p-eve", "Task/w-ann", "Task/w-ben") == [
        200, 404, 200, 200, 404,
    ]  # fmt: skip
    found = worker.ask("GET", "Task?_count=100").json()
    assert {entry["resource"]["id"] for entry in found["entry"]} == {"p-ann", "p-eve", "w-ann"}


def test_the_statement_says_how_to_get_in_and_promises_no_ids_of_clients(caller: Caller) -> None:
    rest = caller.http.get(f"{caller.base}/metadata").json()["rest"][0]
    service = rest["security"]["service"][0]["coding"][0]
    assert service["code"] == "SMART-on-FHIR"
    where = f"{caller.base}/.well-known/smart-configuration"
    assert where in rest["security"]["description"]
    assert caller.http.get(where).status_code == 200
    assert not any(one["updateCreate"] for one in rest["resource"])
    epd = system(caller, "epd", "system/ServiceRequest.cruds")
    sent: dict[str, Any] = {"resourceType": "ServiceRequest", "id": "mine", "status": "draft", "intent": "order"}
    sent["subject"] = {"reference": "Patient/ann"}
    assert epd.ask("PUT", "ServiceRequest/mine", sent).status_code == 404
