"""What a unit tells ahead that it will ask changes no answer: not of what is there, nor of what the unit itself writes."""

from typing import Any

import pytest

from fhir_server.search.query import And, Query, RefersTo, SortKey, TokenIs
from fhir_server.store.foresight import Foreseen
from fhir_server.store.port import Store, UnitOfWork
from tests.contract.store.staged import put_task

TAGGED = TokenIs("identifier", "http://example.org/tasks", "3")
OWNED = RefersTo("owner", "Organization/o2")
QUERIES = (
    Query("Task", TAGGED, (SortKey("_lastUpdated"),), 2),
    Query("Task", And((TAGGED, OWNED))),
    Query("Task", And((TokenIs("status", None, "requested"), OWNED)), limit=3),
    Query("Task", OWNED),
    Query("Task", RefersTo("owner", "Organization/none")),
    Query("Patient", TokenIs("identifier", "urn:x", "1")),
)
NAMES = tuple(("Task", identity) for identity in ("1", "3", "gone", "new", "never"))
TARGETS = ("Organization/o1", "Organization/o2", "Organization/o3", "Task/1")


def seen(unit: UnitOfWork) -> list[Any]:
    return [
        [unit.current(*name) for name in NAMES],
        [[(row.version, row.position) for row in unit.search(query)] for query in QUERIES],
        [sorted(unit.referrers(target, 100)) for target in TARGETS],
    ]


def acts(unit: UnitOfWork) -> list[Any]:
    """Ask, write, and ask again: what is asked about comes, changes and goes."""
    found = [seen(unit)]
    put_task(unit, "new", owner="Organization/o2")
    put_task(unit, "1", "accepted", owner="Organization/o3")
    found.append(seen(unit))
    unit.delete("Task", "3", 2)
    put_task(unit, "3", owner="Organization/o2")
    put_task(unit, "gone", owner="Organization/o2")
    found.append(seen(unit))
    unit.delete("Task", "new", 2)
    return [*found, seen(unit)]


class _Undone(Exception):
    pass


def test_foresight_changes_no_answer(store: Store) -> None:
    def prepared(unit: UnitOfWork) -> None:
        for number in range(6):
            put_task(unit, str(number), owner=f"Organization/o{1 + number % 2}")
        put_task(unit, "gone")
        unit.delete("Task", "gone", 2)

    store.write(prepared)
    answers: list[Any] = []

    def asked(unit: UnitOfWork, told: bool) -> None:
        if told:
            unit.prefetch(lambda: Foreseen(NAMES, TARGETS, QUERIES))
        answers.append((unit.last_updated, acts(unit)))
        raise _Undone

    for told in (False, True):
        with pytest.raises(_Undone):
            store.write(lambda unit, told=told: asked(unit, told))
    (before, plain), (after, foreseen) = answers
    assert _without(plain, before) == _without(foreseen, after)


def _without(found: Any, time: int) -> Any:
    """The answers without the time of the unit that wrote them."""
    if isinstance(found, list | tuple):
        return [_without(one, time) for one in found]
    return "now" if found == time else found


def test_keys_that_many_have_are_asked_about_when_it_is_time(store: Store, share: int) -> None:
    """What is known of them would be a part only."""
    number = 240 if share == 1 else 210

    def work(unit: UnitOfWork) -> int:
        for place in range(number):
            put_task(unit, str(place))
        return unit.last_updated

    store.write(work)

    def asked(unit: UnitOfWork) -> tuple[int, int]:
        owned = RefersTo("owner", "Organization/o1")
        unit.prefetch(lambda: Foreseen((), ("Organization/o1", "Organization/o2"), (Query("Task", owned),)))
        return len(unit.referrers("Organization/o1", 1000)), len(unit.search(Query("Task", owned, limit=1000)))

    assert store.write(asked) == (number, number)
