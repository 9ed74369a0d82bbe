"""National numbers: found, shown and exported as ever, and in clear nowhere in the store."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

SSIN = "https://www.ehealth.fgov.be/standards/fhir/core/NamingSystem/ssin"
OLD_SSIN = "https://www.ehealth.fgov.be/standards/fhir/NamingSystem/ssin"
BSN = "http://fhir.nl/fhir/NamingSystem/bsn"
NATIONAL = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "NNBEL"}]}
NUMBERS = ("38012699993", "111222333")
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "text": {
        "status": "additional",
        "div": '<div xmlns="http://www.w3.org/1999/xhtml">INSZ 38.01.26-999.93 Erdan</div>',
    },
    "identifier": [{"system": SSIN, "value": NUMBERS[0], "type": NATIONAL}, {"system": BSN, "value": NUMBERS[1]}],
    "name": [{"family": "Peeters", "text": "Peeters 38012699993"}],
}
TASK: dict[str, Any] = {
    "resourceType": "Task",
    "id": "t1",
    "status": "requested",
    "intent": "order",
    "for": {"type": "Patient", "identifier": {"system": OLD_SSIN, "value": NUMBERS[0]}},
    "focus": {"reference": "Patient/p1"},
    "requester": {"reference": "#c"},
    "contained": [{"resourceType": "Patient", "id": "c", "identifier": [{"system": BSN, "value": NUMBERS[1]}]}],
}
FINDS = [
    f"Patient?identifier={SSIN}|{NUMBERS[0]}",
    f"Patient?identifier={NUMBERS[0]}",
    f"Patient?identifier={NUMBERS[1]}",
    f"Patient?identifier=9,{NUMBERS[1]}",
    f"Patient?identifier={SSIN}|",
    f"Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|NNBEL|{NUMBERS[0]}",
    f"Patient?identifier:not={NUMBERS[0][:-1]}4",
    f"Patient?_has:Task:focus:patient:identifier={OLD_SSIN}|{NUMBERS[0]}",
    f'Patient?_filter=identifier eq "{SSIN}|{NUMBERS[0]}"',
    "Patient?family=peeters",
    "Patient?_text=erdan",
]
FINDS_TASK = [
    f"Task?patient:identifier={OLD_SSIN}|{NUMBERS[0]}",
    f"Task?patient:identifier={NUMBERS[0]}",
    f"Task?focus:Patient.identifier={BSN}|{NUMBERS[1]}",
]
FINDS_NOT = [
    f"Patient?identifier={OLD_SSIN}|{NUMBERS[0]}",
    f"Patient?identifier=|{NUMBERS[0]}",
    f"Patient?identifier:not={NUMBERS[0]}",
    f"Patient?identifier={SSIN}|{NUMBERS[0][:-1]}4",
    f"Patient?_content={NUMBERS[0]}",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sealed")


@pytest.fixture(scope="module")
def record(folder: Path) -> Iterator[httpx.Client]:
    from tests.conftest import FHIR_JSON, RunningServer

    running = RunningServer({"store": f"sqlite:///{folder / 's.sqlite'}", "publish_artifacts": False})
    headers = {"Accept": FHIR_JSON, "Content-Type": FHIR_JSON}
    with httpx.Client(base_url=running.base, headers=headers, timeout=30) as client:
        for resource in (PATIENT, TASK):
            response = client.put(f"/{resource['resourceType']}/{resource['id']}", json=resource)
            assert response.status_code == 201, response.text
        changed = client.put("/Patient/p1", json={**PATIENT, "gender": "male"})
        assert changed.json()["identifier"] == PATIENT["identifier"]
        yield client
    running.stop()


def ids(client: httpx.Client, query: str) -> list[str]:
    response = client.get(f"/{query}")
    assert response.status_code == 200, response.text
    return [entry["resource"]["id"] for entry in response.json().get("entry", [])]


@pytest.mark.parametrize("query", FINDS)
def test_a_number_finds_its_person(record: httpx.Client, query: str) -> None:
    assert ids(record, query) == ["p1"]


@pytest.mark.parametrize("query", FINDS_TASK)
def test_a_number_in_a_reference_is_found(record: httpx.Client, query: str) -> None:
    assert ids(record, query) == ["t1"]


@pytest.mark.parametrize("query", FINDS_NOT)
def test_another_number_or_system_finds_nobody(record: httpx.Client, query: str) -> None:
    assert ids(record, query) == []


def test_reads_history_and_conditional_writes_see_it_in_clear(record: httpx.Client) -> None:
    for path in ("/Patient/p1", "/Patient/p1/_history/1"):
        assert record.get(path).json()["identifier"] == PATIENT["identifier"]
    pages = [record.get(path).json() for path in ("/Patient/p1/_history", "/_history", "/Patient/p1/$everything")]
    for page in pages:
        found = [one["resource"] for one in page["entry"] if one["resource"]["resourceType"] == "Patient"]
        assert all(one["identifier"] == PATIENT["identifier"] for one in found)
        assert found
    unnamed = {key: value for key, value in PATIENT.items() if key != "id"}
    again = record.post("/Patient", json=unnamed, headers={"If-None-Exist": f"identifier={SSIN}|{NUMBERS[0]}"})
    assert (again.status_code, again.json()["id"]) == (200, "p1")


def test_the_files_of_the_store_hold_no_number(record: httpx.Client, folder: Path) -> None:
    record.get(f"/Patient?identifier={SSIN}|{NUMBERS[0]}")
    record.get("/Patient/p1")
    files = [path for path in folder.iterdir() if path.name.startswith("s.sqlite")]
    assert any(path.name.endswith("-wal") for path in files)
    everything = b"".join(path.read_bytes() for path in files)
    assert b"Task" in everything
    for number in (*NUMBERS, "38.01.26-999.93", "38 01 26 999 93", "99993"):
        assert number.encode() not in everything


def test_a_body_without_a_number_is_stored_as_it_was_sent(record: httpx.Client, folder: Path) -> None:
    sent = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "zichtbaar-hier"}}
    assert record.put("/Observation/o", content=json.dumps(sent)).status_code == 201
    assert b"zichtbaar-hier" in b"".join(path.read_bytes() for path in folder.glob("s.sqlite*"))
