"""Schedules that stand at a location of a service count like its own, and what FHIR cannot say of them is told."""

from pathlib import Path
from typing import Any

import pytest

from fhir_server.artifacts.source import default_root
from fhir_server.mapping.definition import compile_mapping, faults_of, load_mapping
from fhir_server.mapping.documents import read_source
from fhir_server.mapping.engine import Converted, Converter
from tests.unit.mapping.vocabulary import Vocabulary

URL = "https://w3id.org/social-referral/StructureDefinition/service-season"
SUMMER = {"valid_from": "2026-07-01", "valid_to": "2026-08-31"}
ALWAYS = {"valid_from": "2020-01-01", "valid_to": "2030-01-01"}
HOURS = {"byday": "MO,TU", "opens_at": "09:00", "closes_at": "12:00"}
Schedule = dict[str, Any]


def convert(record: Any, mapping: str = "hsds-3") -> tuple[dict[str, Any], Converted]:
    converted = Converter(load_mapping(default_root(), mapping), "src", Vocabulary()).convert(record)
    (service,) = [one for one in converted.resources if one["resourceType"] == "HealthcareService"]
    return service, converted


def service(own: list[Schedule], *locations: list[Schedule], mapping: str = "hsds-3") -> tuple[Any, Converted]:
    listed = [{"id": f"at-{at}", "schedules": one} if one else {"id": f"at-{at}"} for at, one in enumerate(locations)]
    record: dict[str, Any] = {"id": "s", "name": "Kamp", "schedules": own, "service_at_locations": listed}
    if mapping == "hsds-3-organization":
        return convert({"id": "o", "name": "CAW", "services": [record]}, mapping)
    return convert({**record, "organization": {"id": "o", "name": "CAW"}})


def seasons(found: dict[str, Any]) -> list[dict[str, str]]:
    listed = [one for one in found.get("extension", ()) if one["url"] == URL]
    return [{part["url"]: part["valueString"] for part in one["extension"]} for one in listed]


def keys(converted: Converted) -> list[str]:
    return [one.key for one in converted.remarks]


@pytest.mark.parametrize("mapping", ["hsds-3", "hsds-3-organization"])
def test_seasons_and_hours_of_the_only_location_are_those_of_the_service(mapping: str) -> None:
    found, converted = service([], [{"id": "1", **SUMMER, **HOURS, "description": "Zomer"}], mapping=mapping)
    assert seasons(found) == [{"start": "07-01", "end": "08-31", "description": "Zomer"}]
    times = {"daysOfWeek": ["mon", "tue"], "availableStartTime": "09:00:00", "availableEndTime": "12:00:00"}
    assert found["availableTime"] == [times]
    assert found["availabilityExceptions"] == "Zomer"
    assert converted.remarks == ()


def test_what_is_said_at_the_service_and_again_at_its_locations_is_written_once() -> None:
    found, converted = service([{"id": "1", **SUMMER, **HOURS}], [{"id": "2", **SUMMER, **HOURS}])
    assert seasons(found) == [{"start": "07-01", "end": "08-31"}]
    assert len(found["availableTime"]) == 1
    assert converted.remarks == ()


def test_a_location_without_schedules_follows_the_service_and_without_any_may_serve_all_year() -> None:
    found, _ = service([SUMMER], [SUMMER], [])
    assert seasons(found) == [{"start": "07-01", "end": "08-31"}]
    for own, locations in (
        ([], ([SUMMER], [])),
        ([], ([SUMMER], [ALWAYS])),
        ([SUMMER], ([ALWAYS],)),
        ([SUMMER, HOURS], ()),
    ):
        found, converted = service(own, *locations)
        assert seasons(found) == [], "who may be there all year is not hidden"
        (said,) = [one for one in converted.remarks if one.key == "part-only"]
        assert said.text.startswith("The season is said by some of these only.")
        assert said.column == "schedules, service_at_locations.schedules"


def test_locations_that_differ_are_told_since_the_service_has_one_list() -> None:
    found, converted = service([], [HOURS], [{**HOURS, "opens_at": "13:00", "closes_at": "17:00"}])
    assert len(found["availableTime"]) == 2
    (said,) = converted.remarks
    assert (said.key, said.column) == ("not-expressed", "service_at_locations: schedules")
    assert keys(service([], [HOURS, SUMMER], [SUMMER, HOURS])[1]) == ["part-only"], "the order does not count"


def test_the_first_and_last_event_narrow_the_days_that_a_schedule_holds() -> None:
    events = {"dtstart": "2026-07-01", "until": "2026-08-31T12:00:00Z"}
    for schedule in (events, {**ALWAYS, **events}, {"valid_from": "2026-07-01", "until": "2026-08-31"}):
        assert seasons(service([schedule])[0]) == [{"start": "07-01", "end": "08-31"}]
        assert seasons(service([], [schedule])[0]) == [{"start": "07-01", "end": "08-31"}]
    assert seasons(service([{**ALWAYS, "dtstart": "2021-01-01"}])[0]) == []


@pytest.mark.parametrize(("schedule", "column", "said"), [
    ({"valid_from": "01/07/26", "valid_to": "2026-08-31"}, "valid_from", "'01/07/26' is not a date"),
    ({"valid_from": "2026-08-31", "valid_to": "2026-07-01"}, "valid_to", "2026-07-01 comes before 2026-08-31"),
    ({**HOURS, "byweekno": "41,42"}, "schedules, service_at_locations.schedules: byweekno", "'41,42': "),
    ({**HOURS, "interval": 2}, "schedules, service_at_locations.schedules: interval", "'2': "),
    ({**HOURS, "freq": "MONTHLY"}, "schedules, service_at_locations.schedules: freq", "'MONTHLY': "),
    ({**HOURS, "byday": "1MO"}, "byday", "'1MO' is none of"),
])  # fmt: skip
def test_what_cannot_be_read_or_said_is_told(schedule: Schedule, column: str, said: str) -> None:
    for converted in (service([schedule])[1], service([], [schedule])[1]):
        (remark,) = converted.remarks
        assert (remark.severity, remark.column) == ("warning", column)
        assert remark.text.startswith(said)
    usual = {**HOURS, "freq": "WEEKLY", "interval": "1"}
    assert service([usual])[1].remarks == ()


def test_the_tables_of_a_package_join_schedules_to_the_locations_of_a_service(tmp_path: Path) -> None:
    tables = {
        "services": "id,organization_id,name\ns1,o1,Zomerkamp\n", "organizations": "id,name\no1,CAW\n",
        "service_at_location": "id,service_id,location_id\nx1,s1,l1\nx2,s2,l1\n", "locations": "id,name\nl1,Veld\n",
        "schedules": "id,service_id,location_id,service_at_location_id,valid_from,valid_to,byday\n"
                     "1,,,x1,2026-07-01,2026-08-31,SA\n2,,,x2,2026-01-01,2026-02-01,SU\n3,,l1,,2020-01-01,,MO\n",
    }  # fmt: skip
    for name, text in tables.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    (row,) = read_source(tmp_path, load_mapping(default_root(), "hsds-3"))
    found, converted = convert(row.record)
    assert seasons(found) == [{"start": "07-01", "end": "08-31"}]
    assert found["availableTime"] == [{"daysOfWeek": ["sat"]}]
    assert converted.remarks == ()


def test_several_days_to_begin_are_for_dates_only() -> None:
    days: dict[str, Any] = {"start": ["a", "b"], "end": "c"}
    season = {"to": "v", "value": {"season": days}}
    target = {"name": "t", "resourceType": "HealthcareService", "id": {"from": "id"}, "rules": [season]}
    raw = {
        "id": "x", "url": "https://example.org/x", "version": "1", "status": "active", "description": "x",
        "source": {"format": "json", "description": "x"}, "targets": [target],
    }  # fmt: skip
    assert list(faults_of(raw, default_root()))
    days["validity"] = True
    assert list(faults_of(raw, default_root())) == []
    assert compile_mapping(raw).targets
