"""Seasons are read as people write them, and days that are no season are said or passed over."""

from typing import Any

import pytest

from fhir_server.artifacts.source import default_root
from fhir_server.mapping.definition import load_mapping
from fhir_server.mapping.engine import Converted, Converter
from fhir_server.mapping.seasons import day_of_year
from tests.unit.mapping.vocabulary import Vocabulary

URL = "https://w3id.org/social-referral/StructureDefinition/service-season"


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("04-01", "04-01"), ("--04-01", "04-01"), ("1/4", "04-01"), ("01/04", "04-01"), ("1.4.", "04-01"),
        ("29/2", "02-29"), ("2026-04-01", "04-01"), ("1 april", "04-01"), ("1er août", "08-01"), ("3. März", "03-03"),
        ("31 dec.", "12-31"), ("1 Juillet", "07-01"), ("30-02", None), ("02-30", None), ("1/13", None), ("31/4", None),
        ("4-1", None), ("april", None), ("1 brumaire", None), ("", None), ("٠١/٠٤", None), ("2026-13-01", None),
    ],
)  # fmt: skip
def test_a_day_of_the_year_is_read_or_none(text: str, day: str | None) -> None:
    assert day_of_year(text) == day


def convert(mapping: str, record: dict[str, Any]) -> tuple[Any, Converted]:
    converted = Converter(load_mapping(default_root(), mapping), "src", Vocabulary()).convert(record)
    (service,) = [one for one in converted.resources if one["resourceType"] == "HealthcareService"]
    seasons = [one for one in service.get("extension", ()) if one["url"] == URL]
    return [{part["url"]: part["valueString"] for part in one["extension"]} for one in seasons], converted


def row(**more: str) -> tuple[Any, Converted]:
    return convert("spreadsheet", {"organization": "CAW", "service": "Zomerkamp", "types": "x", **more})


def test_a_row_says_its_season_in_two_columns_and_half_a_season_is_said() -> None:
    seasons, converted = row(seasonStart="1/11", seasonEnd="31 maart", seasonReason="Winteropvang")
    assert seasons == [{"start": "11-01", "end": "03-31", "description": "Winteropvang"}]
    assert row()[0] == []
    assert not [one for one in row()[1].remarks if one.column.startswith("season")]
    for cells, column, said in (
        ({"seasonStart": "04-01"}, "seasonEnd", "is missing"),
        ({"seasonEnd": "04-01"}, "seasonStart", "is missing"),
        ({"seasonReason": "Zomer"}, "seasonStart", "is missing"),
        ({"seasonStart": "4-1", "seasonEnd": "09-30"}, "seasonStart", "04-01 (MM-DD)"),
    ):
        seasons, converted = row(**cells)
        assert seasons == []
        (remark,) = [one for one in converted.remarks if one.column.startswith("season")]
        assert (remark.severity, remark.column) == ("warning", column)
        assert said in remark.text


def schedules(*days: tuple[str, str]) -> Any:
    listed = [{"valid_from": start, "valid_to": end, "byday": "MO"} for start, end in days]
    record = {"id": "s", "name": "Kamp", "organization": {"id": "o", "name": "CAW"}, "schedules": listed}
    return convert("hsds-3", record)[0]


def test_schedules_that_hold_less_than_a_year_are_seasons_when_all_are() -> None:
    summer, winter = ("2026-07-01", "2026-08-31"), ("2026-12-01", "2027-02-28")
    assert schedules(summer, winter) == [{"start": "07-01", "end": "08-31"}, {"start": "12-01", "end": "02-28"}]
    assert schedules(summer, summer) == [{"start": "07-01", "end": "08-31"}]
    for always in (
        ("2020-01-01", "2030-01-01"),
        ("2026-01-01", ""),
        ("2005-01-01", "2005-01-01"),
        ("", ""),
        ("x", "y"),
    ):
        assert schedules(summer, always) == []
    assert schedules(("2026-08-31", "2026-07-01")) == []
