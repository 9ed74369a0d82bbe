"""Documents agree with the code and with the files they point to."""

import re
import tomllib
from pathlib import Path

import pytest

from fhir_server import __version__
from fhir_server.cli import main
from fhir_server.cli.config import settings_table
from fhir_server.workflow.document import referral_document

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for pattern in ("*.md", "docs/**/*.md") for path in ROOT.glob(pattern))


def test_the_settings_table_is_made_from_the_code() -> None:
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_table(), "run `make docs`"


def test_the_referral_document_is_made_from_the_rules() -> None:
    assert (ROOT / "docs" / "referral.md").read_text(encoding="utf-8") == referral_document(), "run `make docs`"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_inside_the_repository_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text):
        assert ((ROOT / document).parent / target).exists(), f"{document} links to {target}"


def test_the_changelog_has_a_line_for_what_is_not_released_yet() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    unreleased = text.split("## [Unreleased]")[1].split("\n## [")[0]
    assert re.search(r"^- \S", unreleased, re.MULTILINE)


def test_every_decision_record_says_context_decision_and_consequences() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [record.name[:4] for record in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for record in records:
        text = record.read_text(encoding="utf-8")
        for heading in ("## Context", "## Decision", "## Consequences"):
            assert heading in text, f"{record.name} lacks {heading}"


def test_every_direct_dependency_has_its_reason_in_a_decision_record() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    records = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "adr").glob("*.md"))
    for requirement in project["dependencies"]:
        name = re.split(r"[<>=;\s\[]", requirement)[0]
        assert re.search(rf"\b{re.escape(name)}\b", records), f"no ADR says what {name} is for"


def test_every_direct_dependency_is_locked_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {"runtime.txt": project["project"]["dependencies"], "dev.txt": project["dependency-groups"]["dev"]}
    for file, requirements in wanted.items():
        lock = (ROOT / "requirements" / file).read_text(encoding="utf-8")
        for requirement in requirements:
            name = re.split(r"[<>=;\s\[]", requirement)[0].replace(".", "-")
            assert re.search(rf"^{re.escape(name)}==\S+.*\\\n    --hash=sha256:", lock, re.MULTILINE), (
                f"{name} in {file}"
            )


def test_the_readme_names_every_command_and_every_target_that_users_need() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in main.commands:
        assert f"fhir-server {command}" in readme
    for target in ("make demo", "make test"):
        assert target in readme


def test_every_make_target_that_a_document_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for document in DOCUMENTS:
        text = (ROOT / document).read_text(encoding="utf-8")
        for target in re.findall(r"`make ([a-z-]+)", text):
            assert target in targets, f"{document} names make {target}"


def test_the_version_is_the_one_that_is_packed() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
