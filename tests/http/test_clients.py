"""Sessions with FHIR clients that others wrote."""

import asyncio
import warnings
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _their_warnings() -> Any:
    """What other people's clients warn about is theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_fhirpy_creates_searches_patches_and_reads_history(server: Any) -> None:
    from fhirpy import SyncFHIRClient
    from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

    client = SyncFHIRClient(server.base)
    patient = client.resource(
        "Patient", name=[{"family": "Fhirpy", "given": ["Dora"]}], identifier=[{"system": "urn:fhirpy", "value": "1"}]
    )
    patient.save()
    assert patient["meta"]["versionId"] == "1"
    found = client.resources("Patient").search(identifier="urn:fhirpy|1").fetch_all()
    assert [each.id for each in found] == [patient.id]
    patient["gender"] = "female"
    patient.save()
    assert patient["meta"]["versionId"] == "2"
    parts = [
        {"name": "type", "valueCode": "add"},
        {"name": "path", "valueString": "Patient"},
        {"name": "name", "valueString": "birthDate"},
        {"name": "value", "valueDate": "1960-02-03"},
    ]
    document = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    client.execute(f"Patient/{patient.id}", method="PATCH", data=document)
    patient.refresh()
    assert patient["birthDate"] == "1960-02-03"
    history = client.execute(f"Patient/{patient.id}/_history", method="GET")
    assert [entry["response"]["etag"] for entry in history["entry"]] == ['W/"3"', 'W/"2"', 'W/"1"']
    with pytest.raises(OperationOutcome):
        client.resource("Patient", gender="x").save()
    patient.delete()
    with pytest.raises(ResourceNotFound):
        client.reference("Patient", "never-there").to_resource()


def test_fhirpy_pages_through_a_search(server: Any) -> None:
    from fhirpy import AsyncFHIRClient

    async def session() -> int:
        client = AsyncFHIRClient(server.base)
        for number in range(25):
            await client.resource(
                "Basic", code={"coding": [{"system": "urn:page", "code": "x"}], "text": str(number)}
            ).save()
        pages = client.resources("Basic").search(code="urn:page|x").limit(10)
        return len({each["code"]["text"] async for each in pages})

    assert asyncio.run(session()) == 25


def test_fhirclient_creates_searches_updates_and_reads_history(server: Any) -> None:
    from fhirclient import client as smart
    from fhirclient.models import bundle, humanname, patient

    connected = smart.FHIRClient(settings={"app_id": "session", "api_base": server.base})
    person = patient.Patient()
    person.active = True
    name = humanname.HumanName()
    name.family, name.given = "Fhirclient", ["Bea"]
    person.name = [name]
    made = person.create(connected.server)
    assert made["name"][0]["family"] == "Fhirclient"
    stored = patient.Patient.read(made["id"], connected.server)
    stored.gender = "female"
    assert stored.update(connected.server)["meta"]["versionId"] == "2"
    found = patient.Patient.where({"family": "fhirclient", "gender": "female"}).perform_resources(connected.server)
    assert [each.id for each in found] == [made["id"]]
    history = bundle.Bundle.read_from(f"Patient/{made['id']}/_history", connected.server)
    assert [entry.resource.meta.versionId for entry in history.entry] == ["2", "1"]
    stored.delete(connected.server)
