"""Deletions and versions of others: what a caller sees of them, and that many of them hide nothing of one's own."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.property.access_world import World, furnish, opened

PLACE = "Observation/info-ann"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Ann's finding was deleted; a finding that only the other practice sees was changed more often than is read at once."""
    with opened(tmp_path_factory.mktemp("world")) as made:
        furnish(made)
        assert made.ask("gp", "DELETE", PLACE).status == 204
        for _ in range(230):
            made.put({"resourceType": "Observation", "id": "noise", "status": "final"}, "", writer="gp2")
        yield made


def listed(world: World, caller: str, url: str) -> list[str]:
    answer = world.ask(caller, "GET", url)
    assert answer.status == 200, answer.body
    entries: list[dict[str, Any]] = json.loads(answer.body).get("entry", [])
    return [f"{one['request']['method']} {one['request']['url']}" for one in entries]


@pytest.mark.parametrize("caller", ["gp", "ann"])
def test_who_could_tell_from_the_resource_that_it_was_is_told_that_it_is_gone(world: World, caller: str) -> None:
    assert world.ask(caller, "GET", PLACE).status == 410
    assert listed(world, caller, f"{PLACE}/_history") == [f"DELETE {PLACE}", f"PUT {PLACE}"]
    assert f"DELETE {PLACE}" in listed(world, caller, "Observation/_history")
    assert [world.ask(caller, "GET", f"{PLACE}/_history/{number}").status for number in (1, 2)] == [200, 410]


@pytest.mark.parametrize("caller", ["gp2", "cbo", "cbo2", "worker", "operator"])
def test_to_others_what_was_deleted_is_as_absent_as_what_never_was(world: World, caller: str) -> None:
    for place in (PLACE, f"{PLACE}/_history", f"{PLACE}/_history/1", f"{PLACE}/_history/2"):
        there = world.ask(caller, "GET", place)
        never = world.ask(caller, "GET", place.replace("info-ann", "none-ann"))
        assert there.status == never.status == 404
        assert there.body.replace(b"info-ann", b"?") == never.body.replace(b"none-ann", b"?")
    assert not [one for one in listed(world, caller, "Observation/_history") if "info-ann" in one]


def test_versions_of_others_between_ones_own_are_passed_over(world: World) -> None:
    own = ["DELETE Observation/info-ann", "PUT Observation/apart-ann", "PUT Observation/info-ann"]
    assert listed(world, "gp", "Observation/_history") == own
    assert listed(world, "gp", "Observation/_history?_count=1") == own[:1]
    assert listed(world, "gp2", "Observation/_history?_count=500").count("PUT Observation/noise") == 230
