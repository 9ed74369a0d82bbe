"""A setting that nothing reads would be a promise that nobody keeps."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from fhir_server.settings import Settings

PACKAGE = Path(__file__).parents[2] / "fhir_server"
DERIVED = {
    "store": "store_path",
    "artifact_root": "artifacts",
    "base_url": "public_base",
    "audit_reads": "read_audit",
    "enforce_access": "access_enforced",
    "cursor_key": "signing_key",
    "cursor_key_file": "signing_key",
    "master_key_file": "master_keys",
}
"""Settings that are read through a property or method of Settings."""


@pytest.mark.parametrize("name", [item.name for item in fields(Settings)])
def test_a_setting_is_read_by_the_code_that_it_steers(name: str) -> None:
    read = re.compile(rf"\bsettings\.{DERIVED.get(name, name)}\b")
    sources = (path for path in PACKAGE.rglob("*.py") if path.parent.name != "settings")
    assert any(read.search(path.read_text(encoding="utf-8")) for path in sources)
