"""Every interaction and operation is guarded, by construction; and the ways of asking around what is hidden by operations."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server.access.guarded import LETTERS, GuardedSnapshot
from fhir_server.access.guarded_store import GuardedStore
from fhir_server.access.principal import Principal
from fhir_server.interactions import operations
from fhir_server.interactions.operation import Many
from fhir_server.interactions.perform import UNGUARDED, perform, prepare
from fhir_server.interactions.request import Kind, Request, Result
from fhir_server.interactions.routing import Interaction, Routes
from fhir_server.interactions.table import INTERACTIONS
from tests.property.access_world import CALLERS, Answer, Thing, World, furnish, opened

RAW = {
    "break_the_glass.py": "finds the person by a number, whoever saw it before",
    "refer_composed.py": "looks whether a number that it gives is free",
    "suggest.py": "counts needs that nothing fitted, in records of the server's own",
    "validate.py": "makes a Unit of it",
}
"""Modules of operations that touch a unit of work without its guard, and what for."""
_READS = {"search", "current", "version", "history", "changes", "count", "referrers", "records"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with opened(tmp_path_factory.mktemp("operations"), audit_reads="off") as made:
        furnish(made)
        made.link()
        yield made


def test_every_interaction_is_bounded_by_a_scope_or_reads_through_the_guard() -> None:
    plain = {row.code for row in INTERACTIONS if not row.definition}
    assert plain <= {*LETTERS, "capabilities", "transaction"}
    assert set(UNGUARDED) <= {row.code for row in INTERACTIONS if row.definition}


def test_an_operation_that_reads_by_itself_reads_what_its_caller_sees(world: World) -> None:
    """The handler gets another store: whatever an operation does with it, it is guarded, unless it says why not."""
    given: list[Any] = []

    def handler(engine: Any, request: Request, place: Any) -> Many:
        del request, place
        given.append(engine)
        return Many(lambda: engine.store.read(_seen))

    def _seen(snapshot: Any) -> Result:
        assert isinstance(snapshot, GuardedSnapshot)
        return Result(Kind.OK, b"" if snapshot.current("Patient", "ann") is None else b"ann")

    row = Interaction("GET", "$try", "try", "system", handler, "https://example.org/OperationDefinition/try")
    from dataclasses import replace

    engine = replace(world.engine, routes=Routes((row,)))
    answers = {
        caller: perform(engine, Request("GET", "$try", principal=CALLERS[caller])).body for caller in ("gp", "gp2")
    }
    assert answers == {"gp": b"ann", "gp2": b""}
    assert all(isinstance(one.store, GuardedStore) for one in given)
    for code in UNGUARDED:
        named = replace(world.engine, routes=Routes((row._replace(code=code),)))
        prepare(named, Request("GET", "$try", principal=Principal("Organization/gp")))
        assert not isinstance(given[-1].store, GuardedStore)


def test_no_operation_looks_beneath_the_guard_but_those_that_say_why() -> None:
    found = set()
    for path in Path(operations.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in _READS:
                on = node.value
                if (isinstance(on, ast.Attribute) and on.attr == "uow") or (
                    isinstance(on, ast.Name) and on.id == "uow"
                ):
                    found.add(path.name)
    assert found <= set(RAW)


def holds(thing: Thing, answer: Answer) -> bool:
    return f'"{thing.marker}"'.encode() in answer.body


def unlike(world: World, caller: str, pattern: str, *, oracle: str = "") -> list[str]:
    """Return what an answer holds that its caller is not to see, or lacks; `oracle` names who must be seen besides."""
    wrong = []
    for thing in world.things.values():
        url = pattern.format(type=thing.type, id=thing.id, marker=quote(thing.marker), key=quote(thing.key))
        answer = world.ask(caller, "GET", url)
        if oracle and caller not in world.things[oracle].seen_by:
            assert not holds(thing, answer)
        elif (holds(thing, answer)) != (caller in thing.seen_by):
            wrong.append(thing.key)
    return wrong


def feed(world: World, caller: str) -> bytes:
    """Return the whole feed of changes."""
    url, told = "$changes?_count=1000", b""
    for _ in range(20):
        answer = world.ask(caller, "GET", url)
        assert answer.status == 200, answer.body
        told += answer.body
        bundle = json.loads(answer.body)
        following = next(link["url"] for link in bundle["link"] if link["relation"] == "next")
        if not bundle.get("entry"):
            break
        url = following.partition("/fhir/")[2]
    return told


@pytest.mark.parametrize("caller", CALLERS)
def test_the_feed_of_changes_tells_what_is_seen_and_names_nothing_else(world: World, caller: str) -> None:
    told = feed(world, caller)
    wrong = [
        thing.key
        for thing in world.things.values()
        if (f'"{thing.marker}"'.encode() in told) != (caller in thing.seen_by)
        or (caller not in thing.seen_by and f'/{thing.key}"'.encode() in told and not _named(world, caller, thing))
    ]
    assert wrong == []


def _named(world: World, caller: str, thing: Thing) -> bool:
    """Tell whether something that the caller sees refers to a thing."""
    return any(target is thing and caller in source.seen_by for source, _, target in world.edges)


LISTED = {
    "filter": "{type}?_filter=_id%20eq%20{id}%20and%20_source%20eq%20%22{marker}%22",
    "filter denied": "{type}?_filter=not(_id%20eq%20absent)&_id={id}",
    "count none": "{type}?_id={id}&_sort=_id,-_lastUpdated",
    "summary": "{type}?_id={id}&_summary=false",
    "since": "{type}/_history?_since=2020-01-01&_count=1000",
    "since, system": "_history?_since=2020-01-01&_count=1000",
    "at": "{type}/{id}/_history?_at=ge2020",
}


@pytest.mark.parametrize("caller", ["gp", "gp2", "cbo", "cbo2", "worker", "worker2", "ann", "operator", "nobody"])
@pytest.mark.parametrize("way", ["filter", "filter denied", "count none", "summary"])
def test_more_ways_to_search_show_what_is_seen(world: World, caller: str, way: str) -> None:
    assert unlike(world, caller, LISTED[way]) == []


@pytest.mark.parametrize("caller", ["gp", "gp2", "cbo", "worker", "ann", "tester", "nobody"])
def test_a_history_since_a_time_holds_what_is_seen(world: World, caller: str) -> None:
    whole = world.ask(caller, "GET", LISTED["since, system"])
    assert whole.status == 200
    wrong = [one.key for one in world.things.values() if holds(one, whole) != (caller in one.seen_by)]
    for kind in {one.type for one in world.things.values()}:
        answer = world.ask(caller, "GET", LISTED["since"].format(type=kind))
        wrong += [
            one.key
            for one in world.things.values()
            if one.type == kind and holds(one, answer) != (caller in one.seen_by)
        ]
    assert wrong == []


@pytest.mark.parametrize("caller", ["gp", "gp2", "cbo", "late", "worker2", "ben", "nobody"])
def test_two_links_in_a_row_lead_only_through_what_is_seen(world: World, caller: str) -> None:
    """`_has` within `_has`, a chain within `_has`, and `_filter` on a chain: each of the three must be seen."""
    wrong = []
    for middle, up, top in world.edges:
        for low, param, target in world.edges:
            if target is not middle or low.type == "Consent":
                continue
            all_seen = all(caller in one.seen_by for one in (low, middle, top))
            nested = f"{top.type}?_id={top.id}&_has:{middle.type}:{up}:_has:{low.type}:{param}:_id={low.id}"
            chain = f"{low.type}?_id={low.id}&{param}:{middle.type}.{up}:{top.type}._id={top.id}"
            for url, shown in ((nested, top), (chain, low)):
                answer = world.ask(caller, "GET", url)
                assert answer.status == 200, (url, answer.body)
                if holds(shown, answer) != all_seen:
                    wrong.append((url, all_seen))
    assert wrong == []


@pytest.mark.parametrize("caller", ["gp2", "cbo2", "worker2", "ben", "nobody"])
def test_a_list_that_is_hidden_finds_nothing(world: World, caller: str) -> None:
    entries = [{"item": {"reference": thing.key}} for thing in world.things.values() if thing.type == "Observation"]
    world.put({"resourceType": "List", "id": "mine", "entry": entries}, "gp", writer="gp")
    open_to_gp = world.ask("gp", "GET", "Observation?_list=mine")
    assert holds(world.things["Observation/apart-ann"], open_to_gp)
    assert not holds(world.things["Observation/apart-ben"], open_to_gp)
    hidden, absent = (world.ask(caller, "GET", f"Observation?_list={name}") for name in ("mine", "none"))
    del world.things["List/mine"]
    assert hidden.status == absent.status
    assert hidden.total == absent.total
    assert not any(holds(thing, hidden) for thing in world.things.values())


@pytest.mark.parametrize("tag", ['W/"1"', "*", 'W/"2"'])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "GET"])
def test_a_precondition_tells_nothing_of_what_is_hidden(world: World, method: str, tag: str) -> None:
    wrong = []
    for thing in world.things.values():
        if "gp2" in thing.seen_by or thing.type in ("Organization", "PractitionerRole"):
            continue
        sent: list[tuple[int, bytes]] = []
        for identity in (thing.id, "x" * len(thing.id)):
            body: Any = {"resourceType": thing.type, "id": identity} if method == "PUT" else None
            kind = "application/fhir+json"
            if method == "PATCH":
                body, kind = [{"op": "add", "path": "/language", "value": "nl"}], "application/json-patch+json"
            headers = {"if_none_match" if method == "GET" else "if_match": tag, "content_type": kind}
            answer = world.ask("gp2", method, f"{thing.type}/{identity}", body, **headers)
            sent.append((answer.status, answer.body.replace(identity.encode(), b"?")))
        if sent[0] != sent[1]:
            wrong.append((thing.key, sent))
    assert wrong == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_an_entry_that_writes_tells_nothing_of_what_is_hidden(world: World, kind: str, method: str) -> None:
    wrong = []
    for thing in world.things.values():
        if "gp2" in thing.seen_by or thing.type not in ("Patient", "Condition", "Task", "Consent", "ServiceRequest"):
            continue
        for place in ("{type}/{id}", "{type}?_id={id}"):
            told = []
            for identity in (thing.id, "x" * len(thing.id)):
                entry: dict[str, Any] = {
                    "request": {"method": method, "url": place.format(type=thing.type, id=identity)}
                }
                if method == "PUT":
                    entry["resource"] = {"resourceType": thing.type, "id": identity}
                elif method == "PATCH":
                    entry["resource"] = {"resourceType": "Parameters"}
                sent = {"resourceType": "Bundle", "type": kind, "entry": [entry]}
                answer = world.ask("gp2", "POST", "", sent)
                told.append((answer.status, answer.body.replace(identity.encode(), b"?")))
            if told[0] != told[1]:
                wrong.append((place, thing.key, told))
    assert wrong == []


def test_the_plan_of_a_search_is_not_told(world: World) -> None:
    refused = [world.ask("gp", "GET", f"Patient?_id={name}&_explain=true") for name in ("ann", "ben", "none")]
    assert len({(one.status, one.body) for one in refused}) == 1
    assert refused[0].status == 400


@pytest.mark.parametrize("caller", ["gp2", "cbo2", "ben", "nobody"])
def test_sorting_by_what_is_hidden_changes_no_order(world: World, caller: str) -> None:
    """Pages of one row each walk through what is seen, in the same order as one page of all."""
    for kind in ("Task", "Patient", "ServiceRequest", "Condition"):
        whole = json.loads(world.ask(caller, "GET", f"{kind}?_sort=-_lastUpdated&_count=1000").body)
        ids = [entry["resource"]["id"] for entry in whole.get("entry", ())]
        url, walked = f"{kind}?_sort=-_lastUpdated&_count=1", []
        while url:
            page = json.loads(world.ask(caller, "GET", url).body)
            walked += [entry["resource"]["id"] for entry in page.get("entry", ())]
            following = [link["url"] for link in page["link"] if link["relation"] == "next"]
            url = following[0].partition("/fhir/")[2] if following else ""
        assert walked == ids
        assert set(ids) == {one.id for one in world.things.values() if one.type == kind and caller in one.seen_by}
