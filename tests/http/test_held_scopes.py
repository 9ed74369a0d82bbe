"""Scopes that bound reading and searching apart, and what two scopes have in common."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fhir_server.access.scopes import narrowed, parse_scopes, render_scopes
from tests.property.access_world import CALLERS, World, furnish, opened


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A practice whose token lets it read what is final and search what was amended."""
    token = parse_scopes("system/Observation.r?status=final system/Observation.s?status=amended")
    monkeypatch.setitem(CALLERS, "apart", replace(CALLERS["gp"], scopes=token))
    with opened(tmp_path_factory.mktemp("scopes")) as made:
        furnish(made)
        for status in ("final", "amended"):
            made.put({"resourceType": "Observation", "id": status, "status": status}, "", writer="gp")
        yield made


def test_each_way_of_asking_shows_what_its_own_scope_says(world: World) -> None:
    assert [world.ask("gp", "GET", f"Observation/{one}").status for one in ("final", "amended")] == [200, 200]
    assert [world.ask("apart", "GET", f"Observation/{one}").status for one in ("final", "amended")] == [200, 404]
    found = json.loads(world.ask("apart", "GET", "Observation?_id=final,amended").body)
    assert [one["resource"]["id"] for one in found["entry"]] == ["amended"]


@pytest.mark.parametrize(
    ("asked", "allowed", "common"),
    [
        ("system/Task.rs", "system/Task.rus", "system/Task.rs"),
        ("system/*.cruds", "system/Task.rs", "system/Task.rs"),
        ("system/Task.c", "system/Task.rs", ""),
        ("system/*.d", "system/Task.rs", ""),
        ("system/Task.rs", "system/Patient.rs", ""),
        ("user/Task.rs", "system/Task.rs", ""),
        ("system/Task.r?status=requested", "system/Task.rs?owner=Organization/1", "system/Task.r?status=requested&owner=Organization/1"),
    ],
)  # fmt: skip
def test_two_scopes_have_in_common_what_both_allow(asked: str, allowed: str, common: str) -> None:
    assert render_scopes(narrowed(parse_scopes(asked), parse_scopes(allowed))) == common


@pytest.mark.parametrize(
    ("where", "seen"),
    [
        ("subject.name=ann", {"of-ann"}), ("subject:Patient.name=ann", {"of-ann"}), ("subject.name=nobody", set()),
        ("_has:Provenance:target:recorded=ge2000", set()), ("subject=Patient/amy", {"of-ann"}), ("subject:missing=true", {"of-none"}),
    ],
)  # fmt: skip
def test_a_scope_may_look_at_what_a_resource_refers_to(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str, seen: set[str]
) -> None:
    monkeypatch.setitem(
        CALLERS, "chained", replace(CALLERS["gp"], scopes=parse_scopes(f"system/Observation.rs?{where}"))
    )
    of_ann = {"resourceType": "Observation", "id": "of-ann", "status": "final", "subject": {"reference": "Patient/amy"}}
    world.put({"resourceType": "Patient", "id": "amy", "name": [{"given": ["Ann"]}]}, "", writer="gp")
    world.put(of_ann, "", writer="gp")
    world.put({"resourceType": "Observation", "id": "of-none", "status": "final"}, "", writer="gp")
    found = json.loads(world.ask("chained", "GET", "Observation?_id=of-ann,of-none").body)
    assert {one["resource"]["id"] for one in found.get("entry", ())} == seen
    statuses = {one: world.ask("chained", "GET", f"Observation/{one}").status for one in ("of-ann", "of-none")}
    assert {one for one, status in statuses.items() if status == 200} == seen


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        ("system/Task.rs?overdue=true", "present"), ("system/Task.rs?authored-on=ap2026", "present"),
        ("system/Task.rs?code:in=http://x.test/vs", "value set"), ("system/Task.rs?_count=5", "shapes"),
    ],
)  # fmt: skip
def test_a_scope_that_would_not_mean_the_same_tomorrow_is_refused_by_name(
    world: World, monkeypatch: pytest.MonkeyPatch, scope: str, told: str
) -> None:
    monkeypatch.setitem(CALLERS, "passing", replace(CALLERS["gp"], scopes=parse_scopes(scope)))
    for path in ("Task", "Task/t-ann"):
        answer = world.ask("passing", "GET", path)
        assert answer.status == 403
        assert all(text in answer.body for text in (b"scope-insufficient", scope.encode(), told.encode())), answer.body
