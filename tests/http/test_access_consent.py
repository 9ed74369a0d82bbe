"""Consent on every read: explained, ended by its period, closed in part, revoked under load; and the broken glass."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.app import build_engine
from tests.property.access_world import CALLERS, World, consent, furnish, opened

REASON = "She lies on the floor and cannot speak"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with opened(tmp_path) as made:
        furnish(made)
        yield made


def statuses(world: World, caller: str, *places: str) -> list[int]:
    return [world.ask(caller, "GET", place).status for place in places]


BEHIND = ("ServiceRequest/r-ann", "Patient/ann", "Condition/named-ann", "Observation/info-ann")


@pytest.mark.parametrize(
    "change",
    [
        {"status": "inactive"},
        {"provision": {"period": {"end": "2020-01-01"}}},
        {"meta": {"tag": [{"system": "https://w3id.org/social-referral/access/permits", "code": "Organization/cbo2"}]}},
    ],
)
def test_a_consent_that_does_not_hold_closes_all_that_was_behind_the_task(world: World, change: dict[str, Any]) -> None:
    assert statuses(world, "cbo", *BEHIND) == [200] * 4
    world.put({**consent("c-ann", "Patient/ann", "Organization/cbo"), **change}, "", writer="gp")
    assert statuses(world, "cbo", *BEHIND, "Consent/c-ann") == [404] * 5
    assert statuses(world, "cbo", "Task/t-ann", "Procedure/done-ann") == [200, 200]
    assert statuses(world, "gp", *BEHIND) == [200] * 4


@pytest.mark.parametrize(
    ("part", "expected"), [("Observation", [200, 200, 200, 404]), ("Patient", [200, 404, 200, 200]), ("", [404] * 4)]
)
def test_a_person_closes_a_part_to_an_organisation(world: World, part: str, expected: list[int]) -> None:
    code = f"Organization/cbo#{part}" if part else "Organization/cbo"
    closing = consent("closes", "Patient/ann", "")
    closing["meta"] = {"tag": [{"system": "https://w3id.org/social-referral/access/closes", "code": code}]}
    world.put(closing, "ann")
    assert statuses(world, "cbo", *BEHIND) == expected
    assert statuses(world, "gp", *BEHIND) == [200] * 4


def test_the_provisions_of_a_consent_become_what_the_policies_ask(world: World) -> None:
    sent = {
        "resourceType": "Consent", "status": "active", "patient": {"reference": "Patient/ann"}, "dateTime": "2026-11-01",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"text": "privacy"}], "policyRule": {"text": "ours"},
        "provision": {
            "type": "deny", "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}],
            "actor": [{"role": {"text": "recipient"}, "reference": {"reference": "Organization/cbo"}}],
        },
    }  # fmt: skip
    assert world.ask("ann", "POST", "Consent", sent).status == 201
    assert statuses(world, "cbo", *BEHIND) == [200, 200, 404, 200]
    assert statuses(world, "cbo2", *BEHIND) == [404] * 4


def test_it_is_explained_why_something_is_shown_or_withheld(world: World) -> None:
    def told(caller: str, query: str) -> dict[str, Any]:
        answer = world.ask(caller, "GET", f"$consent-explain?{query}")
        assert answer.status == 200, answer.body
        found = [one["part"] for one in json.loads(answer.body)["parameter"] if one["name"] == "decision"]
        return {
            part[0]["valueString"]: (part[1]["valueBoolean"], [one["valueString"] for one in part[2:]])
            for part in found
        }

    mine = told("cbo", "resource=Task/t-ann")
    assert mine["ServiceRequest/r-ann"][0] is True
    asked = told("cbo2", "resource=Task/u-ann")
    assert asked["ServiceRequest/s-ann"][0] is False
    assert asked["Patient/ann"][1] == ["No rule of the policies gives it to this organisation."]
    assert told("ann", "resource=Observation/info-ann&for=Organization/cbo")["Observation/info-ann"][0] is True
    assert told("ann", "resource=Observation/apart-ann&for=Organization/cbo")["Observation/apart-ann"][0] is False


def test_only_the_person_asks_for_others_and_what_is_hidden_is_not_explained(world: World) -> None:
    assert world.ask("gp", "GET", "$consent-explain?resource=Patient/ann&for=Organization/cbo").status == 403
    hidden = world.ask("gp2", "GET", "$consent-explain?resource=Patient/ann")
    absent = world.ask("gp2", "GET", "$consent-explain?resource=Patient/xyz")
    assert hidden.status == absent.status == 404
    assert hidden.body.replace(b"ann", b"?") == absent.body.replace(b"xyz", b"?")


def test_a_broken_glass_opens_one_record_for_a_while_and_the_person_learns_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replace(CALLERS["cbo2"], purpose="BTG", reason=REASON)
    monkeypatch.setitem(CALLERS, "breaker", broken)
    ann = {"resourceType": "Patient", "id": "ann", "identifier": [{"system": "urn:test", "value": "7"}]}
    world.put(ann, "", writer="gp")
    assert statuses(world, "breaker", "Patient/ann", "Observation/apart-ann") == [404, 404]
    opened = world.ask("breaker", "POST", "Patient/$break-the-glass?identifier=urn:test|7")
    assert opened.status == 200, opened.body
    assert statuses(world, "breaker", "Patient/ann", "Observation/apart-ann", "Patient/eve") == [200, 200, 404]
    assert statuses(world, "cbo2", "Patient/ann", "Observation/apart-ann") == [404, 404]
    told = world.ask("ann", "GET", "Communication?sender=Organization/cbo2")
    assert REASON.encode() in told.body
    events = world.engine.store.read(lambda snapshot: snapshot.outbox(0, 100))
    assert [event.topic for event in events] == ["glass-broken"]


def test_nobody_breaks_the_glass_without_saying_why(world: World) -> None:
    assert world.ask("cbo2", "POST", "Patient/$break-the-glass?identifier=urn:test|7").status == 403


def test_no_read_succeeds_after_a_revocation_has_been_answered(fresh_server: Any) -> None:
    server = fresh_server(enforce_access=True, publish_artifacts=False)
    made = World(build_engine(server.settings))
    furnish(made)
    late: list[str] = []
    before: list[int] = []
    asked_after: list[bool] = []
    revoked = threading.Event()

    def read() -> None:
        said = {"X-Dev-Organization": "Organization/cbo"}
        with httpx.Client(base_url=server.base, headers=said, timeout=30) as http:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                after = revoked.is_set()
                found = [http.get(place).status_code for place in ("Patient/ann", "ServiceRequest/r-ann")]
                if not after:
                    before.extend(found)
                else:
                    asked_after.append(True)
                    late.extend(str(status) for status in found if status != 404)
                    return

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    time.sleep(0.3)
    with httpx.Client(base_url=server.base, headers={"X-Dev-Organization": "Organization/gp"}) as http:
        inactive = http.get("Consent/c-ann").json() | {
            "status": "inactive", "category": [{"text": "privacy"}], "scope": {"text": "privacy"},
            "policyRule": {"text": "ours"},
        }  # fmt: skip
        answer = http.put("Consent/c-ann", json=inactive, headers={"Content-Type": "application/fhir+json"})
    revoked.set()
    for reader in readers:
        reader.join()
    made.close()
    assert answer.status_code == 200, answer.text
    assert 200 in before  # OK
    assert (late, len(asked_after)) == ([], len(readers))
