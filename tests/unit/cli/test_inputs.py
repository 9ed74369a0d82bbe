"""Files, NDJSON lines, folders and collections become resources, or say why not."""

from pathlib import Path

from fhir_server.cli.inputs import find_files, read_inputs, unpack
from fhir_server.model.errors import FhirError


def test_a_folder_is_read_in_sorted_order_and_only_what_may_be_fhir(tmp_path: Path) -> None:
    for name in ("b.json", "a/z.ndjson", "a/y.json", "readme.md", "c.json.bak"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    named = tmp_path / "readme.md"
    found = [str(file.relative_to(tmp_path)) for file in find_files([tmp_path, named])]
    assert found == ["a/y.json", "a/z.ndjson", "b.json", "readme.md"]


def test_each_ndjson_line_has_its_own_origin_and_a_bad_line_does_not_stop_the_others(tmp_path: Path) -> None:
    file = tmp_path / "x.ndjson"
    file.write_bytes(b'{"resourceType":"Patient","id":"1"}\n\n{"resourceType":\n{"resourceType":"Patient","id":"2"}')
    items = list(read_inputs([file]))
    assert [(item.origin.rsplit(":")[-1], (item.resource or {}).get("id")) for item in items] == [
        ("1", "1"),
        ("3", None),
        ("4", "2"),
    ]
    assert items[1].error is not None
    assert items[1].error.issues[0].key == "not-json"


def test_what_is_no_resource_or_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_bytes(b"[]")
    (tmp_path / "bom.json").write_bytes(b'\xef\xbb\xbf{"resourceType":"Patient"}')
    items = list(read_inputs([tmp_path / "list.json", tmp_path / "bom.json", tmp_path / "absent.json"]))
    keys = [item.error.issues[0].key for item in items if item.error]
    assert keys == ["malformed", "byte-order-mark", "unreadable-file"]


def test_a_collection_comes_apart_with_its_references_kept() -> None:
    uuid = "0b2f1d8e-4d4e-4a8e-9f57-3a3f4f7f3a01"
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"fullUrl": f"urn:uuid:{uuid}", "resource": {"resourceType": "Patient", "active": True}},
            {
                "fullUrl": "https://example.org/fhir/Task/7",
                "resource": {"resourceType": "Task", "id": "7", "for": {"reference": f"urn:uuid:{uuid}"}},
            },
            {
                "resource": {
                    "resourceType": "Communication",
                    "about": [{"reference": "https://example.org/fhir/Task/7"}, {"reference": "Task/elsewhere"}],
                }
            },
        ],
    }
    contents = dict(unpack(bundle))
    assert contents["Bundle.entry[0].resource"] == {"resourceType": "Patient", "id": uuid, "active": True}
    assert contents["Bundle.entry[1].resource"] == {
        "resourceType": "Task",
        "id": "7",
        "for": {"reference": f"Patient/{uuid}"},
    }
    assert contents["Bundle.entry[2].resource"] == {
        "resourceType": "Communication",
        "about": [{"reference": "Task/7"}, {"reference": "Task/elsewhere"}],
    }
    assert "id" not in bundle["entry"][0]["resource"]


def test_an_entry_without_resource_is_told_with_its_place() -> None:
    contents = list(unpack({"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": "x"}, 3]}))
    for index, (expression, content) in enumerate(contents):
        assert expression == f"Bundle.entry[{index}]"
        assert isinstance(content, FhirError)
        assert content.issues[0].key == "entry-without-resource"
    assert len(contents) == 2
