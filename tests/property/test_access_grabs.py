"""Nobody comes to see, by writing, what it did not see before; nor does a stranger shut others out.

The rows are ways to write (access_grabs), the columns callers who see nothing of Ann; what they send is taken or refused,
and in the end everybody sees what it is to see, by hand, as before.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.property.access_grabs import OPERATIONS, OTHERS, REFERRALS, Prey, Try, Way, consent
from tests.property.access_world import CALLERS, Answer, World, furnish, opened, tags

STRANGERS = ("gp2", "cbo2", "late", "worker2", "adrift", "ben", "tester")
WAYS: dict[str, Way] = REFERRALS | OTHERS


@contextmanager
def furnished(folder: Path) -> Iterator[World]:
    """The world of the matrix, with a Consent that the rules of the workflow take, and a practitioner that nobody else sees."""
    with opened(folder, audit_reads="off") as made:
        furnish(made)
        agreed = consent(prey("gp"), provision={"type": "permit"}, id="c-ann")  # what it permits is in its tags
        agreed["meta"] = tags(permits="Organization/cbo Organization/cbo2")
        made.put(agreed, "gp cbo ann", writer="gp")
        made.put({"resourceType": "Practitioner", "id": "hidden"}, "gp", writer="gp")
        yield made


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with furnished(tmp_path_factory.mktemp("grabs")) as made:
        yield made


def prey(caller: str, person: str = "ann") -> Prey:
    principal = CALLERS[caller]
    return Prey(
        f"Patient/{person}", principal.organization or principal.person, f"Condition/named-{person}",
        f"ServiceRequest/r-{person}", f"Consent/c-{person}", f"Task/t-{person}",
    )  # fmt: skip


def run(world: World, caller: str, tries: list[Try]) -> list[Answer]:
    """Make the requests; `$ID` in a later one is the id of what the first made."""
    answers: list[Answer] = []
    made = "none"
    for one in tries:
        body = json.loads(json.dumps(one.body).replace("$ID", made)) if one.body is not None else None
        if isinstance(body, dict):
            body = {name: value for name, value in body.items() if value is not None}
        answer = world.ask(caller, one.method, one.url.replace("$ID", made), body, **one.headers)
        answers.append(answer)
        if answer.status == 201:
            made = json.loads(answer.body)["id"]
    return answers


def seen(world: World, caller: str) -> set[str]:
    types = ",".join(sorted({thing.type for thing in world.things.values()}))
    body = world.ask(caller, "GET", f"?_type={types}&_count=1000").body
    return {key for key, thing in world.things.items() if f'"{thing.marker}"'.encode() in body}


@pytest.mark.parametrize("caller", STRANGERS)
def test_nobody_comes_to_see_what_it_writes_about(world: World, caller: str) -> None:
    before = seen(world, caller)
    for name, way in WAYS.items():
        answers = run(world, caller, way(prey(caller)))
        assert all(answer.status < 500 for answer in answers), (name, answers)
    assert seen(world, caller) - before == set()


@pytest.mark.parametrize("caller", STRANGERS)
def test_what_is_hidden_is_refused_like_what_is_absent(world: World, caller: str) -> None:
    absent = Prey(
        "Patient/zzz", prey(caller).own, "Condition/named-zzz", "ServiceRequest/r-zzz", "Consent/c-zzz", "Task/t-zzz"
    )
    wrong = {}
    for name, way in (WAYS | OPERATIONS).items():
        one, other = (run(world, caller, way(each)) for each in (prey(caller), absent))
        told = [alike(answers, word) for answers, word in ((one, b"ann"), (other, b"zzz"))]
        if told[0] != told[1] and name != "a role of the staff":  # which is of nobody
            wrong[name] = told
    assert wrong == {}


def alike(answers: list[Answer], name: bytes) -> list[Any]:
    """Return what answers tell: their status, and of refusals all but the name of whom they are about."""
    return [(one.status, re.sub(rb"\b%s\b" % name, b"?", one.body) if one.status >= 400 else b"") for one in answers]


def test_after_all_that_everybody_sees_what_it_is_to_see(world: World) -> None:
    wrong = {
        caller: found
        for caller in CALLERS
        if (found := seen(world, caller) ^ {key for key, thing in world.things.items() if caller in thing.seen_by})
    }
    assert wrong == {}


def test_the_ways_work_for_who_sees_the_person(tmp_path: Path) -> None:
    """So that no row is refused for what it is not about."""
    refused = {}
    with furnished(tmp_path) as world:
        for name, way in WAYS.items():
            answers = run(world, "gp", way(prey("gp")))
            if not all(answer.status in (200, 201, 204) for answer in answers):
                refused[name] = [answer.status for answer in answers]
    # a part is handed over by the owner of the whole, and a person with an open referral is not deleted
    assert refused == {"a part of it": [403], "a deletion": [409, 409]}
