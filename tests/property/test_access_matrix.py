"""The matrix of issue 5: caller x resource x way of asking. What a caller is to see was written down by hand."""

from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest

from fhir_server.artifacts import r4
from tests.property.access_world import CALLERS, Answer, Thing, World, furnish, furnish_all_types, opened


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with opened(tmp_path_factory.mktemp("matrix"), audit_reads="off") as made:
        furnish(made)
        made.link()
        yield made


@pytest.fixture(scope="module")
def types_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with opened(tmp_path_factory.mktemp("types"), audit_reads="off") as made:
        furnish_all_types(made, r4.resource_types() - {"AuditEvent"})
        yield made


def holds(thing: Thing, answer: Answer) -> bool:
    """Tell whether an answer holds the resource itself."""
    return f'"{thing.marker}"'.encode() in answer.body


def is_shown(world: World, caller: str, thing: Thing, url: str) -> bool:
    answer = world.ask(caller, "GET", url)
    assert answer.status == 200, (caller, url, answer.body)
    return holds(thing, answer)


INSTANCE = {
    "read": "{type}/{id}",
    "vread": "{type}/{id}/_history/1",
    "history": "{type}/{id}/_history",
    "subset": "{type}/{id}?_elements=id",
}
SEARCHES = {
    "id": "{type}?_id={id}",
    "parameter": "{type}?_source={marker}",
    "filter": "{type}?_filter=_id%20eq%20{id}",
    "system": "?_type={type}&_id={id}",
}
LISTINGS = {
    "not": "{type}?_id:not=absent&_count=1000",
    "sorted": "{type}?_sort=-_lastUpdated&_count=1000",
    "sorted by id": "{type}?_sort=_id&_count=1000",
    "several types": "?_type={type},Basic&_count=1000",
    "history of the type": "{type}/_history?_count=1000",
    "history of the system": "_history?_count=1000",
}
TOTALS = {
    "count": "{type}?_id={id}&_summary=count",
    "total": "{type}?_source={marker}&_total=accurate",
    "none on the page": "{type}?_id={id}&_count=0",
}


def unlike(world: World, caller: str, pattern: str) -> list[str]:
    """Return the resources that a listing of their type shows to a caller who is not to see them, or keeps back."""
    by_type: dict[str, list[Thing]] = {}
    for thing in world.things.values():
        by_type.setdefault(thing.type, []).append(thing)
    wrong = []
    answers: dict[str, Answer] = {}
    for kind, things in by_type.items():
        url = pattern.format(type=kind)
        answer = answers.get(url) or answers.setdefault(url, world.ask(caller, "GET", url))
        wrong += [thing.key for thing in things if holds(thing, answer) != (caller in thing.seen_by)]
    return wrong


def wrongly(world: World, caller: str, shown: Callable[[Thing], int]) -> list[str]:
    """Return the things that are shown to a caller (1, else 0) who is not to see them, or the other way round."""
    return [thing.key for thing in world.things.values() if shown(thing) != (caller in thing.seen_by)]


def filled(pattern: str, thing: Thing) -> str:
    return pattern.format(type=thing.type, id=thing.id, marker=quote(thing.marker))


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("way", INSTANCE)
def test_an_instance_is_there_for_whoever_is_to_see_it_and_for_nobody_else(world: World, caller: str, way: str) -> None:
    pattern = INSTANCE[way]
    assert wrongly(world, caller, lambda one: world.ask(caller, "GET", filled(pattern, one)).status == 200) == []


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("way", SEARCHES)
def test_a_search_finds_what_its_caller_is_to_see_and_nothing_else(world: World, caller: str, way: str) -> None:
    pattern = SEARCHES[way]
    assert wrongly(world, caller, lambda one: is_shown(world, caller, one, filled(pattern, one))) == []


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("way", LISTINGS)
def test_a_listing_holds_all_that_its_caller_is_to_see_and_nothing_else(world: World, caller: str, way: str) -> None:
    assert unlike(world, caller, LISTINGS[way]) == []


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("way", TOTALS)
def test_a_total_counts_what_its_caller_is_to_see(world: World, caller: str, way: str) -> None:
    pattern = TOTALS[way]
    assert wrongly(world, caller, lambda one: world.ask(caller, "GET", filled(pattern, one)).total) == []


@pytest.mark.parametrize("caller", CALLERS)
def test_a_link_leads_only_from_what_is_seen_to_what_is_seen(world: World, caller: str) -> None:
    assert len(world.edges) > 100
    wrong = []
    for source, param, target in world.edges:
        if param == "patient" and source.type not in ("Consent", "RelatedPerson"):
            continue  # the same link as `subject`
        both = caller in source.seen_by and caller in target.seen_by
        chain = f"{source.type}?_id={source.id}&{param}:{target.type}._source={quote(target.marker)}"
        denied = f"{source.type}?_id={source.id}&{param}:{target.type}._id:not=absent"
        reverse = f"{target.type}?_id={target.id}&_has:{source.type}:{param}:_source={quote(source.marker)}"
        included = f"{source.type}?_id={source.id}&_include={source.type}:{param}"
        brought = f"{target.type}?_id={target.id}&_revinclude={source.type}:{param}"
        found = {
            "chain": is_shown(world, caller, source, chain),
            "denied": is_shown(world, caller, source, denied),
            "reverse": is_shown(world, caller, target, reverse),
            "include": is_shown(world, caller, target, included) if source is not target else both,
            "revinclude": is_shown(world, caller, source, brought) if source is not target else both,
        }
        wrong += [(way, source.key, param, target.key) for way, shown in found.items() if shown != both]
    assert wrong == []


@pytest.mark.parametrize("caller", CALLERS)
def test_a_compartment_and_everything_hold_what_is_seen(world: World, caller: str) -> None:
    wrong = []
    for person in ("ann", "ben", "eve"):
        patient = world.things[f"Patient/{person}"]
        members = [source for source, param, target in world.edges if target is patient and param == "patient"]
        record = world.ask(caller, "GET", f"Patient/{person}/$everything")
        assert record.status == (200 if caller in patient.seen_by else 404)
        every = world.ask(caller, "GET", f"Patient/{person}/*?_count=1000")
        for thing in members:
            expected = caller in thing.seen_by
            if holds(thing, record) != (expected and caller in patient.seen_by):
                wrong.append(("everything", thing.key))
            if thing.type != "Task" and holds(thing, every) != expected:
                wrong.append(("compartment", thing.key))
    assert wrong == []


@pytest.mark.parametrize("kind", ["batch", "transaction"])
@pytest.mark.parametrize("caller", CALLERS)
def test_a_bundle_entry_shows_what_a_request_shows(world: World, caller: str, kind: str) -> None:
    wrong = []
    for thing in world.things.values():
        entries = [{"request": {"method": "GET", "url": f"{thing.type}?_id={thing.id}"}}]
        if kind == "batch":
            entries.append({"request": {"method": "GET", "url": thing.key}})
        answer = world.ask(caller, "POST", "", {"resourceType": "Bundle", "type": kind, "entry": entries})
        assert answer.status == 200
        if holds(thing, answer) != (caller in thing.seen_by):
            wrong.append(thing.key)
    assert wrong == []


HIDDEN = [
    ("GET", "{type}/{id}", {}),
    ("HEAD", "{type}/{id}", {}),
    ("GET", "{type}/{id}", {"if_none_match": 'W/"1"'}),
    ("GET", "{type}/{id}/_history/1", {}),
    ("GET", "{type}/{id}/_history", {}),
    ("DELETE", "{type}/{id}", {}),
    ("DELETE", "{type}/{id}", {"if_match": 'W/"1"'}),
    ("GET", "{type}?_id={id}", {}),
    ("GET", "{type}?_id={id}&_include=*", {}),
    ("GET", "{type}/{id}/$everything", {}),
    ("GET", "{type}/{id}/$validate", {}),
    ("POST", "{type}/{id}/$validate?mode=delete", {}),
]


@pytest.mark.parametrize("caller", ["gp2", "cbo2", "late", "worker", "ben", "tester", "nobody"])
def test_what_is_hidden_is_answered_like_what_is_absent(world: World, caller: str) -> None:
    wrong = []
    for thing in world.things.values():
        if caller in thing.seen_by:
            continue
        absent = "x" * len(thing.id)
        for method, pattern, headers in HIDDEN:
            one = world.ask(caller, method, pattern.format(type=thing.type, id=thing.id), **headers)
            other = world.ask(caller, method, pattern.format(type=thing.type, id=absent), **headers)
            if alike(one, thing.id) != alike(other, absent):
                wrong.append((method, pattern, thing.key, one, other))
    assert wrong == []


def alike(answer: Answer, identity: str) -> tuple[int, dict[str, str], bytes]:
    """Return what of an answer must not differ; the ETag of a page is a digest that its URL goes into."""
    told = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
    if "etag" in told and b'"searchset"' in answer.body:
        told["etag"] = "of a page"
    return (
        answer.status,
        told,
        answer.body.replace(b"/" + identity.encode(), b"/?").replace(b"=" + identity.encode(), b"=?"),
    )


@pytest.mark.parametrize("caller", ["gp", "cbo", "ann", "tester", "operator", "auditor", "nobody"])
def test_every_type_has_a_policy_that_holds_on_every_way(types_world: World, caller: str) -> None:
    assert unlike(types_world, caller, "_history?_count=1000") == []
    assert {thing.type for thing in types_world.things.values()} == r4.resource_types() - {"AuditEvent"}  # test_audit
    wrong = []
    for thing in types_world.things.values():
        expected = caller in thing.seen_by
        if (types_world.ask(caller, "GET", thing.key).status == 200) != expected:
            wrong.append(("read", thing.key))
        if is_shown(types_world, caller, thing, filled(SEARCHES["parameter"], thing)) != expected:
            wrong.append(("parameter", thing.key))
        if types_world.ask(caller, "GET", filled(TOTALS["total"], thing)).total != expected:
            wrong.append(("total", thing.key))
    assert wrong == []
