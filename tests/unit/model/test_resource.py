"""Accessors of resources, and where the server writes its own fields."""

from copy import deepcopy
from typing import Any

import pytest

from fhir_server.model.resource import profiles, type_and_id, walk, with_server_fields

OWN = ("id9", 3, "2026-11-22T10:00:00.000Z")
META = {"versionId": "3", "lastUpdated": OWN[2]}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"resourceType": "Task"}, [("resourceType", "Task"), ("id", "id9"), ("meta", META)]),
        ({"resourceType": "Task", "status": "draft"}, [("resourceType", "Task"), ("id", "id9"), ("meta", META), ("status", "draft")]),
        ({"status": "draft", "resourceType": "Task"}, [("status", "draft"), ("resourceType", "Task"), ("id", "id9"), ("meta", META)]),
        ({"resourceType": "Task", "id": "old", "x": 1}, [("resourceType", "Task"), ("meta", META), ("id", "id9"), ("x", 1)]),
        ({"meta": {}, "x": 1, "id": "old", "resourceType": "Task"}, [("meta", META), ("x", 1), ("id", "id9"), ("resourceType", "Task")]),
        ({"resourceType": "Task", "meta": "wrong"}, [("resourceType", "Task"), ("id", "id9"), ("meta", META)]),
    ],
)  # fmt: skip
def test_server_fields_stand_in_their_place_and_the_rest_in_the_order_it_was_sent(
    sent: dict[str, Any], expected: list[tuple[str, Any]]
) -> None:
    before = deepcopy(sent)
    placed = with_server_fields(sent, *OWN)
    assert dict(placed) == dict(expected)
    order = [name for name, _ in expected]
    assert [name for name in placed if name not in ("id", "meta")] == [
        name for name in order if name not in ("id", "meta")
    ]
    assert sent == before


def test_absent_server_fields_follow_the_type() -> None:
    assert list(with_server_fields({"x": 1, "resourceType": "Task", "y": 2}, *OWN)) == [
        "x",
        "resourceType",
        "id",
        "meta",
        "y",
    ]


@pytest.mark.parametrize(
    ("meta", "names"),
    [
        ({"profile": ["p"], "tag": []}, ["versionId", "lastUpdated", "profile", "tag"]),
        ({"profile": ["p"], "versionId": "1", "lastUpdated": "x"}, ["profile", "versionId", "lastUpdated"]),
        ({"lastUpdated": "x", "profile": ["p"]}, ["versionId", "lastUpdated", "profile"]),
    ],
)
def test_meta_keeps_what_the_client_owns(meta: dict[str, Any], names: list[str]) -> None:
    placed = with_server_fields({"resourceType": "Task", "meta": meta}, *OWN)["meta"]
    assert list(placed) == names
    assert placed["profile"] == ["p"]
    assert (placed["versionId"], placed["lastUpdated"]) == ("3", OWN[2])


def test_claims_are_canonicals_without_version() -> None:
    assert profiles({"meta": {"profile": ["http://a|1.0", "http://b", None]}}) == ("http://a", "http://b")
    for odd in ({}, {"meta": []}, {"meta": {}}, {"meta": {"profile": "x"}}):
        assert profiles(odd) == ()


def test_a_stored_resource_is_named_by_type_and_id() -> None:
    assert type_and_id({"resourceType": "Task", "id": "1"}) == "Task/1"


def test_a_walk_meets_every_object_with_its_path() -> None:
    resource = {"resourceType": "Task", "note": [{"text": "a"}, [{"b": {}}]], "owner": {"reference": "x"}}
    assert [path for path, _ in walk(resource, "Task")] == [
        "Task",
        "Task.note[0]",
        "Task.note[1][0]",
        "Task.note[1][0].b",
        "Task.owner",
    ]
