"""A text that lists things is cut at each of the characters that its definition names."""

from typing import Any

import pytest

from tests.unit.mapping.test_converting import convert


@pytest.mark.parametrize(
    ("split", "text", "expected"),
    [
        (";", "mon;tue", ["mon", "tue"]),
        (";", "mon/tue", ["mon/tue"]),
        (";/,", "mon;tue/wed,thu", ["mon", "tue", "wed", "thu"]),
        (";/,", "mon,tue/wed", ["mon", "tue", "wed"]),
        (";/", " mon ;; tue / ", ["mon", "tue"]),
    ],
)
def test_a_text_is_cut_at_each_character_that_the_definition_names(split: str, text: str, expected: list[str]) -> None:
    rule: dict[str, Any] = {"to": "days[+]", "each": "days", "split": split}
    converted = convert([{**rule, "rules": [{"to": "@", "value": {"from": "@"}}]}], {"id": "1", "days": text})
    assert converted.resources[0]["days"] == expected
    assert converted.remarks == ()


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("'+32 2 123", "+32 2 123"), ("'=sum", "=sum"), ("a-b", "a-b"), ("C++", "C++"), ("'t Huis", "'t Huis"), ("+32", "+32")],
)
def test_only_the_quote_that_marks_a_text_is_dropped_from_a_cell(tmp_path: Path, cell: str, expected: str) -> None:
    path = tmp_path / "services.csv"
    path.write_text(f'organization,service,types\nCAW,"{cell}",x\n', encoding="utf-8")
    (record,) = [dict(row.record) for row in read_documents(load_mapping(default_root(), "spreadsheet"), path)]
    assert record["service"] == expected
