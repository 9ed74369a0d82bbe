"""The searchset Bundle is the stored bytes, joined."""

import json

from fhir_server.search.bundle import Link, SearchEntry, searchset

BODY = b'{"resourceType":"Task","id":"1","x":1.50}'


def test_a_body_stays_byte_for_byte_what_it_was() -> None:
    bundle = searchset([SearchEntry("https://x/Task/1", BODY)], [Link("self", 'https://x/Task?a="b"')], total=1)
    assert BODY in bundle
    assert json.loads(bundle) == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 1,
        "link": [{"relation": "self", "url": 'https://x/Task?a="b"'}],
        "entry": [{"fullUrl": "https://x/Task/1", "resource": json.loads(BODY), "search": {"mode": "match"}}],
    }


def test_an_empty_page_has_no_empty_arrays() -> None:
    assert json.loads(searchset([], [], total=0)) == {"resourceType": "Bundle", "type": "searchset", "total": 0}
    assert "total" not in json.loads(searchset([], []))


def test_includes_outcomes_and_distances_say_what_they_are() -> None:
    entries = [
        SearchEntry("https://x/Location/1", BODY, distance=1234.567),
        SearchEntry("https://x/Task/1", BODY, "include"),
        SearchEntry("", BODY, "outcome"),
    ]
    found = json.loads(searchset(entries, [], last_updated="2026-01-01T00:00:00.000Z", bundle_id="b"))
    assert found["id"] == "b"
    assert found["meta"] == {"lastUpdated": "2026-01-01T00:00:00.000Z"}
    first, second, third = found["entry"]
    assert first["search"]["extension"] == [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/location-distance",
            "valueDistance": {"value": 1235, "unit": "m", "system": "http://unitsofmeasure.org", "code": "m"},
        }
    ]
    assert first["search"]["mode"] == "match"
    assert second["search"] == {"mode": "include"}
    assert third["search"] == {"mode": "outcome"}
    assert "fullUrl" not in third
