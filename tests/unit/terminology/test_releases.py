"""Each format of a release is read as it stands, whatever order its parts come in."""

import json
import zipfile
from pathlib import Path
from typing import Any

from fhir_server.terminology import spans
from fhir_server.terminology.concepts import Concept
from fhir_server.terminology.releases.gathering import About
from tests.unit.terminology.release_files import read, rf2


def by_code(concepts: list[Concept]) -> dict[str, Concept]:
    return {one.code: one for one in concepts}


def test_rf2_gives_terms_languages_parents_and_the_version_of_the_edition(tmp_path: Path) -> None:
    links = {"300003": "", "100001": "300003", "200002": "100001 300003", "400004": ""}
    about, rows, concepts = read(rf2(tmp_path / "r", links, retired=("400004",)), About())
    assert about.system == "http://snomed.info/sct"
    assert about.version == "http://snomed.info/sct/900000000000207008/version/20260101"
    found = by_code(concepts)
    assert found["200002"].display == "term 200002"
    assert found["200002"].text("nl-BE") == "begrip 200002 énig"
    assert set(found["200002"].texts()) >= {"other 200002", "term 200002 (finding)"}
    assert sorted(found["200002"].parents) == ["100001", "300003"]
    assert [one.code for one in concepts if one.inactive] == ["400004"]
    assert concepts[-1].code == "400004"  # the inactive stand together
    assert {row.key: spans.unpack(row.reach) for row in rows} == {
        "300003": ((1, 2),), "100001": ((2, 2),), "200002": (), "400004": (),
    }  # fmt: skip
    assert "enig" in rows[2].words


def test_a_zip_is_read_as_the_folder_in_it(tmp_path: Path) -> None:
    folder = rf2(tmp_path / "Snapshot", {"100001": "", "200002": "100001"})
    with zipfile.ZipFile(tmp_path / "r.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, f"Release/Snapshot/Terminology/{file.name}")
        archive.writestr("Release/Full/Terminology/sct2_Concept_Full_INT_20260101.txt", "not read")
    assert read(tmp_path / "r.zip", About())[1] == read(folder, About())[1]


def test_a_code_system_comes_with_nested_and_named_parents_properties_and_designations(tmp_path: Path) -> None:
    system: dict[str, Any] = {
        "resourceType": "CodeSystem", "text": {"div": [["any", {"thing": 1}]]}, "status": "active",
        "concept": [
            {"concept": [{"code": "b", "display": "B"}], "code": "a", "display": "A", "definition": "First."},
            {
                "code": "c", "display": "C",
                "designation": [{"language": "fr", "value": "Cé", "use": {"code": "display"}}],
                "property": [
                    {"code": "parent", "valueCode": "z"}, {"code": "status", "valueCode": "retired"},
                    {"code": "weight", "valueDecimal": 2.50}, {"code": "like", "valueCoding": {"code": "x"}},
                ],
            },
            {"code": "z", "display": "Z", "property": [{"code": "child", "valueCode": "a"}, {"code": "notSelectable", "valueBoolean": True}]},
        ],
        "url": "https://example.org/letters", "version": "2", "title": "Letters", "content": "complete",
        "property": [{"code": "weight", "type": "decimal"}], "valueSet": "https://example.org/all-letters",
    }  # fmt: skip
    path = tmp_path / "x.json"
    path.write_text(json.dumps(system), "utf-8-sig")
    about, rows, concepts = read(path, About())
    assert (about.system, about.version, about.name) == ("https://example.org/letters", "2", "Letters")
    assert about.value_set == "https://example.org/all-letters"
    found = by_code(concepts)
    assert concepts[0].code == "z"
    assert (found["b"].parents, found["a"].parents, found["c"].parents) == (("a",), ("z",), ("z",))
    assert found["c"].inactive
    assert found["z"].abstract
    assert str(found["c"].properties["weight"][0]) == "2.5"
    assert found["c"].properties["like"] == ({"code": "x"},)
    assert found["c"].text("fr") == "Cé"
    assert found["a"].definition == "First."
    assert spans.unpack(rows[0].reach) == ((1, 3),)


def test_a_table_has_languages_several_parents_and_quoted_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    text = (
        "\ufeffcode;display;display-nl;parent;inactive;definition;property-group\n"
        'a;"One; two";Een;;;"Over\ntwo lines";g1\n\n'
        "c;Three;;a|b;ja;;\nb;Two;Twee;a;;;\n"
    )
    path.write_text(text, "utf-8")
    _, _, concepts = read(path)
    found = by_code(concepts)
    assert found["a"].display == "One; two"
    assert found["a"].definition == "Over\ntwo lines"
    assert found["a"].properties["group"] == ("g1",)
    assert found["b"].text("nl") == "Twee"
    assert sorted(found["c"].parents) == ["a", "b"]
    assert found["c"].inactive
    (tmp_path / "old.csv").write_bytes("code,display\nx,caf\u00e9\n".encode("latin-1"))
    assert read(tmp_path / "old.csv", encoding="latin-1")[2][0].display == "café"


def test_claml_gives_classes_rubrics_and_groups(tmp_path: Path) -> None:
    path = tmp_path / "icpc.xml"
    path.write_text(
        """<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE ClaML SYSTEM "ClaML.dtd">
<ClaML version="2.0.0"><Title name="ICPX" date="2026-01-01" version="7">Primary care</Title>
<Class code="Z" kind="chapter"><SubClass code="Z01"/><Rubric kind="preferred"><Label xml:lang="en">Social</Label></Rubric></Class>
<Class code="Z01" kind="category"><SuperClass code="Z"/>
<Rubric kind="preferred"><Label xml:lang="en">Poverty <Fragment>and money</Fragment></Label></Rubric>
<Rubric kind="preferred"><Label xml:lang="nl">Armoede</Label></Rubric>
<Rubric kind="inclusion"><Label xml:lang="en">debts</Label></Rubric>
<Rubric kind="definition"><Label xml:lang="en">Too little.</Label></Rubric></Class></ClaML>""",
        "utf-8",
    )
    about, rows, concepts = read(path)
    assert (about.version, about.name, about.language) == ("7", "Primary care", "en")
    assert [one.code for one in concepts] == ["Z", "Z01"]
    assert concepts[0].abstract
    assert concepts[1].display == "Poverty and money"
    assert concepts[1].text("nl") == "Armoede"
    assert concepts[1].definition == "Too little."
    assert concepts[1].parents == ("Z",)
    assert "debts" in rows[1].words
