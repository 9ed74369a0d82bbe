"""A text that lists things is cut where its definition says, and a cell loses only the quote that marks it as text."""

from pathlib import Path
from typing import Any

import pytest

from fhir_server.mapping.definition import Column
from fhir_server.mapping.tables import read_table
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
    [
        ("'+32 2 123", "+32 2 123"),
        ("'=sum", "=sum"),
        ("a-b", "a-b"),
        ("C++", "C++"),
        ("'t Huis", "'t Huis"),
        ("+3", "+3"),
    ],
)
def test_only_the_quote_that_marks_a_text_is_dropped_from_a_cell(tmp_path: Path, cell: str, expected: str) -> None:
    path = tmp_path / "services.csv"
    path.write_text(f"naam\n{cell}\n", encoding="utf-8")
    columns = (Column("name", ("naam",), "", "", required=True),)
    assert [row.record for row in read_table(path, columns)] == [{"name": expected}]
