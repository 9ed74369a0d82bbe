"""$suggest over HTTP: services that fit with their reasons, and clear answers when nothing does or the question is wrong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.model.clock import SystemClock
from fhir_server.store.port import Record
from fhir_server.store.sqlite import SqliteStore
from tests.conftest import FHIR_JSON, RunningServer

REASON = "https://w3id.org/social-referral/StructureDefinition/suggestion-reason"
EXCLUDED = "https://w3id.org/social-referral/StructureDefinition/suggestion-excluded"

EXAMPLES = Path(__file__).parents[2] / "examples" / "region"


class Region(httpx.Client):
    """A client of a server that holds the example region."""

    store: Path


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    store = tmp_path_factory.mktemp("region") / "fhir.sqlite"
    running = RunningServer({"store": f"sqlite:///{store}"})
    with Region(base_url=running.base, headers={"Accept": FHIR_JSON, "Content-Type": FHIR_JSON}, timeout=30) as http:
        http.store = store
        for file in sorted(EXAMPLES.glob("*.json")):
            answer = http.post("", json=json.loads(file.read_bytes()), headers={"X-Dev-Roles": "operator"})
            assert answer.status_code == 200, answer.text
        yield http
    running.stop()


def unmet(region: Region, need: str) -> list[Record]:
    store = SqliteStore(region.store, SystemClock())
    try:
        return [one for one in store.read(lambda snapshot: snapshot.records("unmet")) if one.key.endswith(f" {need}")]
    finally:
        store.close()


def matches(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in bundle.get("entry", []) if entry["search"]["mode"] == "match"]


def codes(entry: dict[str, Any]) -> list[str]:
    found = [one for one in entry["search"]["extension"] if one["url"] == REASON]
    return [one["valueCodeableConcept"]["coding"][0]["code"] for one in found]


def outcome(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        issue
        for entry in bundle.get("entry", [])
        if entry["search"]["mode"] == "outcome"
        for issue in entry["resource"]["issue"]
    ]


def ask(region: Region, query: str, language: str = "nl") -> dict[str, Any]:
    answer = region.get(f"HealthcareService/$suggest?{query}", headers={"Accept-Language": language})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_erdans_needs_find_services_for_his_age_and_municipality(region: Region) -> None:
    bundle = ask(region, "need=parenting&need=employment&postal-code=1800&age=22&language=nl")
    found = matches(bundle)
    assert bundle["total"] == len(found) > 1
    scores = [entry["search"]["score"] for entry in found]
    assert scores == sorted(scores, reverse=True)
    assert {"svc-opvoedingssteun", "svc-jongeren-werk"} <= {entry["resource"]["id"] for entry in found}
    for entry in found:
        assert codes(entry)[0].startswith("need-")
        assert "area-served" in codes(entry)
    providers = {entry["resource"]["providedBy"]["reference"] for entry in found}
    included = [entry["resource"] for entry in bundle["entry"] if entry["search"]["mode"] == "include"]
    assert {f"Organization/{one['id']}" for one in included} == providers


def test_reasons_speak_the_language_of_the_caller(region: Region) -> None:
    texts = {}
    for language in ("nl", "fr", "de", "en"):
        first = matches(ask(region, "need=debt&nis=23088", language))[0]
        texts[language] = next(one for one in first["search"]["extension"] if one["url"] == REASON)[
            "valueCodeableConcept"
        ]["text"]
    assert len(set(texts.values())) == 4
    assert texts["nl"].startswith("Beantwoordt deze nood")


def test_a_need_of_another_system_is_translated_and_a_condition_will_do(region: Region) -> None:
    by_icpc = matches(ask(region, "need=http://hl7.org/fhir/sid/icpc-2|Z06&postal-code=1800"))
    assert "svc-werkbegeleiding" in {entry["resource"]["id"] for entry in by_icpc}
    coding = {"system": "https://w3id.org/social-referral/CodeSystem/social-need", "code": "debt"}
    condition = {"resourceType": "Condition", "subject": {"reference": "Patient/x"}, "code": {"coding": [coding]}}
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "condition", "resource": condition},
            {"name": "address", "valueAddress": {"city": "VILVOORDE"}},
            {"name": "birth-date", "valueDate": "1990-01-01"},
        ],
    }
    answer = region.post("HealthcareService/$suggest", json=parameters)
    assert answer.status_code == 200, answer.text
    assert "svc-schuldhulp" in {entry["resource"]["id"] for entry in matches(answer.json())}


def test_exclusions_are_told_on_request(region: Region) -> None:
    told = outcome(ask(region, "need=debt&nis=23088&age=12&exclusions=true"))
    excluded = {
        issue["extension"][0]["valueReference"]["reference"]: issue["details"]["coding"][0]["code"]
        for issue in told
        if "extension" in issue
    }
    assert excluded["HealthcareService/svc-schuldhulp"] == "age-outside"
    assert all("extension" not in issue for issue in outcome(ask(region, "need=debt&nis=23088&age=12")))


def test_when_nothing_fits_the_contact_point_of_the_area_is_named_and_the_need_is_counted(region: Region) -> None:
    bundle = ask(region, "need=homelessness&nis=23088&age=3")
    assert bundle["total"] == 0
    (fallback,) = matches(bundle)
    assert fallback["resource"]["id"] == "svc-aanmeldpunt"
    assert codes(fallback) == ["contact-point-of-area"]
    assert outcome(bundle)[0]["details"]["coding"][0]["code"] == "nothing-fits"
    before = unmet(region, "homelessness")
    ask(region, "need=homelessness&nis=23088&age=3")
    after = unmet(region, "homelessness")
    assert [int(one.body) for one in after] == [int(before[0].body) + 1]
    assert after[0].key.split()[1].startswith("area-23088")


def test_a_change_of_the_directory_shows_at_the_next_call(region: Region) -> None:
    def found() -> set[str]:
        return {entry["resource"]["id"] for entry in matches(ask(region, "need=debt&nis=23088"))}

    assert "svc-schuldhulp" in found()
    service = region.get("HealthcareService/svc-schuldhulp").json()
    operator = {"X-Dev-Roles": "operator"}
    assert (
        region.put("HealthcareService/svc-schuldhulp", json={**service, "active": False}, headers=operator).status_code
        == 200
    )
    assert "svc-schuldhulp" not in found()
    assert region.put("HealthcareService/svc-schuldhulp", json=service, headers=operator).status_code == 200
    assert "svc-schuldhulp" in found()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("nis=23088", "at least one need"), ("need=dept&nis=23088", "Did you mean debt"), ("need=debt&age=-1", "0 to 120"),
        ("need=debt&age=130", "0 to 120"), ("need=debt&postal-code=9999", "'9999' is in no area"), ("need=debt&nis=x", "in no area"),
        ("need=debt&channel=pigeon", "no code"), ("need=debt&position=91|0", "position"), ("need=debt&position=here", "position"),
        ("need=debt&age=22&birth-date=2000-01-01", "one of them"), ("need=debt&birth-date=2000", "whole date"),
        ("need=debt&_count=0", "1 to 50"), ("need=debt&colour=red", "no input parameter"), ("&".join(f"need=debt{n}" for n in range(900)), "need"),
        ("need=http://example.org|x", "no need that is known"), ("need=debt&theme=nope", "no code"),
    ],
)  # fmt: skip
def test_a_wrong_question_is_refused_with_what_to_do(region: Region, query: str, said: str) -> None:
    answer = region.get(f"HealthcareService/$suggest?{query}")
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["issue"][0]["diagnostics"]
