"""The matrix of access on MongoDB: the same world, each way of asking once, so that both stores answer alike."""

import secrets
from collections.abc import Iterator

import pytest

from fhir_server.app import build_engine
from fhir_server.settings import Settings
from tests.contract.store.mongo_server import NAMED, running
from tests.property.access_grabs import REFERRALS
from tests.property.access_world import World, furnish
from tests.property.test_access_grabs import prey, run, seen
from tests.property.test_access_matrix import filled, holds, is_shown, unlike

CALLERS = ["gp2", "cbo", "worker", "ann"]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running() as server:
        store = f"{NAMED or server.url}/access_{secrets.token_hex(4)}"
        made = World(
            build_engine(Settings(store=store, enforce_access=True, publish_artifacts=False, audit_reads="off"))
        )
        furnish(made)
        made.link()
        yield made
        made.close()


@pytest.mark.parametrize("caller", CALLERS)
def test_each_resource_is_read_by_whoever_is_to_see_it(world: World, caller: str) -> None:
    wrong = [
        thing.key
        for thing in world.things.values()
        if (world.ask(caller, "GET", thing.key).status == 200) != (caller in thing.seen_by)
    ]
    assert wrong == []


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("way", ["{type}?_id:not=absent&_count=1000", "_history?_count=1000"])
def test_a_listing_holds_what_is_seen(world: World, caller: str, way: str) -> None:
    assert unlike(world, caller, way) == []


@pytest.mark.parametrize("caller", ["cbo", "worker"])
def test_a_link_leads_only_from_what_is_seen_to_what_is_seen(world: World, caller: str) -> None:
    wrong = []
    for source, param, target in world.edges[::8]:
        both = caller in source.seen_by and caller in target.seen_by
        chain = f"{source.type}?_id={source.id}&{param}:{target.type}._id={target.id}"
        reverse = f"{target.type}?_id={target.id}&_has:{source.type}:{param}:_id={source.id}"
        wrong += [
            (url, both)
            for url, shown in ((chain, source), (reverse, target))
            if is_shown(world, caller, shown, url) != both
        ]
    assert wrong == []


@pytest.mark.parametrize("caller", ["cbo"])
def test_a_total_and_a_bundle_count_what_is_seen(world: World, caller: str) -> None:
    wrong = []
    for thing in list(world.things.values())[::3]:
        expected = caller in thing.seen_by
        if world.ask(caller, "GET", filled("{type}?_id={id}&_summary=count", thing)).total != expected:
            wrong.append(thing.key)
        entry = {"request": {"method": "GET", "url": f"{thing.type}?_id={thing.id}"}}
        sent = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
        if holds(thing, world.ask(caller, "POST", "", sent)) != expected:
            wrong.append(thing.key)
    assert wrong == []


def test_nobody_comes_to_see_what_it_writes_about(world: World) -> None:
    before = seen(world, "cbo2")
    for way in REFERRALS.values():
        run(world, "cbo2", way(prey("cbo2")))
    assert seen(world, "cbo2") == before
