"""Search over HTTP: what a poller sees while others write, what a search may cost, and distances through a chain."""

import threading
from typing import Any

import httpx


def ids_of(bundle: dict[str, Any]) -> list[str]:
    return [entry["resource"]["id"] for entry in bundle.get("entry", []) if entry["search"]["mode"] == "match"]


def next_of(bundle: dict[str, Any]) -> str | None:
    return next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)


def test_paging_neither_skips_nor_repeats_while_others_write(fresh_server: Any) -> None:
    base = fresh_server(publish_artifacts=False).base
    with httpx.Client(base_url=base, timeout=30) as client:
        body = {"resourceType": "Basic", "code": {"text": "kept"}}
        for number in range(60):
            when = {"created": f"2026-01-{1 + number % 9:02}"} if number % 3 else {}
            assert client.put(f"/Basic/k{number:02}", json=body | {"id": f"k{number:02}"} | when).status_code == 201
        stop = threading.Event()

        def write() -> None:
            turn = 0
            with httpx.Client(base_url=base, timeout=30) as other:
                while not stop.is_set():
                    name = f"busy{turn % 7}"
                    other.put(f"/Basic/{name}", json=body | {"id": name, "code": {"text": f"kept {turn}"}})
                    if turn % 5 == 4:
                        other.delete(f"/Basic/{name}")
                    turn += 1

        writers = [threading.Thread(target=write) for _ in range(2)]
        for writer in writers:
            writer.start()
        try:
            for sort in (
                "",
                "&_sort=_lastUpdated",
                "&_sort=_id",
                "&_sort=-_id",
                "&_sort=code",
                "&_sort=-created,author,-_id",
            ):
                seen: list[str] = []
                url: str | None = f"/Basic?_content=kept&_count=7{sort}"
                while url:
                    bundle = client.get(url).json()
                    seen += ids_of(bundle)
                    url = next_of(bundle) if len(seen) < 5_000 else None
                steady = [one for one in seen if one.startswith("k")]
                assert sorted(steady) == [f"k{number:02}" for number in range(60)], sort
        finally:
            stop.set()
            for writer in writers:
                writer.join()


def test_a_search_that_takes_too_long_is_refused_and_says_what_to_do(fresh_server: Any, refused: Any) -> None:
    base = fresh_server(publish_artifacts=False, query_seconds=0.0005).base
    with httpx.Client(base_url=base, timeout=60) as client:
        names = [{"given": [f"naam{number} {turn}" for turn in range(40)]} for number in range(25)]
        entries = [
            {"resource": {"resourceType": "Patient", "name": names}, "request": {"method": "POST", "url": "Patient"}}
            for _ in range(40)
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        assert client.post("/", json=bundle).status_code == 200
        issue = refused(client.get("/Patient?given:contains=zzz&_total=accurate"), 400, "search-too-costly")
        assert "0.0005 seconds" in issue["diagnostics"]
        assert "Add a parameter that narrows it" in issue["diagnostics"]
        assert client.get("/Patient?_id=none").status_code == 200


def test_services_near_a_point_come_by_distance_and_say_it(fresh_server: Any) -> None:
    base = fresh_server(publish_artifacts=False).base
    places = {"far": (51.05, 3.72), "near": (50.901, 4.401), "middle": (50.93, 4.43), "pole": (89.0, 0.0)}
    with httpx.Client(base_url=base) as client:
        for name, (latitude, longitude) in places.items():
            position = {"latitude": latitude, "longitude": longitude}
            place = {"resourceType": "Location", "id": name, "position": position}
            assert client.put(f"/Location/{name}", json=place).status_code == 201
            service = {
                "resourceType": "HealthcareService",
                "id": f"s-{name}",
                "location": [{"reference": f"Location/{name}"}],
            }
            assert client.put(f"/HealthcareService/s-{name}", json=service).status_code == 201
        both: dict[str, Any] = {"resourceType": "HealthcareService", "id": "s-both"}
        both["location"] = [{"reference": "Location/far"}, {"reference": "Location/middle"}]
        assert client.put("/HealthcareService/s-both", json=both).status_code == 201
        direct = client.get("/Location?near=50.9|4.4|10|km").json()
        assert ids_of(direct) == ["near", "middle"]
        chained = client.get("/HealthcareService?location.near=50.9|4.4|10|km").json()
        assert ids_of(chained) == ["s-near", "s-both", "s-middle"]
        distances = [entry["search"]["extension"][0]["valueDistance"]["value"] for entry in chained["entry"]]
        assert distances == sorted(distances)
        assert distances[0] == direct["entry"][0]["search"]["extension"][0]["valueDistance"]["value"]
        seen, url = [], "/HealthcareService?location.near=50.9|4.4|100|km&_count=1"
        while url:
            bundle = client.get(url).json()
            seen += ids_of(bundle)
            url = next_of(bundle) or ""
        assert seen == ["s-near", "s-both", "s-middle", "s-far"]
