"""$suggest over HTTP: areas with a boundary, and services that are given in a season."""

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from fhir_server.model.clock import SystemClock
from fhir_server.model.geojson import BOUNDARY
from tests.conftest import FHIR_JSON, RunningServer

BASE = "https://w3id.org/social-referral"
AREA = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/location-physical-type", "code": "area"}]}
SITE = f"{BASE}/StructureDefinition/service-site"
SERVICE = f"{BASE}/StructureDefinition/social-service"
TRIANGLE = [[4.0, 50.0], [5.0, 50.0], [4.0, 51.0], [4.0, 50.0]]
"""South-west of the line from 5° east, 50° north to 4° east, 51° north."""
FAR = [[8.0, 50.0], [9.0, 50.0], [8.0, 51.0], [8.0, 50.0]]


def bounded(*rings: Any, raw: bytes | None = None, **members: Any) -> dict[str, Any]:
    body = json.dumps({"type": "Polygon", "coordinates": list(rings)}).encode() if raw is None else raw
    held = {"contentType": "application/geo+json", "data": b64encode(body).decode()}
    return {"extension": [{"url": BOUNDARY, "valueAttachment": held}], **members}


def nis(code: str) -> dict[str, Any]:
    return {"identifier": [{"system": f"{BASE}/NamingSystem/nis", "value": code}]}


def area(name: str, *, profile: str = SITE, **members: Any) -> dict[str, Any]:
    claimed = {"meta": {"profile": [profile]}} if profile else {}
    return {
        "resourceType": "Location",
        "id": name,
        **claimed,
        "status": "active",
        "name": name,
        "physicalType": AREA,
        **members,
    }


def service(name: str, *areas: str, seasons: tuple[tuple[str, ...], ...] = (), **members: Any) -> dict[str, Any]:
    def parts(season: tuple[str, ...]) -> list[dict[str, str]]:
        return [
            {"url": url, "valueString": text}
            for url, text in zip(("start", "end", "description"), season, strict=False)
        ]

    extension = [{"url": f"{BASE}/StructureDefinition/service-season", "extension": parts(one)} for one in seasons]
    return {
        "resourceType": "HealthcareService", "id": name, "meta": {"profile": [SERVICE]}, "active": True, "name": name,
        **({"extension": extension} if extension else {}), "providedBy": {"reference": "Organization/o"},
        "category": [{"coding": [{"system": f"{BASE}/CodeSystem/service-type", "code": "buddy"}]}],
        "type": [{"coding": [{"system": f"{BASE}/CodeSystem/social-need", "code": "debt"}]}],
        **({"coverageArea": [{"reference": f"Location/{one}"} for one in areas]} if areas else {}), **members,
    }  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    running = RunningServer({"store": f"sqlite:///{tmp_path_factory.mktemp('places')}/fhir.sqlite"})
    headers = {"Accept": FHIR_JSON, "Content-Type": FHIR_JSON, "X-Dev-Roles": "operator", "Accept-Language": "nl"}
    with httpx.Client(base_url=running.base, headers=headers, timeout=30) as http:
        for resource in (
            {"resourceType": "Organization", "id": "o", "name": "O"},
            area("zone", **nis("11111")), area("own", **nis("55555")),
            area("wijk", **bounded(TRIANGLE), partOf={"reference": "Location/zone"}),
            area("both", **bounded(FAR), **nis("22222"), position={"latitude": 50.1, "longitude": 4.1}),
            area("drawn", **nis("66666"), **bounded([[4.1, 50.1], [4.3, 50.1], [4.3, 50.3], [4.1, 50.3], [4.1, 50.1]])),
            area("out", **nis("33333"), position={"latitude": 50.9, "longitude": 4.9}),
            service("s-wijk", "wijk"), service("s-zone", "zone"), service("s-both", "both"),
        ):  # fmt: skip
            put(http, resource)
        yield http
    running.stop()


def put(http: httpx.Client, resource: dict[str, Any], status: tuple[int, ...] = (200, 201)) -> dict[str, Any]:
    answer = http.put(f"{resource['resourceType']}/{resource['id']}", json=resource)
    assert answer.status_code in status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def asked(http: httpx.Client, query: str, language: str = "nl") -> dict[str, Any]:
    answer = http.get(f"HealthcareService/$suggest?need=debt&{query}", headers={"Accept-Language": language})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def found(http: httpx.Client, query: str) -> set[str]:
    entries = asked(http, query).get("entry", ())
    return {one["resource"]["id"] for one in entries if one["search"]["mode"] == "match"}


def told(http: httpx.Client, query: str, language: str = "nl") -> list[dict[str, Any]]:
    entries = asked(http, query, language).get("entry", ())
    return [issue for one in entries if one["search"]["mode"] == "outcome" for issue in one["resource"]["issue"]]


@pytest.mark.parametrize(("query", "services"), [
    ("position=50.2|4.2", {"s-wijk", "s-zone"}), ("position=50.5|4.5", {"s-wijk", "s-zone"}), ("position=50.0|4.0", {"s-wijk", "s-zone"}),
    ("position=50.8|4.8", set()), ("nis=22222", {"s-both", "s-wijk", "s-zone"}), ("nis=22222&position=50.8|4.8", {"s-both"}),
    ("position=50.1|8.1", {"s-both"}), ("nis=33333", set()), ("nis=33333&position=50.1|8.1", {"s-both"}), ("nis=11111", {"s-zone"}),
    ("nis=66666", {"s-wijk", "s-zone"}),
])  # fmt: skip
def test_a_service_serves_who_lives_in_its_area_by_code_or_by_boundary(
    server: httpx.Client, query: str, services: set[str]
) -> None:
    assert found(server, query) == services


def test_a_service_whose_area_only_has_a_name_is_not_offered_everywhere(server: httpx.Client) -> None:
    put(server, service("s-named", coverageArea=[{"display": "All of MyCity"}]))
    assert "s-named" not in found(server, "nis=11111")
    left_out = told(server, "nis=11111&exclusions=true", "en")
    assert "HealthcareService/s-named is left out." in " ".join(one["diagnostics"] for one in left_out)
    put(server, service("s-named"))
    assert "s-named" in found(server, "nis=11111")
    put(server, service("s-named", active=False))


def test_a_boundary_that_changes_counts_at_the_next_question(server: httpx.Client) -> None:
    put(server, area("quarter", **bounded(TRIANGLE)))
    put(server, service("s-quarter", "quarter"))
    assert "s-quarter" in found(server, "position=50.2|4.2")
    put(server, area("quarter", **bounded(FAR)))
    assert "s-quarter" not in found(server, "position=50.2|4.2")
    assert "s-quarter" in found(server, "position=50.2|8.2")
    put(server, service("s-quarter", "quarter", active=False))
    assert "s-quarter" not in found(server, "position=50.2|8.2")


def test_a_location_with_a_boundary_alone_keeps_the_profile(server: httpx.Client) -> None:
    answer = server.post(f"Location/$validate?profile={SITE}", json=area("x", **bounded(TRIANGLE)))
    assert answer.status_code == 200, answer.text
    assert [one["severity"] for one in answer.json()["issue"]] == ["information"]
    misplaced = {"resourceType": "Organization", "name": "x", **bounded(TRIANGLE)}
    issues = server.post("Organization/$validate", json=misplaced).json()["issue"]
    assert [one["details"]["coding"][0]["code"] for one in issues] == ["extension-context"]


@pytest.mark.parametrize(("wrong", "member", "said"), [
    (bounded(TRIANGLE[:3]), ".data", "coordinates[0] is geen ring"), (bounded(raw=b"<kml/>"), ".data", "geen JSON"),
    (bounded([*TRIANGLE[:2], [4, 95], TRIANGLE[0]]), ".data", "coordinates[0][2] is geen punt"),
    ({"extension": [{"url": BOUNDARY, "valueAttachment": {"url": "https://example.org/a.geojson"}}]}, "", "geen data"),
])  # fmt: skip
def test_a_boundary_that_cannot_be_read_is_refused_with_its_place(
    server: httpx.Client, wrong: dict[str, Any], member: str, said: str
) -> None:
    (issue,) = put(server, area("wrong", **wrong), (422,))["issue"]
    assert issue["details"]["coding"][0]["code"] == "boundary-unreadable"
    assert issue["expression"] == [f"Location.extension[0].value.ofType(Attachment){member}"]
    assert said in issue["diagnostics"]
    assert server.get("Location/wrong").status_code == 404


def test_where_no_profile_is_claimed_an_unreadable_boundary_is_told_to_who_asks(server: httpx.Client) -> None:
    put(server, area("broken", profile="", **bounded(raw=b"{}"), **nis("44444")))
    put(server, service("s-broken", "broken"))
    (said,) = [one["diagnostics"] for one in told(server, "position=50.2|4.2") if "boundary" in str(one["details"])]
    assert said.startswith("Whether Location/broken serves the place is not known. The boundary cannot be read: ")
    assert "s-broken" in found(server, "nis=44444")
    assert told(server, "nis=44444") == [], "the code of the area says that it is served"
    put(server, service("s-broken", "own"))
    assert told(server, "position=50.2|4.2") == [], "no service has to do with it any more"


def test_of_many_boundaries_that_cannot_be_read_the_number_is_told(server: httpx.Client) -> None:
    names = [f"torn-{number}" for number in range(12)]
    for name in names:
        put(server, area(name, profile="", **bounded(raw=b"{}")))
    put(server, service("s-torn", *names))
    said = [one["diagnostics"] for one in told(server, "position=50.2|4.2")]
    assert len(said) == 11
    assert said[-1] == "The boundaries of 12 areas cannot be read; 10 are told."
    put(server, service("s-torn", active=False))


def on(after: int) -> datetime:
    return datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC) + timedelta(days=after)


def day(after: int) -> str:
    return f"{on(after):%m-%d}"


def test_a_service_out_of_season_is_left_out_and_says_when_it_begins_again(server: httpx.Client) -> None:
    put(server, service("s-season", "own", seasons=((day(-20), day(20)),)))
    assert "s-season" in found(server, "nis=55555")
    put(server, service("s-season", "own", seasons=((day(40), day(60)), (day(30), day(35), "Zomerbar"))))
    assert "s-season" not in found(server, "nis=55555")
    begins = f"{on(30):%Y-%m-%d}"
    texts = {}
    for language in ("nl", "fr", "de", "en"):
        issues = told(server, "nis=55555&exclusions=true", language)
        (one,) = [one for one in issues if one["details"]["coding"][0]["code"] == "out-of-season"]
        assert one["extension"][0]["valueReference"] == {"reference": "HealthcareService/s-season"}
        texts[language] = one["details"]["text"]
    assert texts["nl"] == f"Is buiten het seizoen, begint weer: {begins} (Zomerbar)"
    assert len(set(texts.values())) == 4
    put(server, service("s-season", "own", seasons=((day(20), day(-20)),)))
    assert "s-season" not in found(server, "nis=55555")
    put(server, service("s-season", "own", seasons=((day(-1), day(-2)),)))
    assert "s-season" in found(server, "nis=55555"), "over New Year, all year but nothing"


@pytest.mark.parametrize(("season", "key"), [
    (("02-30", "03-01"), "sxs-1"), (("02-29", "3-1"), "sxs-1"), (("01-01",), "slice-min"), (("2026-01-01", "2026-02-01"), "sxs-1"),
])  # fmt: skip
def test_a_season_on_no_day_of_the_year_is_refused(server: httpx.Client, season: tuple[str, ...], key: str) -> None:
    issues = put(server, service("wrong", "own", seasons=(season,)), (422,))["issue"]
    assert key in {one["details"]["coding"][0]["code"] for one in issues}
    assert all(one["expression"][0].startswith("HealthcareService.extension[0]") for one in issues)
