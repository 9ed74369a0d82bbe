"""search within compartments (R4 compartmentdefinition.html, search.html): the same search, narrowed to one record."""

from typing import Any

import httpx
import pytest

Json = dict[str, Any]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def put(client: httpx.Client, kind: str, identity: str, **members: Any) -> None:
    response = client.put(f"/{kind}/{identity}", json={"resourceType": kind, "id": identity, **members})
    assert response.status_code in (200, 201), response.text


def observation(client: httpx.Client, identity: str, subject: str, code: str = "weight", **more: Any) -> None:
    reference = {"reference": subject}
    put(client, "Observation", identity, status="final", code={"text": code}, subject=reference, **more)


def ids(bundle: Json, mode: str = "match") -> list[str]:
    entries = bundle.get("entry", ())
    return [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in entries if e["search"]["mode"] == mode]


def next_of(bundle: Json) -> str | None:
    return next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)


@pytest.fixture(scope="module")
def record(client: httpx.Client) -> httpx.Client:
    """Two patients, one encounter, a practitioner, and what is said about them."""
    put(client, "Patient", "comp-1", name=[{"family": "Claes"}])
    put(client, "Patient", "comp-2", link=[{"other": {"reference": "Patient/comp-1"}, "type": "seealso"}])
    put(client, "Practitioner", "comp-p", name=[{"family": "Dierckx"}])
    put(
        client,
        "Encounter",
        "comp-e",
        status="finished",
        **{"class": {"code": "AMB"}},
        subject={"reference": "Patient/comp-1"},
    )
    encounter = {"reference": "Encounter/comp-e"}
    observation(client, "comp-o1", "Patient/comp-1", encounter=encounter)
    observation(client, "comp-o2", "Patient/comp-1", "height")
    observation(client, "comp-o3", "Patient/comp-2", performer=[{"reference": "Patient/comp-1"}])
    observation(client, "comp-o4", "Patient/comp-2", performer=[{"reference": "Practitioner/comp-p"}])
    put(client, "Basic", "comp-b", code={"text": "x"}, subject={"reference": "Patient/comp-1"})
    put(client, "Organization", "comp-org", name="Huis van het Kind")
    return client


def test_any_parameter_of_the_compartment_makes_a_member(record: httpx.Client) -> None:
    found = record.get("/Patient/comp-1/Observation?_sort=_id").json()
    assert ids(found) == ["Observation/comp-o1", "Observation/comp-o2", "Observation/comp-o3"]
    assert found["total"] == 3
    assert ids(record.get("/Encounter/comp-e/Observation").json()) == ["Observation/comp-o1"]
    assert ids(record.get("/Practitioner/comp-p/Observation").json()) == ["Observation/comp-o4"]


def test_the_parameters_of_the_search_narrow_it(record: httpx.Client) -> None:
    found = record.get("/Patient/comp-1/Observation?_id=comp-o1,comp-o4").json()
    assert ids(found) == ["Observation/comp-o1"]
    assert found["link"][0]["url"].endswith("/Patient/comp-1/Observation?_id=comp-o1%2Ccomp-o4")
    assert record.get("/Patient/comp-1/Observation?_summary=count").json()["total"] == 3
    with_patient = record.get("/Patient/comp-1/Observation?_id=comp-o3&_include=Observation:subject").json()
    assert ids(with_patient, "include") == ["Patient/comp-2"]


def test_all_types_of_a_compartment(record: httpx.Client) -> None:
    found = record.get("/Patient/comp-1/*?_sort=_lastUpdated").json()
    members = ["Patient/comp-1", "Patient/comp-2", "Encounter/comp-e"]
    assert ids(found) == [*members, *(f"Observation/comp-o{n}" for n in (1, 2, 3)), "Basic/comp-b"]
    assert found["total"] == 7
    some = record.get("/Patient/comp-1/*?_type=Basic,Encounter&_sort=_lastUpdated").json()
    assert ids(some) == ["Encounter/comp-e", "Basic/comp-b"]
    assert "/Patient/comp-1/*?_type=" in some["link"][0]["url"]
    assert ids(record.get("/Encounter/comp-e/*?_sort=_lastUpdated").json()) == [
        "Encounter/comp-e",
        "Observation/comp-o1",
    ]


def test_search_by_post(record: httpx.Client) -> None:
    one = record.post("/Patient/comp-1/Observation/_search", data={"_id": "comp-o2"}, headers=FORM)
    assert ids(one.json()) == ["Observation/comp-o2"]
    several = record.post("/Patient/comp-1/_search", data={"_type": "Basic"}, headers=FORM)
    assert ids(several.json()) == ["Basic/comp-b"]


def test_lenient_handling_ignores_for_all_types_what_one_does_not_know(record: httpx.Client) -> None:
    """`identifier` exists on Observation, not on AuditEvent: it narrows all types or none."""
    lenient = {"Prefer": "handling=lenient"}
    found = record.get("/Patient/comp-1/*?identifier=none&_type=AuditEvent,Observation", headers=lenient).json()
    assert len(ids(found)) == 3
    assert "identifier" not in found["link"][0]["url"]
    (told,) = [entry["resource"] for entry in found["entry"] if entry["search"]["mode"] == "outcome"]
    assert "identifier" in told["issue"][0]["diagnostics"]


def test_pages_hold_everything_once_while_others_write(record: httpx.Client) -> None:
    for place in ("/Patient/comp-1/*?_count=2", "/Patient/comp-1/Observation?_count=1"):
        expected = set(ids(record.get(place.partition("?")[0]).json()))
        url: str | None = place
        seen: list[str] = []
        while url:
            page = record.get(url).json()
            seen += ids(page)
            url = next_of(page)
            observation(record, "comp-unrelated", "Patient/comp-2")
        assert len(seen) == len(set(seen))
        assert set(seen) == expected


def test_a_cursor_belongs_to_its_compartment(record: httpx.Client, refused: Any) -> None:
    following = next_of(record.get("/Patient/comp-1/Observation?_count=1").json())
    assert following is not None
    refused(record.get(following.replace("comp-1", "comp-2")), 400, "bad-cursor")
    refused(record.get(following.replace("/Patient/comp-1/", "/")), 400, "bad-cursor")


def test_a_compartment_without_its_resource_is_empty(record: httpx.Client) -> None:
    found = record.get("/Patient/comp-nobody/*").json()
    assert found["total"] == 0
    assert "entry" not in found


def test_a_deleted_member_is_gone(record: httpx.Client) -> None:
    observation(record, "comp-gone", "Patient/comp-gone")
    assert record.get("/Patient/comp-gone/Observation").json()["total"] == 1
    record.delete("/Observation/comp-gone")
    assert record.get("/Patient/comp-gone/Observation").json()["total"] == 0


@pytest.mark.parametrize(
    ("path", "status", "key"),
    [
        ("/Organization/comp-org/Task", 404, "unknown-compartment"),
        ("/Organization/comp-org/*", 404, "unknown-compartment"),
        ("/Patient/comp-1/Organization", 404, "not-in-compartment"),
        ("/Patient/comp-1/Task", 404, "not-in-compartment"),
        ("/Patient/comp-1/Observatoin", 404, "unknown-type"),
        ("/Patient/comp-1/Observation/more", 404, "unknown-path"),
        ("/Patient/comp-1/*?_type=Organization", 400, "not-in-compartment"),
        ("/Patient/comp-1/*?_type=Banana", 400, "unknown-type"),
        ("/Patient/comp-1/*?code=x", 400, "search-unknown-parameter"),
        ("/Patient/comp-1/*?_sort=code", 400, "search-bad-sort"),
        ("/Patient/comp-1/Observation?date=2026-13", 400, None),
        ("/Patient/comp-1/Observation?banana=1", 400, "search-unknown-parameter"),
        ("/Patient/comp-1/Observation?_count=-1", 400, "search-bad-count"),
        ("/Patient/comp_1/Observation", 400, "bad-id"),
    ],
)
def test_what_is_not_there_is_refused_by_name(
    record: httpx.Client, refused: Any, path: str, status: int, key: str | None
) -> None:
    refused(record.get(path), status, key)


def test_a_refusal_says_what_to_do(record: httpx.Client, refused: Any) -> None:
    text = refused(record.get("/Patient/comp-1/Task"), 404)["diagnostics"]
    assert "Task?patient=Patient/comp-1" in text
    assert "Did you mean Observation?" in refused(record.get("/Patient/comp-1/Observatoin"), 404)["diagnostics"]
    refused(record.put("/Patient/comp-1/Observation", json={}), 405)


def test_metadata_lists_the_compartments(client: httpx.Client) -> None:
    told = client.get("/metadata").json()["rest"][0]["compartment"]
    base = "http://hl7.org/fhir/CompartmentDefinition/"
    assert told == [base + name for name in ("device", "encounter", "patient", "practitioner", "relatedPerson")]
    for url in told:
        kind = {"relatedPerson": "RelatedPerson"}.get(name := url.removeprefix(base), name.capitalize())
        assert client.get(f"/{kind}/none/*?_summary=count").json()["total"] == 0
