"""The answer of `$suggest` is well-formed JSON whatever is missing from it, and holds what each part says."""

import json
from typing import Any

from fhir_server.interactions.operations.suggest_rendered import Page, Words, bundle
from fhir_server.terminology.concepts import CodeSystemIndex
from fhir_server.workflow.suggestion import Match, Reason
from fhir_server.workflow.suggestion_facts import Offer

BASE = 'http://x/"é"'
REASONS = CodeSystemIndex(
    {"concept": [{"code": "near", "display": "Near", "designation": [{"language": "nl", "value": 'Dicht"bij'}]}]}
)


def rendered(page: Page, told: list[Any], languages: str = "") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bundle(BASE, page, Words(REASONS, languages), 3, told))
    return found


def match(name: str, distance: float | None = None) -> Match:
    return Match(Offer(name), 0.5, distance, (Reason("near", 1.0, "1.2 km"), Reason("unheard-of")))


def test_nothing_found_is_a_bundle_without_entries() -> None:
    assert rendered(Page([], {}, {}), []) == {"resourceType": "Bundle", "type": "searchset", "total": 3}


def test_each_part_may_stand_alone() -> None:
    only_told = rendered(Page([], {}, {}), [{"severity": "information"}])
    assert [entry["search"]["mode"] for entry in only_told["entry"]] == ["outcome"]
    only_provider = rendered(Page([], {}, {"o": b"{}"}), [])
    assert [entry["fullUrl"] for entry in only_provider["entry"]] == [f"{BASE}/Organization/o"]


def test_a_service_that_went_meanwhile_is_left_out() -> None:
    found = rendered(Page([match("gone"), match("s")], {"s": b'{"id":"s"}'}, {"o": b"{}"}), [{"code": "x"}])
    assert [entry["search"]["mode"] for entry in found["entry"]] == ["match", "include", "outcome"]
    assert found["entry"][0]["fullUrl"] == f"{BASE}/HealthcareService/s"


def test_reasons_are_told_in_the_language_of_the_caller_and_a_distance_in_metres() -> None:
    services = {"s": b"{}"}
    for languages, display in (("", "Near"), ("nl-BE", 'Dicht"bij'), ("", "Near")):
        (entry,) = rendered(Page([match("s", 1234.6)], services, {}), [], languages)["entry"]
        near, unknown, distance = entry["search"]["extension"]
        assert near["valueCodeableConcept"]["coding"][0]["display"] == display
        assert near["valueCodeableConcept"]["text"] == f"{display}: 1.2 km"
        assert unknown["valueCodeableConcept"]["text"] == "unheard-of"
        assert distance["valueDistance"]["value"] == 1235
        assert entry["search"]["score"] == 0.5
