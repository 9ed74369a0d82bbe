"""FHIR files are read whole: every entry is taken, or said to be left out or refused, and references lead on."""

import json
import random
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fhir_server.artifacts.source import default_root
from fhir_server.mapping.definition import Definition, compile_mapping, faults_of, load_mapping
from fhir_server.mapping.documents import read_source
from fhir_server.mapping.engine import Converted
from fhir_server.mapping.fhir_engine import converter_of
from fhir_server.mapping.fhir_files import LeftOut
from fhir_server.mapping.fhir_order import in_order
from fhir_server.mapping.sources import Row, SourceBroken
from fhir_server.model.resource import Resource
from tests.unit.mapping.vocabulary import Vocabulary

ROOT = default_root()
HUB = "https://hub.example/fhir"


@cache
def fhir() -> Definition:
    return load_mapping(ROOT, "fhir")


def bundle(*resources: Resource, kind: str = "collection", base: str = "", **more: Any) -> Resource:
    entries = [
        {"resource": one} | ({"fullUrl": f"{base}/{one['resourceType']}/{one['id']}"} if base else {})
        for one in resources
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": entries, **more}


def rows(folder: Path, content: Any, name: str = "b.json") -> list[Row]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return list(read_source(path, fhir()))


def taken(folder: Path, content: Any, *stored: str, name: str = "b.json") -> dict[str, Converted]:
    """Return what became of each record, where what was made before and what is `stored` is known."""
    converter = converter_of(fhir(), "hub", Vocabulary())
    known = set(stored)
    made = {}
    for row in rows(folder, content, name):
        assert not isinstance(row.record, str), row
        converted = made[row.origin] = converter.convert(row.record, known.__contains__)
        known |= {f"{one['resourceType']}/{one['id']}" for one in converted.resources}
    return made


def resource(kind: str, key: str | None = "1", **more: Any) -> Resource:
    return {"resourceType": kind} | ({"id": key} if key else {}) | more


def to(text: str, **more: Any) -> Resource:
    return {"reference": text, **more}


def test_what_others_refer_to_comes_first_and_circles_stay_together() -> None:
    assert list(in_order([[1], [2], []])) == [[2], [1], [0]]
    groups = list(in_order([[1], [2, 0], [3], [], [4, 0]]))
    assert [sorted(group) for group in groups] == [[3], [2], [0, 1], [4]]
    long = [[number + 1] for number in range(20_000)] + [[0]]
    assert [len(group) for group in in_order(long)] == [20_001]
    assert list(in_order([])) == []


@pytest.mark.parametrize("kind", ["collection", "transaction", "batch", "searchset"])
def test_entries_keep_what_they_say_under_an_id_of_ours(tmp_path: Path, kind: str) -> None:
    extension = [{"url": "https://hub.example/x", "valueDecimal": 1.0}]
    sent = resource("Organization", "o1", name="CAW", active=False, extension=extension, meta={"versionId": "9", "profile": ["urn:p"]})  # fmt: skip
    (made,) = taken(tmp_path, bundle(sent, kind=kind, base=HUB))["Bundle.entry[0]"].resources
    assert made["id"] == "hub-organization-o1"
    ours = "https://w3id.org/social-referral/StructureDefinition/welfare-organization"
    assert made["meta"] == {"profile": ["urn:p", ours], "source": f"{HUB}/Organization/o1"}
    assert made["active"] is False
    assert str(made["extension"][0]["valueDecimal"]) == "1.0"
    assert made["type"] == [{"text": "Not classified"}]


def test_references_between_entries_are_rewritten_in_every_form(tmp_path: Path) -> None:
    entries = [
        {"fullUrl": f"{HUB}/HealthcareService/s", "resource": resource("HealthcareService", "s", providedBy=to("Organization/o"), location=[to(f"{HUB}/Location/l/_history/2"), to("urn:uuid:1"), to("Location?identifier=urn:n|7"), to("#in")], contained=[resource("Location", "in", managingOrganization=to("Organization/o"), partOf=to("#")), resource("Practitioner", "p")])},
        {"fullUrl": f"{HUB}/Organization/o", "resource": resource("Organization", "o", extension=[{"url": "urn:x", "valueReference": to("Location/l")}])},
        {"fullUrl": f"{HUB}/Location/l", "resource": resource("Location", "l")},
        {"fullUrl": "urn:uuid:1", "resource": resource("Location", None, identifier=[{"system": "urn:n", "value": "7"}])},
    ]  # fmt: skip
    made = taken(tmp_path, {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert not [remark for one in made.values() for remark in one.remarks]
    service = made["Bundle.entry[0]"].resources[0]
    (inner,) = made["Bundle.entry[0].contained[0]"].resources
    by_number = made["Bundle.entry[3]"].resources[0]["id"]
    assert service["providedBy"] == to("Organization/hub-organization-o")
    assert [one["reference"] for one in service["location"]] == [
        "Location/hub-site-l", f"Location/{by_number}", f"Location/{by_number}", f"Location/{inner['id']}",
    ]  # fmt: skip
    assert [one["id"] for one in service["contained"]] == ["p"]
    assert inner["managingOrganization"] == to("Organization/hub-organization-o")
    assert inner["partOf"] == to("HealthcareService/hub-service-s")
    assert made["Bundle.entry[1]"].resources[0]["extension"][0]["valueReference"] == to("Location/hub-site-l")


def test_a_reference_that_leads_nowhere_is_left_out_or_refuses_what_needs_it(tmp_path: Path) -> None:
    service = resource(
        "HealthcareService", "s", providedBy=to("Organization/o"), location=[to("Location/gone"), to("Location/here")],
        endpoint=[to("Endpoint/gone")], coverageArea=[to("Location/here", display="Hier")],
        extension=[{"url": "urn:x", "valueReference": to("Location/gone")}],
    )  # fmt: skip
    lost = {**service, "id": "t", "providedBy": to("Organization/gone")}
    everywhere = {**service, "id": "u", "coverageArea": [to("https://else.example/Location/1")]}
    partner = resource("Organization", "o", partOf=to("Organization/gone", display="Koepel"))
    made = taken(tmp_path, bundle(service, lost, everywhere, partner), "Location/here")
    kept = made["Bundle.entry[0]"]
    assert kept.resources[0]["location"] == [to("Location/here")]
    assert not {"endpoint", "extension"} & set(kept.resources[0])
    assert [(one.severity, one.column) for one in kept.remarks] == [
        ("warning", "HealthcareService.location[0]"),
        ("warning", "HealthcareService.endpoint[0]"),
        ("warning", "HealthcareService.extension[0].valueReference"),
    ]
    assert made["Bundle.entry[3]"].resources[0]["partOf"] == {"display": "Koepel"}
    for origin, column in (("[1]", "providedBy"), ("[2]", "coverageArea[0]")):
        refused = made[f"Bundle.entry{origin}"]
        assert refused.resources == ()
        assert (refused.remarks[-1].severity, refused.remarks[-1].column) == ("error", f"HealthcareService.{column}")


def test_ids_come_from_the_id_else_the_address_else_a_business_number(tmp_path: Path) -> None:
    numbered = resource("Organization", None, identifier=[{"value": "x"}, {"system": "urn:n", "value": "7"}])
    entries = [
        {"fullUrl": "urn:uuid:2", "resource": resource("Organization", "A")},
        {"fullUrl": f"{HUB}/Organization/B", "resource": resource("Organization", None)},
        {"fullUrl": "urn:uuid:3", "resource": numbered},
        {"fullUrl": "urn:uuid:4", "resource": resource("Organization", None)},
    ]
    first = taken(tmp_path, {"resourceType": "Bundle", "type": "batch", "entry": entries})
    ids = [one.resources[0]["id"] for one in first.values()]
    assert ids[:2] == ["hub-organization-A", "hub-organization-B"]
    assert len(set(ids)) == 4
    assert [remark.key for one in first.values() for remark in one.remarks] == ["passing-name"]
    lines = b"".join(json.dumps(one).encode() + b"\n\n" for one in (resource("Organization", "A"), numbered))
    again = taken(tmp_path, lines, name="o.ndjson")
    assert list(again) == ["line 1", "line 3"]
    assert [one.resources[0]["id"] for one in again.values()] == [ids[0], ids[2]]


def test_entries_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    twice = [{"fullUrl": f"urn:uuid:{at}", "resource": resource("Organization", "o", name=str(at))} for at in (1, 2)]
    second = rows(tmp_path, {"resourceType": "Bundle", "type": "batch", "entry": twice})[0]
    assert (second.origin, "fullUrl is another" in second.record) == ("Bundle.entry[1]", True)
    others = [bundle(resource("Organization", "o"), base=base) for base in (HUB, "https://else.example")]
    found = rows(tmp_path, b"\n".join(json.dumps(one).encode() for one in others), "b.ndjson")
    assert (found[0].origin, "another server" in found[0].record) == ("line 2 Bundle.entry[0]", True)
    (nameless,) = rows(tmp_path, bundle(resource("Location", None)))
    assert "nothing tells it from others" in nameless.record


def test_what_is_not_taken_is_named(tmp_path: Path) -> None:
    entries = [
        {"resource": resource("PractitionerRole")}, {"request": {"method": "DELETE", "url": "Organization/1"}},
        {"fullUrl": "urn:uuid:1"}, 7, {"resource": "x"}, {"resource": {"id": "1"}},
    ]  # fmt: skip
    found = rows(tmp_path, {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert [row.record.element for row in found if isinstance(row.record, LeftOut)] == [
        "PractitionerRole", "request.method", "resource",
    ]  # fmt: skip
    assert [row.origin for row in found if isinstance(row.record, str)] == [f"Bundle.entry[{at}]" for at in (3, 4, 5)]
    torn = rows(tmp_path, b'{"resourceType": "Organization", "id": "1"}\n{"resour\n[]\n', "x.ndjson")
    assert [(row.origin, isinstance(row.record, str)) for row in torn] == [
        ("line 2", True), ("line 3", True), ("line 1", False),
    ]  # fmt: skip


def test_a_file_that_is_no_directory_is_refused_whole(tmp_path: Path) -> None:
    for content, said in (
        (bundle(kind="message"), "Bundle.type is 'message'"), ({"resourceType": "Bundle"}, "Bundle.type is None"),
        ({"resourceType": "Bundle", "type": "batch", "entry": {}}, "entry is no list"), (b"{", "not JSON"),
        (b'{"resourceType": "Location"}\n{"resourceType": "Location"}', "ends in .ndjson"),
    ):  # fmt: skip
        with pytest.raises(SourceBroken, match=said):
            rows(tmp_path, content)
    with pytest.raises(SourceBroken, match="no ZIP"):
        rows(tmp_path, b"PK nothing", "b.zip")
    (row,) = rows(tmp_path, [1])
    assert "no FHIR resource" in row.record


def test_folders_and_archives_are_read_alike_and_references_go_between_their_files(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    (folder / "deep").mkdir(parents=True)
    (folder / "HealthcareService.ndjson").write_text(
        json.dumps(resource("HealthcareService", "s", providedBy=to("Organization/o"))), encoding="utf-8"
    )
    (folder / "deep" / "organizations.json").write_text(json.dumps(bundle(resource("Organization", "o"))), "utf-8")
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    (folder / ".hidden.json").write_text("{", encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder).as_posix())
    for path in (folder, tmp_path / "export.zip"):
        found = list(read_source(path, fhir()))
        assert [row.origin for row in found] == [
            "notes.txt",
            "deep/organizations.json Bundle.entry[0]",
            "HealthcareService.ndjson line 1",
        ]
        assert found[2].record.links["Organization/o"] == found[1].record.name


def test_a_page_without_the_next_is_refused_so_that_nothing_vanishes(tmp_path: Path) -> None:
    def page(own: str, following: str, key: str, **more: Any) -> bytes:
        links = [{"relation": "self", "url": own}, {"relation": "next", "url": following}]
        more["link"] = links[: 2 if following else 1]
        return json.dumps(bundle(resource("Organization", key), kind="searchset", **more)).encode() + b"\n"

    (fault,) = [row for row in rows(tmp_path, page("p1", "p2", "a"), "p.ndjson") if isinstance(row.record, str)]
    assert fault.origin == "line 1 Bundle.link"
    for whole in (
        page("p1", "p2", "a") + page("p2", "", "b"),
        page("x", "p2", "a", total=2) + page("y", "", "b", total=2),
    ):
        assert not [row for row in rows(tmp_path, whole, "p.ndjson") if isinstance(row.record, str)]


def test_a_mapping_of_fhir_names_types_profiles_and_what_must_be_reached() -> None:
    raw = json.loads((ROOT / "mappings" / "directory" / "fhir.json").read_bytes())
    assert compile_mapping(raw).types() == ("Endpoint", "Organization", "Location", "HealthcareService")
    for broken in (
        {**raw, "source": {**raw["source"], "format": "json"}},
        {**raw, "targets": [{**raw["targets"][0], "id": {"from": "id"}}]},
        {**raw, "targets": [{"name": "x", "resourceType": "Location"}]},
        {**raw, "source": {**raw["source"], "bundles": ["pile"]}},
    ):
        assert list(faults_of(broken, ROOT))


_ODD: tuple[Any, ...] = (
    None, True, -1, 1.5, "", "#", "#in", "urn:x", "Organization/o", [], {}, [None], [[]], {"reference": "#in"},
    {"reference": 7}, {"resourceType": "Location", "id": "in"}, "Organization?identifier=urn:n|7", "x" * 5000,
)  # fmt: skip


def _places(node: Any) -> list[tuple[Any, Any]]:
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return [place for key in keys for place in ((node, key), *_places(node[key]))]


def test_whatever_stands_in_a_bundle_is_taken_refused_or_left_out_and_never_breaks_the_import(tmp_path: Path) -> None:
    chosen = random.Random(7)
    inner = resource("Location", "in", managingOrganization=to("Organization/o"))
    service = resource("HealthcareService", "s", providedBy=to("Organization/o"), location=[to("#in")], contained=[inner])  # fmt: skip
    company = resource("Organization", "o", meta={"profile": ["urn:p"]}, identifier=[{"system": "urn:n", "value": "7"}])
    whole = json.dumps(bundle(service, company, base=HUB, kind="searchset", link=[{"relation": "self", "url": "p"}]))
    converter, converted = converter_of(fhir(), "hub", Vocabulary()), 0
    for _ in range(400):
        document = json.loads(whole)
        for _ in range(chosen.randint(1, 3)):
            holder, key = chosen.choice(_places(document))
            holder[key] = chosen.choice(_ODD)
        try:
            found = rows(tmp_path, document)
        except SourceBroken:
            continue
        for row in found:
            if not isinstance(row.record, str):
                converted += len(converter.convert(row.record, lambda _: chosen.random() < 0.5).resources)
    assert converted > 400


def test_what_is_part_of_itself_comes_without_that_and_is_told(tmp_path: Path) -> None:
    def part(key: str, of: str) -> Resource:
        return resource("Organization", key, name=key, partOf={"reference": f"Organization/{of}"})

    made = taken(tmp_path, bundle(part("a", "b"), part("b", "a"), part("c", "c"), part("d", "a")))
    remarks = {origin: [one.key for one in converted.remarks] for origin, converted in made.items()}
    circular = ["part-of-itself"]
    assert remarks == {f"Bundle.entry[{at}]": circular if at < 3 else [] for at in range(4)}
    found = {one["name"]: one for converted in made.values() for one in converted.resources}
    assert [name for name, one in found.items() if "partOf" in one] == ["d"]
