"""The project's own artefacts and examples are in order, and the check finds what is planted."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fhir_server.check import run_check

ROOT = Path(__file__).parents[2]
FOLDERS = ("profiles", "terminology", "mappings", "examples")


def test_everything_that_the_project_publishes_is_in_order() -> None:
    assert [str(finding) for finding in run_check(ROOT)] == []


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def edit(path: str, change: Callable[[Any], object]) -> Callable[[Path], None]:
    def planted(root: Path) -> None:
        file = root / path
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))

    return planted


def new(path: str, content: str) -> Callable[[Path], None]:
    def planted(root: Path) -> None:
        (root / path).write_text(content)

    return planted


def gone(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).unlink()


def element(content: dict[str, Any], element_id: str) -> dict[str, Any]:
    return next(one for one in content["differential"]["element"] if one["id"] == element_id)


REFERRAL = "profiles/structure-definitions/StructureDefinition-social-referral.json"
TASK = "profiles/structure-definitions/StructureDefinition-referral-task.json"
NEED = "terminology/code-systems/CodeSystem-social-need.json"
THEMES = "terminology/value-sets/ValueSet-wellbeing-theme.json"
GRAVITY = "terminology/concept-maps/ConceptMap-social-need-to-gravity.json"
DUE = "profiles/search-parameters/SearchParameter-Task-due.json"
TYPICAL = "examples/profiles/social-referral-typical.json"
INVALID = "examples/invalid/social-referral-status-unknown"
UNCONSENTED = "examples/invalid/social-referral-without-consent"

PLANTED = [
    (new("profiles/extensions/notes.md", "x"), "profiles/extensions/notes.md", "artifact-extension"),
    (edit(NEED, lambda c: c.pop("description")), NEED, "artifact-incomplete"),
    (edit(NEED, lambda c: c.update(statuss="active")), NEED, "unknown-element"),
    (edit(NEED, lambda c: c.update(count=3)), NEED, "code-count"),
    (edit(NEED, lambda c: c["concept"].append({"code": "parenting"})), NEED, "code-twice"),
    (edit(NEED, lambda c: c.update(valueSet=f"{c['url']}s")), NEED, "canonical-dangling"),
    (
        edit(THEMES, lambda c: c["compose"]["include"][0]["filter"][0].update(value="wellbeing")),
        THEMES,
        "code-unknown",
    ),
    (edit(THEMES, lambda c: c["compose"]["include"][0]["filter"][0].update(value="nature")), THEMES, "value-set-empty"),
    (
        edit(THEMES, lambda c: c["compose"]["include"][0]["filter"][0].update(op="regex")),
        "terminology",
        "terminology-unsupported",
    ),
    (edit(GRAVITY, lambda c: c["group"][0]["element"][0].update(code="poverty")), GRAVITY, "code-unknown"),
    (edit(DUE, lambda c: c.update(expression="Task.restriction.period.nothing(")), DUE, "expression-invalid"),
    (
        edit(REFERRAL, lambda c: element(c, "ServiceRequest.subject").update(path="ServiceRequest.subjekt")),
        REFERRAL,
        "element-unknown",
    ),
    (edit(REFERRAL, lambda c: element(c, "ServiceRequest.status").update(min=0)), REFERRAL, "cardinality-widened"),
    (edit(REFERRAL, lambda c: element(c, "ServiceRequest.subject").update(max="2")), REFERRAL, "cardinality-widened"),
    (edit(REFERRAL, lambda c: element(c, "ServiceRequest.subject").update(min=2)), REFERRAL, "cardinality-empty"),
    (
        edit(REFERRAL, lambda c: element(c, "ServiceRequest.occurrence[x]")["type"][0].update(code="string")),
        REFERRAL,
        "type-widened",
    ),
    (
        edit(
            REFERRAL,
            lambda c: element(c, "ServiceRequest.subject")["type"][0].update(
                targetProfile=["http://hl7.org/fhir/StructureDefinition/Practitioner"]
            ),
        ),
        REFERRAL,
        "target-widened",
    ),
    (
        edit(REFERRAL, lambda c: c["differential"]["element"][0]["constraint"][0].update(expression="nope()")),
        REFERRAL,
        "expression-invalid",
    ),
    (
        edit(REFERRAL, lambda c: c["differential"]["element"][0]["constraint"][0].update(key="srt-1")),
        REFERRAL,
        "constraint-key-twice",
    ),
    (
        edit(TASK, lambda c: c["differential"]["element"].append(c["differential"]["element"][3])),
        TASK,
        "sdf-17",
    ),
    (edit(TASK, lambda c: element(c, "Task.status")["binding"].update(strength="preferred")), TASK, "binding-weakened"),
    (gone("mappings/mapping.schema.json"), "mappings/mapping.schema.json", "mapping-schema"),
    (new("mappings/mapping.schema.json", '{"type": 3}'), "mappings/mapping.schema.json", "mapping-schema"),
    (new("examples/erdan/story.txt", "x"), "examples/erdan/story.txt", "example-extension"),
    (new("examples/erdan/08.json", "{"), "examples/erdan/08.json", "example-unreadable"),
    (new("examples/erdan/08.json", '{"a": 1}'), "examples/erdan/08.json", "example-shape"),
    (new("examples/erdan/08.json", '[{"op": "put", "path": "/status"}]'), "examples/erdan/08.json", "example-patch"),
    (edit(TYPICAL, lambda c: c.update(intent="wish")), TYPICAL, "required-binding"),
    (edit(TYPICAL, lambda c: c.pop("supportingInfo")), TYPICAL, "ssr-1"),
    (edit(TYPICAL, lambda c: c["category"][0]["coding"][0].update(code="opvoeding")), TYPICAL, "code-unknown"),
    (
        edit(TYPICAL, lambda c: c["meta"]["profile"].append(c["meta"]["profile"][0] + "s")),
        TYPICAL,
        "canonical-dangling",
    ),
    (gone(f"{INVALID}.issue.json"), f"{INVALID}.json", "example-unpaired"),
    (gone(f"{INVALID}.json"), f"{INVALID}.issue.json", "example-unpaired"),
    (edit(f"{INVALID}.issue.json", lambda c: c.pop("level")), f"{INVALID}.issue.json", "example-issue"),
    (edit(f"{INVALID}.json", lambda c: c.update(status="active")), f"{INVALID}.issue.json", "example-verdict"),
    (
        edit(f"{UNCONSENTED}.json", lambda c: c.update(status="banana")),
        f"{UNCONSENTED}.issue.json",
        "example-verdict",
    ),
    (edit(f"{UNCONSENTED}.json", lambda c: c.update(status="draft")), f"{UNCONSENTED}.issue.json", "example-verdict"),
]


@pytest.mark.parametrize(("plant", "path", "key"), PLANTED, ids=[f"{key}-{path[-24:]}" for _, path, key in PLANTED])
def test_what_is_planted_is_found(copy: Path, plant: Callable[[Path], None], path: str, key: str) -> None:
    plant(copy)
    assert (path, key) in {(finding.path, finding.key) for finding in run_check(copy)}
