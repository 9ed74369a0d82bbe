"""JSON Patch, and which kind of patch a content type tells."""

import json
from copy import deepcopy
from decimal import Decimal
from typing import Any

import jsonpatch
import pytest

from fhir_server.interactions.patch_documents import PatchKind, apply_json_patch, patch_kind
from fhir_server.model.codec import decode, decode_resource, encode
from fhir_server.model.errors import FhirError, Malformed, RuleViolated, TooCostly, UnsupportedMediaType

DOC: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "active": True,
    "name": [{"family": "Jansen", "given": ["Mia", "Roos"]}, {"family": "Peeters"}],
    "a/b~c": {"x": 1},
    "": "empty",
}
APPLIED: list[list[dict[str, Any]]] = [
    [],
    [{"op": "add", "path": "/gender", "value": "female"}],
    [{"op": "add", "path": "/active", "value": False}],
    [{"op": "add", "path": "/name/0", "value": {"family": "X"}}],
    [{"op": "add", "path": "/name/-", "value": {"family": "X"}}],
    [{"op": "add", "path": "/name/2", "value": {"family": "X"}}],
    [{"op": "add", "path": "/a~1b~0c/y", "value": [1]}],
    [{"op": "remove", "path": "/name/0/given/1"}],
    [{"op": "remove", "path": "/active"}, {"op": "remove", "path": "/name"}],
    [{"op": "replace", "path": "/name/0/family", "value": "Y"}],
    [{"op": "replace", "path": "/", "value": "Y"}],
    [{"op": "replace", "path": "", "value": {"resourceType": "Task"}}],
    [{"op": "move", "from": "/name/0", "path": "/name/1"}],
    [{"op": "move", "from": "/name/0/given", "path": "/name/1/given"}],
    [{"op": "move", "from": "/active", "path": "/active"}],
    [{"op": "copy", "from": "/name/0", "path": "/name/-"}, {"op": "replace", "path": "/name/0/family", "value": "Z"}],
    [{"op": "test", "path": "/name/0/given", "value": ["Mia", "Roos"]}, {"op": "remove", "path": "/name/1"}],
    [{"op": "test", "path": "/a~1b~0c", "value": {"x": 1}}],
    [{"op": "add", "path": "/x", "value": None}, {"op": "test", "path": "/x", "value": None}],
]


@pytest.mark.parametrize("patch", APPLIED, ids=json.dumps)
def test_json_patch_agrees_with_another_implementation_and_changes_no_argument(patch: list[dict[str, Any]]) -> None:
    document, operations = deepcopy(DOC), deepcopy(patch)
    assert apply_json_patch(document, operations) == jsonpatch.apply_patch(DOC, patch)
    assert document == DOC
    assert operations == patch


def test_json_patch_keeps_what_it_adds_apart_from_the_document() -> None:
    operations = [{"op": "add", "path": "/x", "value": {"y": 1}}, {"op": "add", "path": "/x/z", "value": 2}]
    assert apply_json_patch(DOC, operations)["x"] == {"y": 1, "z": 2}
    assert operations[0]["value"] == {"y": 1}


def test_json_patch_keeps_decimals_as_they_were_written() -> None:
    before = decode_resource(b'{"resourceType":"Observation","valueQuantity":{"value":72.50},"x":1E3}')
    after = apply_json_patch(
        before, decode(b'[{"op":"add","path":"/y","value":1.00},{"op":"copy","from":"/x","path":"/z"}]')
    )
    assert encode(after) == b'{"resourceType":"Observation","valueQuantity":{"value":72.50},"x":1E3,"y":1.00,"z":1E3}'


JSON_REFUSED: list[tuple[Any, type[FhirError], str, str]] = [
    ({}, Malformed, "patch-document", ""),
    ("x", Malformed, "patch-document", ""),
    (["x"], Malformed, "patch-document", "[0]"),
    ([{"path": "/a"}], Malformed, "patch-document", "[0].op"),
    ([{"op": "merge", "path": "/a"}], Malformed, "patch-document", "[0].op"),
    ([{"op": ["add"], "path": "/a"}], Malformed, "patch-document", "[0].op"),
    ([{"op": "add", "path": "/a", "value": 1}, {"op": "add", "value": 1}], Malformed, "patch-document", "[1].path"),
    ([{"op": "add", "path": "/a"}], Malformed, "patch-document", "[0].value"),
    ([{"op": "replace", "path": "/active"}], Malformed, "patch-document", "[0].value"),
    ([{"op": "move", "path": "/a"}], Malformed, "patch-document", "[0].from"),
    ([{"op": "add", "path": "a", "value": 1}], Malformed, "patch-document", "[0].path"),
    ([{"op": "add", "path": 5, "value": 1}], Malformed, "patch-document", "[0].path"),
    ([{"op": "add", "path": "/a~2", "value": 1}], Malformed, "patch-document", "[0].path"),
    ([{"op": "copy", "from": "/a~", "path": "/b"}], Malformed, "patch-document", "[0].from"),
    ([{"op": "move", "from": "/name", "path": "/name/0"}], Malformed, "patch-document", "[0].path"),
    ([{"op": "remove", "path": "/nothing"}], RuleViolated, "patch-path", "[0].path"),
    ([{"op": "remove", "path": ""}], RuleViolated, "patch-path", "[0].path"),
    ([{"op": "remove", "path": "/name/2"}], RuleViolated, "patch-path", "[0].path"),
    ([{"op": "remove", "path": "/name/-"}], RuleViolated, "patch-path", "[0].path"),
    ([{"op": "remove", "path": "/name/00"}], RuleViolated, "patch-path", "[0].path"),
    ([{"op": "remove", "path": "/name/-1"}], RuleViolated, "patch-path", "[0].path"),
    ([{"op": "replace", "path": "/name/x", "value": 1}], RuleViolated, "patch-path", "[0].path"),
    ([{"op": "replace", "path": "/nothing", "value": 1}], RuleViolated, "patch-path", "[0].path"),
    ([{"op": "add", "path": "/name/3", "value": 1}], RuleViolated, "patch-path", "[0].path"),
    ([{"op": "add", "path": "/name/" + "9" * 5000, "value": 1}], RuleViolated, "patch-path", "[0].path"),
    ([{"op": "add", "path": "/active/x", "value": 1}], RuleViolated, "patch-path", "[0].path"),
    ([{"op": "add", "path": "/no/x", "value": 1}], RuleViolated, "patch-path", "[0].path"),
    ([{"op": "copy", "from": "/no", "path": "/x"}], RuleViolated, "patch-path", "[0].from"),
    ([{"op": "move", "from": "/no", "path": "/x"}], RuleViolated, "patch-path", "[0].from"),
    ([{"op": "replace", "path": "", "value": 1}], RuleViolated, "patch-path", ""),
    ([{"op": "test", "path": "/active", "value": 1}], RuleViolated, "patch-test-failed", "[0].value"),
    ([{"op": "test", "path": "/a~1b~0c/x", "value": True}], RuleViolated, "patch-test-failed", "[0].value"),
    ([{"op": "test", "path": "/name/1", "value": {}}], RuleViolated, "patch-test-failed", "[0].value"),
    ([{"op": "test", "path": "/no", "value": 1}], RuleViolated, "patch-path", "[0].path"),
    ([{"op": "test", "path": "", "value": {}}] * 1001, TooCostly, "too-costly", ""),
]


@pytest.mark.parametrize(
    ("patch", "error", "key", "expression"), JSON_REFUSED, ids=[str(row[0])[:60] for row in JSON_REFUSED]
)
def test_json_patch_is_refused_whole(patch: Any, error: type[FhirError], key: str, expression: str) -> None:
    document = deepcopy(DOC)
    with pytest.raises(error) as caught:
        apply_json_patch(document, patch)
    issue = caught.value.issues[0]
    assert (issue.key, issue.expression) == (key, expression)
    assert document == DOC


def test_json_patch_compares_numbers_by_value() -> None:
    assert apply_json_patch({"v": Decimal("1.0")}, [{"op": "test", "path": "/v", "value": 1}]) == {"v": Decimal("1.0")}


def test_copies_of_copies_are_bounded() -> None:
    doubling = [{"op": "copy", "from": "/x", "path": "/x/-"}] * 60
    with pytest.raises(TooCostly):
        apply_json_patch({"x": [1, 2, 3]}, doubling)


def test_a_result_that_nests_too_deep_is_refused() -> None:
    deep: Any = 1
    for _ in range(60):
        deep = {"a": deep}
    moves = [{"op": "add", "path": "/b" + "/a" * 59 + "/c", "value": deep}]
    with pytest.raises(Malformed) as caught:
        apply_json_patch({"b": deep}, moves)
    assert caught.value.issues[0].key == "too-deep"


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("application/json-patch+json", PatchKind.JSON_PATCH),
        ("Application/JSON-Patch+JSON; charset=utf-8", PatchKind.JSON_PATCH),
        ("application/fhir+json; fhirVersion=4.0", PatchKind.FHIRPATH_PATCH),
        ("application/json", PatchKind.FHIRPATH_PATCH),
    ],
)
def test_the_content_type_tells_the_kind(header: str, kind: PatchKind) -> None:
    assert patch_kind(header) is kind


@pytest.mark.parametrize("header", ["", "application/merge-patch+json", "application/xml-patch+xml", "text/plain"])
def test_other_content_types_are_refused(header: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        patch_kind(header)
