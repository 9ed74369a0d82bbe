"""What filters see of a listing, and what the compiled table of R4 was made by."""

import importlib.util
from pathlib import Path
from typing import Any

from fhir_server.terminology.answers import Listing, Selection
from fhir_server.terminology.concepts import Concept, Designation
from fhir_server.terminology.membership import Member

LISTING = Listing(
    [
        Member("s", Concept("a", "Débt help", "", (Designation("nl", "Schuldhulp"),), (), {}, 0)),
        Member("s", Concept("b", "Help", "", (Designation("nl", "Debt"),), (), {"inactive": (True,)}, 1)),
        Member("t", Concept("c", "Group", "", (), (), {"notSelectable": (True,)}, 2)),
    ]
)


def chosen(selection: Selection) -> list[str]:
    return [member.concept.code for member in selection.of(LISTING)]


def test_all_words_of_a_filter_are_in_one_text() -> None:
    assert chosen(Selection(filter="DEBT help")) == ["a"]
    assert chosen(Selection(filter="debt")) == ["a", "b"]
    assert chosen(Selection(filter="help schuld")) == []
    assert chosen(Selection(filter="  ")) == ["a", "b", "c"]


def test_marks_and_systems_narrow_together_with_a_filter() -> None:
    assert chosen(Selection(active_only=True)) == ["a", "c"]
    assert chosen(Selection(selectable_only=True)) == ["a", "b"]
    assert chosen(Selection(without_systems=frozenset({"s"}))) == ["c"]
    assert chosen(Selection(filter="debt", active_only=True)) == ["a"]


def compiler() -> Any:
    path = Path(__file__).parents[3] / "tools" / "compile_terminology.py"
    spec = importlib.util.spec_from_file_location("compile_terminology", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_value_sets_that_need_what_is_left_out_are_left_out_too() -> None:
    def of(*include: dict[str, Any]) -> dict[str, Any]:
        return {"compose": {"include": list(include)}}

    value_sets = {
        "own": of({"system": "s"}),
        "foreign": of({"system": "s"}, {"system": "licensed"}),
        "of-own": of({"valueSet": ["own|1"]}),
        "of-foreign": of({"valueSet": ["foreign"]}),
        "of-of-foreign": of({"valueSet": ["of-foreign"]}),
        "empty": {},
    }
    assert compiler().self_sufficient(value_sets, {"s"}) == ["of-own", "own"]


def test_a_row_has_no_empty_members_at_its_end() -> None:
    row = compiler().concept_row
    assert row({"code": "a", "display": "a"}) == ["a"]
    assert row({"code": "a", "display": "A", "concept": [{"code": "b"}]}) == ["a", "A", [["b"]]]
    marked = {"code": "a", "property": [{"code": "notSelectable", "valueBoolean": True}, {"code": "other"}]}
    assert row(marked) == ["a", "", [], [["notSelectable", True]]]
