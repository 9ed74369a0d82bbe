"""Records become resources by the rules of a mapping, and what cannot be read is said."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server.artifacts.source import default_root
from fhir_server.mapping.definition import MappingBroken, compile_mapping, faults_of, load_mapping, mapping_files
from fhir_server.mapping.engine import Converted, Converter
from fhir_server.model.reference import ID_PATTERN
from tests.unit.mapping.vocabulary import Vocabulary

ROOT = default_root()


def convert(rules: list[dict[str, Any]], record: Any, **more: Any) -> Converted:
    target = {"name": "thing", "resourceType": "HealthcareService", "id": {"from": "id"}, "rules": rules, **more}
    raw = {
        "id": "x", "url": "https://example.org/x", "version": "1", "status": "active", "description": "x",
        "source": {"format": "json", "description": "x"}, "targets": [target],
    }  # fmt: skip
    assert list(faults_of(raw, ROOT)) == []
    return Converter(compile_mapping(raw), "src", Vocabulary()).convert(record)


def made(value: dict[str, Any], record: dict[str, Any]) -> Any:
    rules: list[dict[str, Any]] = [
        {"to": "name", "value": {"constant": "x"}},
        {"to": "comment", "value": {"from": "id"}},
        {"to": "v", "value": value},
    ]
    converted = convert(rules, {"id": "1", **record})
    return converted.resources[0].get("v"), [remark.key for remark in converted.remarks]


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("integer", "12", 12), ("integer", "12.5", None), ("integer", "NaN", None), ("integer", "1e400000", None),
        ("decimal", "4,25", Decimal("4.25")), ("decimal", "Infinity", None), ("boolean", "Ja", True), ("boolean", "neen", False),
        ("boolean", "maybe", None), ("date", "22/11/2026", "2026-11-22"), ("date", "2026-11-22T10:00", "2026-11-22"),
        ("date", "2026-02-30", None), ("time", "9h", "09:00:00"), ("time", "9.30", "09:30:00"), ("time", "25:00", None),
        ("uri", "https://example.org/a b", None), ("code", "two  blanks", None), ("code", "one", "one"),
    ],
)  # fmt: skip
def test_a_text_is_read_as_its_kind_or_said_to_be_unreadable(kind: str, text: str, expected: Any) -> None:
    value, remarks = made({"from": "x", "as": kind}, {"x": text})
    assert value == expected
    assert remarks == ([] if expected is not None else ["unreadable-value"])


def test_numbers_out_of_range_are_left_out_and_long_texts_are_cut_and_both_are_said() -> None:
    assert made({"from": "x", "as": "decimal", "range": [-90, 90]}, {"x": 100}) == (None, ["out-of-range"])
    assert made({"from": "x", "max": 3}, {"x": "abcd"}) == ("abc", ["text-cut"])
    assert made({"from": "x"}, {"x": ["a", "b"]}) == (None, ["not-one-value"])
    assert made({"from": "x", "values": {"Wachtlijst": "waitlist"}}, {"x": " wachtLIJST "}) == ("waitlist", [])
    assert made({"from": "x", "values": {"a": "b"}}, {"x": "c"}) == (None, ["unreadable-value"])


def test_joins_firsts_and_defaults_fall_back() -> None:
    join = {"join": [{"from": "a"}, {"constant": "/"}, {"from": "b"}]}
    assert made(join, {"a": "1", "b": "2"})[0] == "1/2"
    assert made(join, {})[0] is None
    assert made({"first": [{"from": "a"}, {"from": "b"}]}, {"b": "2"})[0] == "2"
    assert made({"from": "a", "default": True}, {"a": "  "})[0] is True


def test_codes_are_found_kept_as_text_left_out_or_refuse_the_record() -> None:
    concept = {"concept": "x", "system": "https://example.org/cs"}
    assert made(concept, {"x": "Schuldhulp"})[0] == {
        "coding": [{"system": "https://example.org/cs", "code": "debt-help"}]
    }
    assert made(concept, {"x": "Iets anders"}) == ({"text": "Iets anders"}, [])
    assert made({**concept, "unmapped": "leave-out"}, {"x": "?"}) == (None, ["unknown-code"])
    assert made({**concept, "unmapped": "quiet"}, {"x": "?"}) == (None, [])
    refused = convert([{"to": "v", "value": {**concept, "unmapped": "refuse"}}], {"id": "1", "x": "?"})
    assert refused.resources == ()
    assert [remark.severity for remark in refused.remarks] == ["error"]
    coded = {"code": "x", "map": "https://example.org/map"}
    assert made(coded, {"x": "a"})[0] == {"coding": [{"system": "https://example.org/map", "code": "A"}]}
    assert made(coded, {"x": "none"})[0] == {"text": "none"}


def test_areas_and_references_point_at_what_is_stored() -> None:
    assert made({"area": "x"}, {"x": "23088"})[0] == {"reference": "Location/23088"}
    assert made({"area": "x"}, {"x": "Nergens"}) == (None, ["unknown-area"])
    assert made({"reference": "thing", "key": {"from": "x"}}, {"x": "7"})[0] == {
        "reference": "HealthcareService/src-thing-7"
    }


def test_each_makes_an_object_an_element_and_one_of_nothing_but_constants_is_left_out() -> None:
    rules: list[dict[str, Any]] = [
        {"to": "telecom[+]", "each": "phones", "rules": [{"to": "system", "value": {"constant": "phone"}}, {"to": "value", "value": {"from": "@"}}]},
        {"to": "telecom[+]", "each": "@", "rules": [{"to": "system", "value": {"constant": "email"}}, {"to": "value", "value": {"from": "mail"}}]},
        {"to": "days[+]", "each": "days", "split": "; ", "rules": [{"to": "@", "value": {"from": "@"}}]},
        {"to": "a[0].b", "value": {"from": "id"}},
        {"to": "a[0].c", "value": {"from": "id"}},
        {"to": "position", "each": "@", "rules": [{"to": "latitude", "value": {"from": "lat"}, "required": True}]},
    ]  # fmt: skip
    converted = convert(rules, {"id": "1", "phones": ["1", "2"], "days": "mon; tue"})
    assert converted.resources[0] == {
        "resourceType": "HealthcareService", "id": "src-thing-1", "days": ["mon", "tue"], "a": [{"b": "1", "c": "1"}],
        "telecom": [{"system": "phone", "value": "1"}, {"system": "phone", "value": "2"}],
    }  # fmt: skip
    assert [remark.key for remark in converted.remarks] == ["element-incomplete"]


def test_a_record_without_key_or_required_value_is_refused() -> None:
    required = [{"to": "name", "value": {"from": "name"}, "required": True}]
    assert [remark.key for remark in convert(required, {"id": "1"}).remarks] == ["value-missing"]
    assert [remark.key for remark in convert(required, {"name": "a"}).remarks] == ["key-missing"]
    assert [remark.key for remark in convert(required, ["no", "object"]).remarks] == ["record-shape"]


def test_what_is_said_of_an_element_never_comes_to_nothing() -> None:
    rules = [{"to": "name", "value": {"from": "id"}}]
    record = {"id": "1", "areas": [{"name": "Mytown"}, {"name": ""}, {}]}
    named = convert(rules, record, kept={"coverageArea": {"from": "areas", "display": "name"}})
    assert named.resources[0]["coverageArea"] == [{"display": "Mytown"}]
    assert [remark.severity for remark in named.remarks] == ["warning"]
    for areas in ("9999", [{"name": "Mytown"}]):
        refused = convert(rules, {"id": "1", "areas": areas}, kept={"coverageArea": {"from": "areas"}})
        assert refused.resources == ()
        assert [(remark.severity, remark.key) for remark in refused.remarks] == [("error", "value-unknown")]
    for nothing in ({}, {"areas": ""}, {"areas": []}):
        silent = convert(rules, {"id": "1", **nothing}, kept={"coverageArea": {"from": "areas"}})
        assert "coverageArea" not in silent.resources[0]
        assert silent.remarks == ()


def test_ids_stay_the_same_and_differ_when_keys_differ_only_in_what_an_id_refuses() -> None:
    rules = [{"to": "name", "value": {"from": "id"}}]
    ids = [convert(rules, {"id": key}).resources[0]["id"] for key in ("A b", "A-b", "A/b", "A b", "é" * 200)]
    assert ids[0] == ids[3]
    assert len(set(ids)) == 4
    assert all(ID_PATTERN.fullmatch(one) for one in ids)


def test_every_shipped_mapping_keeps_to_the_schema_and_a_broken_one_is_named(tmp_path: Path) -> None:
    assert set(mapping_files(ROOT)) >= {"areas", "hsds-3", "spreadsheet"}
    for mapping_id in mapping_files(ROOT):
        assert load_mapping(ROOT, mapping_id).targets
    with pytest.raises(MappingBroken, match="no mapping 'nope'"):
        load_mapping(ROOT, "nope")
    folder = tmp_path / "mappings" / "directory"
    folder.mkdir(parents=True)
    (tmp_path / "mappings" / "mapping.schema.json").write_bytes(
        (ROOT / "mappings" / "mapping.schema.json").read_bytes()
    )
    (folder / "bad.json").write_text('{"id": "bad"}', encoding="utf-8")
    with pytest.raises(MappingBroken, match="required"):
        load_mapping(tmp_path, "bad")
    (folder / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(MappingBroken, match="not JSON"):
        load_mapping(tmp_path, "bad")
