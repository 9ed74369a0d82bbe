"""The build-time tool that writes the table of R4 facts."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fhir_server.artifacts.r4.table import Table

BASE = "http://hl7.org/fhir/StructureDefinition/"


@pytest.fixture(name="tool")
def _tool() -> ModuleType:
    path = Path(__file__).resolve().parents[3] / "tools" / "compile_r4.py"
    spec = importlib.util.spec_from_file_location("compile_r4", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def element(path: str, kind: str = "", maximum: str = "1", **more: Any) -> dict[str, Any]:
    types = {"type": [{"code": kind}]} if kind else {}
    return {"path": path, "min": 0, "max": maximum, "isModifier": False, "base": {"path": path}, **types, **more}


def structure(*elements: dict[str, Any], name: str = "Shop") -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition", "fhirVersion": "4.0.1", "kind": "resource", "abstract": False, "type": name,
        "baseDefinition": BASE + "DomainResource", "derivation": "specialization", "snapshot": {"element": list(elements)},
    }  # fmt: skip


def compiled(tool: ModuleType, *elements: dict[str, Any]) -> Table:
    compiler = tool.Compiler()
    compiler.add(structure(element("Shop"), *elements))
    return Table(
        {
            "primitives": {},
            "definitions": compiler.definitions,
            "targets": compiler.targets.values,
            "bindings": [[url, {}] for url in compiler.bindings.values],
            "constraints": compiler.constraints.values,
        }
    )


def test_rows_come_back_as_the_facts_they_were_written_from(tool: ModuleType) -> None:
    rule = {"key": "shp-1", "severity": "error", "human": "It has a name.", "expression": "name.exists()"}
    bound = {"strength": "required", "valueSet": "http://e.org/ValueSet/a|4.0.1"}
    written = compiled(
        tool,
        element("Shop.part", "BackboneElement", "*", constraint=[rule]),
        element("Shop.part.owner", type=[{"code": "Reference", "targetProfile": [BASE + "Patient"]}]),
        element("Shop.part.code", "code", binding=bound, isSummary=True),
        element("Shop.part.part", contentReference="#Shop.part"),
        element("Shop.value[x]", type=[{"code": "string"}, {"code": "Quantity"}]),
    ).structure("Shop.part")
    assert written is not None
    owner, code, part = written.elements
    assert [constraint.key for constraint in written.constraints] == ["shp-1"]
    assert owner.targets == ("Patient",)
    assert code.binding is not None
    assert (code.binding.valueset, code.summary) == ("http://e.org/ValueSet/a", True)
    assert part.content == "Shop.part"


def test_constraints_of_every_element_are_left_out_and_choices_marked(tool: ModuleType) -> None:
    everywhere = {"key": "ele-1", "severity": "error", "human": "x", "expression": "y"}
    choice = element("Shop.value[x]", type=[{"code": "string"}, {"code": "Quantity"}], constraint=[everywhere])
    written = compiled(tool, choice).structure("Shop")
    assert written is not None
    (facts,) = written.elements
    assert facts.constraints == ()
    assert facts.json_names == (("valueString", "string"), ("valueQuantity", "Quantity"))


def test_a_value_set_is_expanded_from_lists_and_whole_systems(tool: ModuleType) -> None:
    systems = {"urn:b": {"concept": [{"code": "1", "concept": [{"code": "2"}]}]}}
    include = [{"system": "urn:a", "concept": [{"code": "x"}]}, {"system": "urn:b"}]
    assert tool.expand({"compose": {"include": include}}, systems) == {"urn:a": ["x"], "urn:b": ["1", "2"]}


@pytest.mark.parametrize(
    "compose",
    [
        {"include": [{"system": "urn:c"}]},
        {"include": [{"system": "urn:a", "filter": []}]},
        {"include": [{"valueSet": ["x"]}]},
        {"include": [{"system": "urn:a", "concept": [{"code": "x"}]}], "exclude": [{"system": "urn:a"}]},
    ],
)
def test_a_value_set_that_cannot_be_enumerated_is_not_guessed(tool: ModuleType, compose: dict[str, Any]) -> None:
    assert tool.expand({"compose": compose}, {}) is None


@pytest.mark.parametrize(
    "wrong", [{"fhirVersion": "4.3.0"}, {"snapshot": {}}, {}], ids=["other version", "no snapshot", "not all types"]
)
def test_a_source_that_is_not_r4_is_refused(tool: ModuleType, tmp_path: Path, wrong: dict[str, Any]) -> None:
    (tmp_path / "shop.json").write_text(json.dumps({**structure(element("Shop")), **wrong}))
    with pytest.raises(ValueError, match=r"not a snapshot of R4|where R4 has 146"):
        tool.compile_table(tmp_path, tmp_path)


def test_the_tool_names_its_arguments(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["compile_r4.py", "--help"])
    with pytest.raises(SystemExit):
        tool.main()
    assert "structures" in capsys.readouterr().out
