"""The examples are complete, hold together, and another implementation reads them too."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.artifacts.catalog import Catalog
from fhir_server.artifacts.source import BASE
from fhir_server.model.resource import walk

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
VALID = sorted(path for path in EXAMPLES.rglob("*.json") if path.parent.name != "invalid")
PROFILES = sorted(
    path.stem.removeprefix("StructureDefinition-") for path in (ROOT / "profiles/structure-definitions").glob("*.json")
)


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def region() -> dict[str, dict[str, Any]]:
    entries = [entry for path in sorted((EXAMPLES / "region").glob("*.json")) for entry in read(path)["entry"]]
    return {f"{one['resource']['resourceType']}/{one['resource']['id']}": one for one in entries}


def references(resource: dict[str, Any]) -> Iterator[str]:
    for _, element in walk(resource, ""):
        if isinstance(element.get("reference"), str):
            yield element["reference"]


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_has_a_minimal_a_typical_and_a_maximal_example(profile: str) -> None:
    sizes = []
    for level in ("minimal", "typical", "maximal"):
        resource = read(EXAMPLES / f"profiles/{profile}-{level}.json")
        assert f"{BASE}/StructureDefinition/{profile}" in resource["meta"]["profile"]
        sizes.append(len(json.dumps(resource)))
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_has_invalid_examples_of_both_levels(profile: str) -> None:
    names = [path for path in (EXAMPLES / "invalid").glob("*.issue.json") if path.name.startswith(f"{profile}-")]
    claiming = [
        read(path)["level"]
        for path in names
        if f"{BASE}/StructureDefinition/{profile}"
        in read(path.with_name(path.name.replace(".issue", "")))["meta"]["profile"]
    ]
    assert claiming.count("base") >= 2
    assert claiming.count("profile") >= 1


@pytest.mark.parametrize(
    "path", [path for path in VALID if isinstance(read(path), dict)], ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_fhir_resources_reads_each_example(path: Path) -> None:
    from fhir.resources.R4B import get_fhir_model_class

    resource = read(path)
    model = get_fhir_model_class(resource["resourceType"])
    assert model.model_validate(resource).get_resource_type() == resource["resourceType"]


def test_the_region_holds_together() -> None:
    known = region()
    for name, entry in known.items():
        assert entry["request"] == {"method": "PUT", "url": name}
        assert [text for text in references(entry["resource"]) if text not in known] == [], name
    kinds = [name.partition("/")[0] for name in known]
    assert kinds.count("Organization") >= 12
    assert kinds.count("HealthcareService") >= 20


def test_each_file_of_the_region_rests_only_on_those_before_it() -> None:
    known: set[str] = set()
    for path in sorted((EXAMPLES / "region").glob("*.json")):
        resources = [entry["resource"] for entry in read(path)["entry"]]
        known.update(f"{one['resourceType']}/{one['id']}" for one in resources)
        for resource in resources:
            assert set(references(resource)) <= known, path.name


def test_one_contact_point_serves_every_municipality_of_the_region() -> None:
    resources = [entry["resource"] for entry in region().values()]
    points = [
        one
        for one in resources
        if one["resourceType"] == "HealthcareService"
        and any(coding["code"] == "contact-point" for concept in one["category"] for coding in concept["coding"])
    ]
    assert len(points) == 1
    covered = {one["reference"] for one in points[0]["coverageArea"]}
    municipalities = {
        f"Location/{one['id']}"
        for one in resources
        for identifier in one.get("identifier", ())
        if identifier["system"] == f"{BASE}/NamingSystem/nis"
    }
    assert covered == municipalities
    assert "Location/area-23088" in covered


def test_what_erdan_sends_rests_on_itself_and_on_the_region() -> None:
    known = set(region())
    bundle = read(EXAMPLES / "erdan/01-referral-bundle.json")
    own = {entry["fullUrl"] for entry in bundle["entry"]}
    names = {entry["request"]["url"] for entry in bundle["entry"]}
    for entry in bundle["entry"]:
        assert set(references(entry["resource"])) <= own | known
    for path in sorted((EXAMPLES / "erdan").glob("0[45]-*.json")):
        content = read(path)
        texts = references({"list": content} if isinstance(content, list) else content)
        assert set(texts) <= known | names | {
            "Communication/erdan-feedback-parenting",
            "Communication/erdan-feedback-work",
        }


def test_erdans_consent_names_exactly_the_organisations_that_are_asked() -> None:
    resources = [entry["resource"] for entry in read(EXAMPLES / "erdan/01-referral-bundle.json")["entry"]]
    consent = next(one for one in resources if one["resourceType"] == "Consent")
    request = next(one for one in resources if one["resourceType"] == "ServiceRequest")
    named = {actor["reference"]["reference"] for actor in consent["provision"]["actor"]}
    assert named == {performer["reference"] for performer in request["performer"]}
    patient = next(one for one in resources if one["resourceType"] == "Patient")
    assert all("ssin" not in identifier["system"] for identifier in patient["identifier"])


def test_the_files_that_a_story_names_are_there() -> None:
    text = (EXAMPLES / "erdan/README.md").read_text()
    named = set(re.findall(r"`(\d\d-[\w-]+\.json)`", text))
    assert named == {path.name for path in (EXAMPLES / "erdan").glob("*.json")}


@pytest.mark.parametrize(
    "system", [one["id"] for one in Catalog.load().of_type("CodeSystem") if one["id"] != "issue-key"]
)
def test_each_code_is_named_in_four_languages_and_has_its_value_set(system: str) -> None:
    catalog = Catalog.load()
    resource = catalog.get("CodeSystem", f"{BASE}/CodeSystem/{system}")
    assert resource is not None
    for _, concept in walk(resource["concept"], ""):
        if "code" in concept:
            named = {one["language"] for one in concept["designation"]} | {resource["language"]}
            assert named == {"nl", "fr", "en", "de"}, concept["code"]
    assert catalog.resolve(resource["valueSet"]) is not None
