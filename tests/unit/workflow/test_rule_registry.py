"""Each rule key is registered, raised somewhere, and proved by a test."""

import json
import re
from pathlib import Path

import pytest

from fhir_server.workflow import keys
from fhir_server.workflow.codes import STATUS_REASON, STATUS_REASONS
from fhir_server.workflow.events import TOPICS
from fhir_server.workflow.keys import RULES, refusal, sentence, violation

_TESTS = Path(__file__).parent
_CODE = Path(keys.__file__).parent
_TERMINOLOGY = _CODE.parents[1] / "terminology" / "code-systems"
_KEY = re.compile(r'"([a-z]+(?:-[a-z]+)+)"')


def _named_in(folder: Path, *without: str) -> set[str]:
    files = [path for path in folder.glob("*.py") if path.name not in without]
    return {name for path in files for name in _KEY.findall(path.read_text(encoding="utf-8"))}


def test_every_rule_is_raised_and_tested() -> None:
    assert set(RULES) <= _named_in(_CODE, "keys.py")
    assert set(RULES) <= _named_in(_TESTS, "test_rule_registry.py")


def test_every_rule_topic_and_reason_is_explained() -> None:
    assert all(text.endswith(".") and len(text) > 20 for text in (*RULES.values(), *TOPICS.values()))
    assert all(STATUS_REASONS.values())


def test_the_coded_reasons_are_those_of_the_code_system_that_is_published() -> None:
    published = json.loads((_TERMINOLOGY / "CodeSystem-status-reason.json").read_text(encoding="utf-8"))
    assert published["url"] == STATUS_REASON
    assert {one["code"]: one["display"] for one in published["concept"]} == STATUS_REASONS


def test_every_key_is_published_for_clients_to_branch_on() -> None:
    published = json.loads((_TERMINOLOGY / "CodeSystem-issue-key.json").read_text(encoding="utf-8"))
    assert set(RULES) <= {one["code"] for one in published["concept"]}


def test_a_key_outside_the_registry_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        violation("verzonnen", "x", "Task")
    with pytest.raises(KeyError):
        refusal("verzonnen", "x")


def test_names_are_joined_for_a_sentence() -> None:
    assert [sentence(names) for names in ((), ("a",), ("a", "b"), ("a", "b", "c"))] == ["", "a", "a or b", "a, b or c"]
