"""A transaction of twenty entries is twelve requests at most, whatever its entries are: counted through the interactions."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.store.conftest import new_database
from tests.contract.store.mongo_engine import Asker, asking, counting, entry, patient

Counting = tuple[Asker, list[str]]
MOST = 12


@pytest.fixture(params=["ignore", "enforce"])
def server(request: pytest.FixtureRequest, mongo_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    """Twenty Patients are there: `0` to `19`; references are checked or not."""
    with counting(monkeypatch) as sent, asking(f"{mongo_url}/{new_database()}", references=request.param) as asker:
        asker.transaction(*(entry("PUT", f"Patient/{n}", patient(n, str(n))) for n in range(20)))
        sent.clear()
        yield asker, sent


def task(number: int, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Task", "status": "requested", "intent": "order", "for": {"reference": f"Patient/{number}"}, **more,
    }  # fmt: skip


def statuses(answers: list[dict[str, Any]]) -> list[str]:
    return [answer["response"]["status"][:3] for answer in answers]


def test_twenty_creates(server: Counting) -> None:
    asker, sent = server
    assert statuses(asker.transaction(*(entry("POST", "Task", task(n)) for n in range(20)))) == ["201"] * 20
    assert len(sent) <= MOST, sent


def test_twenty_updates_of_what_is_there_of_what_was_deleted_and_of_what_never_was(server: Counting) -> None:
    asker, sent = server
    changed = [{**patient(n, str(n)), "active": True} for n in range(20)]
    assert statuses(asker.transaction(*(entry("PUT", f"Patient/{n}", changed[n]) for n in range(20)))) == ["200"] * 20
    assert len(sent) <= MOST, sent
    asker.transaction(*(entry("DELETE", f"Patient/{n}") for n in range(5)))
    sent.clear()
    found = asker.transaction(*(entry("PUT", f"Patient/{n}", patient(n, str(n))) for n in range(25)))
    assert statuses(found) == ["201"] * 5 + ["200"] * 15 + ["201"] * 5
    assert found[0]["response"]["etag"] == 'W/"4"', "after the version that was deleted"
    assert len(sent) <= MOST, sent


def test_twenty_deletions(server: Counting) -> None:
    asker, sent = server
    assert statuses(asker.transaction(*(entry("DELETE", f"Patient/{n}") for n in range(20)))) == ["204"] * 20
    assert len(sent) <= MOST, sent


def test_twenty_patches_with_a_version(server: Counting) -> None:
    asker, sent = server
    parts = [
        {"name": name, **value}
        for name, value in (
            ("type", {"valueCode": "add"}),
            ("path", {"valueString": "Patient"}),
            ("name", {"valueString": "active"}),
            ("value", {"valueBoolean": True}),
        )
    ]
    change = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    patches = [entry("PATCH", f"Patient/{n}", change, ifMatch='W/"1"') for n in range(20)]
    assert statuses(asker.transaction(*patches)) == ["200"] * 20
    assert len(sent) <= MOST, sent


@pytest.mark.parametrize("first", [20, 0, 10], ids=["none is there", "all are there", "half are there"])
def test_twenty_conditional_creates(server: Counting, first: int) -> None:
    asker, sent = server
    numbers = range(first, first + 20)
    creates = [entry("POST", "Patient", patient(n), ifNoneExist=f"identifier=urn:x|p{n}") for n in numbers]
    assert statuses(asker.transaction(*creates)) == ["200" if n < 20 else "201" for n in numbers]
    assert len(sent) <= MOST, sent


def test_twenty_conditional_updates_and_references(server: Counting) -> None:
    asker, sent = server
    updates = [
        entry("PUT", f"Patient?identifier=urn:x|p{n}", {**patient(n), "active": True}) for n in range(12, 22)
    ]  # two of them are not there yet
    tasks = [
        entry("POST", "Task", {**task(n), "for": {"reference": f"Patient?identifier=urn:x|p{n}"}}) for n in range(10)
    ]
    found = asker.transaction(*updates, *tasks)
    assert statuses(found) == ["200"] * 8 + ["201"] * 12
    assert len(sent) <= MOST, sent


def test_twenty_entries_of_every_kind(server: Counting) -> None:
    asker, sent = server
    found = asker.transaction(
        *(entry("DELETE", f"Patient/{n}") for n in range(4)),
        *(entry("POST", "Task", task(n)) for n in range(4, 8)),
        *(entry("PUT", f"Patient/{n}", {**patient(n, str(n)), "active": True}, ifMatch='W/"1"') for n in range(8, 12)),
        *(entry("POST", "Patient", patient(n), ifNoneExist=f"identifier=urn:x|p{n}") for n in range(1, 5)),
        *(entry("GET", f"Patient/{n}") for n in range(14, 18)),
    )
    # what was deleted in this very transaction no longer satisfies a condition
    assert statuses(found) == ["204"] * 4 + ["201"] * 4 + ["200"] * 4 + ["201"] * 3 + ["200"] + ["200"] * 4
    assert len(sent) <= MOST, sent
