"""$everything on Patient and Encounter (R4 operation-patient-everything.html): a record, whole, each resource once."""

from typing import Any

import httpx
import pytest

from tests.http.everything_pages import Json, ids, next_of, pages, refer


def put(client: httpx.Client, kind: str, identity: str, **members: Any) -> Json:
    response = client.put(f"/{kind}/{identity}", json={"resourceType": kind, "id": identity, **members})
    assert response.status_code in (200, 201), response.text
    return dict(response.json())


def build(client: httpx.Client, mark: str) -> None:
    """A record of seven members; all ids begin with the mark."""
    patient = refer(f"Patient/{mark}")
    put(client, "Organization", f"{mark}-org", name="Wijkgezondheidscentrum")
    put(client, "Practitioner", f"{mark}-gp", name=[{"family": "Wouters"}])
    put(client, "Practitioner", f"{mark}-other", name=[{"family": "Maes"}])
    put(client, "Location", f"{mark}-loc", name="Praktijk")
    put(client, "Binary", f"{mark}-pdf", contentType="application/pdf", data="JVBERi0=")
    put(client, "Patient", mark, generalPractitioner=[refer(f"Practitioner/{mark}-gp")])
    put(
        client, "Encounter", f"{mark}-enc", status="finished", subject=patient, **{"class": {"code": "AMB"}},
        period={"start": "2026-03-01T09:00:00Z", "end": "2026-03-01T09:30:00Z"},
        location=[{"location": refer(f"Location/{mark}-loc")}],
    )  # fmt: skip
    for month in (1, 3, 6):
        put(
            client, "Observation", f"{mark}-obs{month}", status="final", code={"text": "weight"}, subject=patient,
            effectiveDateTime=f"2026-0{month}-15", performer=[refer(f"Practitioner/{mark}-gp")],
            encounter=refer(f"Encounter/{mark}-enc"),
        )  # fmt: skip
    put(
        client, "Condition", f"{mark}-cond", code={"text": "debt"}, subject=patient, recordedDate="2026-06-20",
        asserter=refer(f"Practitioner/{mark}-other"),
    )  # fmt: skip
    put(
        client, "DocumentReference", f"{mark}-doc", status="current", subject=patient,
        content=[{"attachment": {"url": f"Binary/{mark}-pdf"}}],
    )  # fmt: skip
    put(
        client, "Task", f"{mark}-task", status="requested", intent="order", **{"for": patient},
        authoredOn="2026-06-21T08:00:00Z", owner=refer(f"Organization/{mark}-org"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def record(client: httpx.Client) -> httpx.Client:
    build(client, "every")
    build(client, "stranger")
    return client


MEMBERS = [
    "Encounter/every-enc", "Observation/every-obs1", "Observation/every-obs3", "Observation/every-obs6",
    "Condition/every-cond", "DocumentReference/every-doc", "Task/every-task",
]  # fmt: skip
REFERRED = [
    "Binary/every-pdf", "Location/every-loc", "Organization/every-org", "Practitioner/every-gp",
    "Practitioner/every-other",
]  # fmt: skip


def test_the_whole_record_comes_at_once_and_each_resource_once(record: httpx.Client) -> None:
    bundle = record.get("/Patient/every/$everything").json()
    assert bundle["type"] == "searchset"
    assert ids(bundle, "match") == ["Patient/every", *MEMBERS]
    assert ids(bundle, "include") == REFERRED
    assert bundle["total"] == 1 + len(MEMBERS)
    assert [link["relation"] for link in bundle["link"]] == ["self"]
    first = bundle["entry"][0]
    assert first["fullUrl"].endswith("/Patient/every")
    assert first["resource"] == record.get("/Patient/every").json()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 12, 13])
def test_pages_of_any_size_make_the_same_record(record: httpx.Client, size: int) -> None:
    found = pages(record, f"/Patient/every/$everything?_count={size}")
    assert [name for page in found for name in ids(page)] == ["Patient/every", *MEMBERS, *REFERRED]
    assert all(len(page["entry"]) == size for page in found[:-1])
    assert "entry" in found[-1]


def test_pages_neither_skip_nor_repeat_while_others_write(client: httpx.Client) -> None:
    build(client, "busy")
    seen: list[str] = []
    url: str | None = "/Patient/busy/$everything?_count=3"
    number = 0
    while url:
        page = client.get(url).json()
        seen += ids(page)
        url = next_of(page)
        if number == 0:  # one change while the pages are read: a member comes again, as it is now
            put(
                client, "Observation", "busy-new", status="final", code={"text": "x"}, subject=refer("Patient/busy"),
                performer=[refer("Practitioner/busy-gp")],
            )  # fmt: skip
        number += 1
    assert len(seen) == len(set(seen))
    expected = ["Patient/busy", *MEMBERS, *REFERRED]
    assert set(seen) == {name.replace("every", "busy") for name in expected} | {"Observation/busy-new"}


def test_type_keeps_some_types_and_still_follows_the_whole_record(record: httpx.Client) -> None:
    some = record.get("/Patient/every/$everything?_type=Practitioner,Observation").json()
    assert ids(some, "match") == [f"Observation/every-obs{n}" for n in (1, 3, 6)]
    assert ids(some, "include") == ["Practitioner/every-gp", "Practitioner/every-other"]
    both = record.get("/Patient/every/$everything?_type=Patient&_type=Task").json()
    assert ids(both) == ["Patient/every", "Task/every-task"]
    split = pages(record, "/Patient/every/$everything?_type=Practitioner,Observation&_count=2")
    assert [name for page in split for name in ids(page)] == ids(some)


def test_start_and_end_are_dates_of_care(record: httpx.Client) -> None:
    """R4: care dates, not record dates; what has no care date (DocumentReference here) is always part of the record."""
    spring = record.get("/Patient/every/$everything?start=2026-03-01&end=2026-03-31").json()
    members = ["Encounter/every-enc", "Observation/every-obs3", "DocumentReference/every-doc"]
    assert ids(spring, "match") == ["Patient/every", *members]
    assert ids(spring, "include") == ["Binary/every-pdf", "Location/every-loc", "Practitioner/every-gp"]
    late = ids(record.get("/Patient/every/$everything?start=2026-06").json())
    assert {"Observation/every-obs6", "Condition/every-cond", "Task/every-task"} <= set(late)
    assert "Observation/every-obs3" not in late
    assert "Encounter/every-enc" in late, "outside the dates, but an observation within them refers to it"
    early = ids(record.get("/Patient/every/$everything?end=2026-01-15").json(), "match")
    assert early == ["Patient/every", "Observation/every-obs1", "DocumentReference/every-doc"]
    split = pages(record, "/Patient/every/$everything?start=2026-03-01&end=2026-03-31&_count=2")
    assert [name for page in split for name in ids(page)] == ids(spring)


def test_since_gives_what_changed_and_what_that_refers_to(client: httpx.Client) -> None:
    build(client, "since")
    stamp = client.get("/Task/since-task").json()["meta"]["lastUpdated"]
    assert ids(client.get("/Patient/since/$everything", params={"_since": stamp}).json()) == [
        "Patient/since", "Task/since-task", "Organization/since-org",
    ]  # fmt: skip
    changed = put(client, "Practitioner", "since-gp", name=[{"family": "Wouters-Claes"}])
    newer = changed["meta"]["lastUpdated"]
    found = client.get("/Patient/since/$everything", params={"_since": newer}).json()
    assert ids(found, "match") == ["Patient/since"]
    assert ids(found, "include") == ["Practitioner/since-gp"]


def test_post_takes_a_parameters_resource(record: httpx.Client) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "start", "valueDate": "2026-03-01"},
            {"name": "end", "valueDate": "2026-03-31"},
            {"name": "_type", "valueCode": "Observation"},
            {"name": "_type", "valueCode": "Practitioner"},
            {"name": "_count", "valueInteger": 1},
        ],
    }
    first = record.post("/Patient/every/$everything", json=body).json()
    assert ids(first) == ["Observation/every-obs3"]
    assert [ids(page) for page in pages(record, next_of(first))] == [["Practitioner/every-gp"]]
    assert len(record.post("/Patient/every/$everything").json()["entry"]) == 13


def test_encounter_everything(record: httpx.Client) -> None:
    bundle = record.get("/Encounter/every-enc/$everything").json()
    observations = [f"Observation/every-obs{n}" for n in (1, 3, 6)]
    assert ids(bundle, "match") == ["Encounter/every-enc", *observations]
    assert ids(bundle, "include") == ["Location/every-loc", "Patient/every", "Practitioner/every-gp"]


@pytest.mark.parametrize(
    ("path", "status", "key"),
    [
        ("Patient/every/$everything?_type=Banana", 400, "unknown-type"),
        ("Patient/every/$everything?start=2026-13", 400, "search-bad-date"),
        ("Patient/every/$everything?end=yesterday", 400, "search-bad-date"),
        ("Patient/every/$everything?start=2026-05-02&end=2026-05-01", 400, "search-bad-date"),
        ("Patient/every/$everything?_since=2026-02-30T00:00:00Z", 400, "search-bad-date"),
        ("Patient/every/$everything?_count=0", 400, "search-bad-count"),
        ("Patient/every/$everything?_count=-1", 400, "operation-input"),
        ("Patient/every/$everything?_count=many", 400, "operation-input"),
        ("Patient/every/$everything?code=x", 400, "unknown-parameter"),
        ("Patient/every/$everything?start=2026&start=2027", 400, "operation-input"),
        ("Patient/every/$everything?_cursor=abc", 400, "bad-cursor"),
        ("Encounter/every-enc/$everything?start=2026-01-01", 400, "unknown-parameter"),
        ("Patient/nobody/$everything", 404, "not-found"),
        ("Practitioner/every-gp/$everything", 404, "unknown-operation"),
        ("Patient/$everything", 404, "unknown-operation"),
    ],
)
def test_bad_input_is_refused_by_name(record: httpx.Client, refused: Any, path: str, status: int, key: str) -> None:
    refused(record.get(f"/{path}"), status, key)


def test_a_cursor_is_good_for_its_own_record_and_question_only(record: httpx.Client, refused: Any) -> None:
    following = next_of(record.get("/Patient/every/$everything?_count=3").json())
    assert following is not None
    refused(record.get(following.replace("/every/", "/stranger/")), 400, "bad-cursor")
    refused(record.get(following + "&_type=Task"), 400, "bad-cursor")
    refused(record.get(following[:-2]), 400, "bad-cursor")


def test_a_deleted_patient_is_gone(client: httpx.Client, refused: Any) -> None:
    put(client, "Patient", "every-gone")
    client.delete("/Patient/every-gone")
    refused(client.get("/Patient/every-gone/$everything"), 410, "deleted")


def test_the_operations_are_listed_with_definitions_that_can_be_read(client: httpx.Client) -> None:
    offered = {
        resource["type"]: {each["name"]: each["definition"] for each in resource.get("operation", ())}
        for resource in client.get("/metadata").json()["rest"][0]["resource"]
    }
    for name in ("Patient", "Encounter"):
        definition = offered[name]["everything"]
        found = client.get("/OperationDefinition", params={"url": definition}).json()["entry"][0]["resource"]
        assert found["base"] == f"http://hl7.org/fhir/OperationDefinition/{name}-everything"
    assert "everything" not in offered["Task"]
