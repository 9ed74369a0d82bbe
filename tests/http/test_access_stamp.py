"""What was stored while access was not enforced is tagged by a command, once, and may be interrupted."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fhir_server.app import build_engine
from fhir_server.cli import main
from fhir_server.interactions import stamping
from fhir_server.interactions.perform import perform
from fhir_server.interactions.request import Request
from fhir_server.interactions.stamping import Progress, stamp_all
from fhir_server.model.codec import encode
from fhir_server.model.errors import FhirError
from fhir_server.settings import Settings
from tests.http.test_access_areas import area, role
from tests.property.access_world import CALLERS, PROFILE, TAG, World

PATIENTS = 250


def stored() -> Iterator[dict[str, Any]]:
    yield {"resourceType": "Organization", "id": "gp", "name": "gp"}
    yield {"resourceType": "Organization", "id": "cbo", "name": "cbo"}
    yield area("north", "23088", "1800", "Vilvoorde")
    yield role("serving", "Organization/cbo", "north")
    home = [{"use": "home", "postalCode": "1800", "country": "BE"}]
    yield {"resourceType": "Patient", "id": "ann", "address": home}
    yield {"resourceType": "Consent", "id": "c", "status": "active", "patient": {"reference": "Patient/ann"}} | {
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"text": "privacy"}], "policyRule": {"text": "ours"}, "provision": {"type": "permit"},
    }  # fmt: skip
    yield {
        "resourceType": "ServiceRequest", "id": "r", "status": "active", "intent": "order",
        "meta": {"profile": [PROFILE + "social-referral"]}, "subject": {"reference": "Patient/ann"},
        "requester": {"reference": "Organization/gp"}, "supportingInfo": [{"reference": "Consent/c"}],
    }  # fmt: skip
    yield from ({"resourceType": "Patient", "id": f"p{number}"} for number in range(PATIENTS))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A store that was filled without access control."""
    made = Settings(store=f"sqlite:///{tmp_path / 'fhir.sqlite'}", publish_artifacts=False)
    engine = build_engine(made)
    for one in stored():
        entries = engine.extractor.extract(one)
        body = encode({**one, "meta": {**one.get("meta", {}), "versionId": "1"}})
        engine.store.write(
            lambda uow, one=one, body=body, entries=entries: uow.put(
                one["resourceType"], one["id"], 1, body, entries, "PUT"
            )
        )
    engine.store.close()
    return made


def tags(resource: dict[str, Any]) -> set[tuple[str, str]]:
    return {(one["system"].removeprefix(TAG), one["code"]) for one in resource["meta"].get("tag", ())}


def test_everything_gets_its_tags_and_keeps_the_writer_that_it_has(settings: Settings) -> None:
    runner = CliRunner()
    first = runner.invoke(main, ["access", "stamp", "--organization", "Organization/gp", "--store", settings.store])
    assert first.exit_code == 0, first.output
    assert "stamped" in first.output
    again = runner.invoke(main, ["access", "stamp", "--organization", "Organization/cbo", "--store", settings.store])
    assert "stamped 0 resources" in again.output
    engine = build_engine(settings)
    found = {
        key: json.loads(perform(engine, Request("GET", key)).body or b"null")
        for key in ("Patient/ann", "ServiceRequest/r", "Consent/c", "PractitionerRole/serving", "Patient/p249")
    }
    engine.store.close()
    assert tags(found["Patient/ann"]) == {("writer", "Organization/gp")}
    assert tags(found["Patient/p249"]) == {("writer", "Organization/gp")}
    assert tags(found["ServiceRequest/r"]) == {
        ("writer", "Organization/gp"), ("reader", "Organization/gp"), ("area", "Location/north"),
    }  # fmt: skip
    assert ("permits", "*") in tags(found["Consent/c"])
    assert ("serves", "Location/north") in tags(found["PractitionerRole/serving"])
    world = World(build_engine(Settings(store=settings.store, enforce_access=True, publish_artifacts=False)))
    assert CALLERS["gp"].organization == "Organization/gp"
    assert world.ask("gp", "GET", "Patient/ann").status == 200
    assert world.ask("gp2", "GET", "Patient/ann").status == 404
    trail = world.engine.store.read(lambda snapshot: snapshot.audit(0, 10))
    assert b"access stamp" in trail[0].record
    world.close()


class _Stop(Exception):
    """The process ends here."""


def test_a_run_that_was_interrupted_goes_on_where_it_stopped(settings: Settings) -> None:
    engine = build_engine(settings)
    heard: list[Progress] = []

    def told(progress: Progress) -> None:
        heard.append(progress)
        if len(heard) == 2:
            raise _Stop

    with pytest.raises(_Stop):
        stamp_all(engine, "Organization/gp", told=told)
    assert 0 < heard[-1].stamped < PATIENTS
    progress, resumed = stamp_all(engine, "Organization/gp")
    engine.store.close()
    assert resumed
    assert progress.stamped == sum(
        one["resourceType"] != "Location" for one in stored()
    )  # areas are of no organisation


def test_an_organisation_that_is_not_stored_writes_nothing(settings: Settings) -> None:
    engine = build_engine(settings)
    with pytest.raises(FhirError, match="no organisation that is stored"):
        stamping.stamp_all(engine, "Organization/nobody")
    last = engine.store.read(lambda snapshot: snapshot.last_sequence())
    engine.store.close()
    assert last == sum(1 for _ in stored())
    result = CliRunner().invoke(main, ["access", "stamp", "--type", "Wish", "--store", settings.store])
    assert result.exit_code == 2
