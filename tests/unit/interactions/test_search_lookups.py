"""What must be looked up before a search can run: told from its text, and remembered only where it cannot change."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fhir_server.app import build_engine
from fhir_server.interactions.context import Engine
from fhir_server.interactions.request import Request
from fhir_server.interactions.search_lookups import lookups_on, needs_lookup, read_search
from fhir_server.model.errors import Malformed
from fhir_server.search.refusals import NotOffered
from fhir_server.settings import Settings
from tests.contract.store.staged import SetClock

BASE = "http://127.0.0.1:8080/fhir"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = build_engine(Settings(store=f"sqlite:///{tmp_path_factory.mktemp('lookups') / 'x.sqlite'}"))
    yield made
    made.store.close()


@pytest.mark.parametrize(
    "name",
    [
        "code:in", "code:not-in", "code:below", "owner:above", "owner.partof:below", "_filter",
        "_has:Observation:patient:code:in", "patient._has:Observation:patient:code:below",
    ],
)  # fmt: skip
def test_a_search_that_may_look_something_up_is_known_by_its_names(name: str) -> None:
    assert needs_lookup([("status", "in"), (name, "x")])


@pytest.mark.parametrize(
    "name", ["code", "code:not", "owner:Organization", "owner.name:exact", "_has:Task:owner:status"]
)
def test_any_other_is_read_without_a_snapshot(name: str) -> None:
    assert not needs_lookup([(name, ":in,:below")])


def test_a_unit_that_is_not_common_is_read_where_nobody_waits_for_it() -> None:
    """In a process of its own: whatever loads the library makes every unit one that is at hand."""
    script = """
from fhir_server.interactions.search_lookups import needs_lookup
from fhir_server.search.units import UCUM, conversion
rare, common = f"gt5|{UCUM}|[oz_av]/[gal_us]", f"gt5|{UCUM}|mg"
told = [needs_lookup([("value-quantity", v)]) for v in (common, rare, f"{common},{rare}", f"c${rare}$d", "gt5||x")]
assert conversion("[oz_av]/[gal_us]").factor > 0
print(told, needs_lookup([("value-quantity", rare)]))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[False, True, True, True, False] False"


def test_the_present_is_that_of_the_clock_of_the_engine(engine: Engine) -> None:
    clock = SetClock()
    request = Request("GET", "Task", base=BASE)
    asked = read_search(replace(engine, clock=clock), request, "Task", (("overdue", "true"),), often=True)
    assert f"lo={clock.now * 1_000}" in repr(asked.where)


def test_without_lookups_what_asks_for_one_is_refused(engine: Engine) -> None:
    request = Request("GET", "Task", base=BASE)
    for name in ("code:in", "owner:below"):
        with pytest.raises(NotOffered, match=name):
            read_search(engine, request, "Task", ((name, "Organization/1"),), often=True)


def test_what_was_looked_up_is_never_remembered(engine: Engine) -> None:
    request = Request("GET", "Patient", base=BASE)
    asked = (("gender:in", GENDERS),)
    first = engine.store.read(
        lambda snapshot: read_search(engine, request, "Patient", asked, lookups_on(engine, snapshot, BASE), often=True)
    )
    assert "other" in repr(first.where)
    with pytest.raises(NotOffered):
        read_search(engine, request, "Patient", asked, often=True)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("Task", "authored-on", "ap2026-11"),
        ("Task", "authored-on", "lt2020,ap2026-11"),
        ("Observation", "code-value-date", "http://loinc.org|1$ap2026-11"),
        ("Task", "overdue", "true"),
        ("Provenance", "target:Task.overdue", "true"),
    ],
)
def test_what_depends_on_the_present_is_read_anew(engine: Engine, kind: str, name: str, value: str) -> None:
    request = Request("GET", kind, base=BASE)
    first = read_search(engine, request, kind, ((name, value),), often=True)
    time.sleep(0.002)
    assert read_search(engine, request, kind, ((name, value),), often=True).where != first.where


def test_what_is_asked_often_is_read_once_for_each_way_of_reading(engine: Engine) -> None:
    strict, lenient = Request("GET", "Task", base=BASE), Request("GET", "Task", strict=False, base=BASE)
    asked = (("owner", "Organization/apeldoorn"),)
    first = read_search(engine, strict, "Task", asked, often=True)
    assert read_search(engine, strict, "Task", asked, often=True) is first
    assert read_search(engine, strict, "Task", asked) == first
    unknown = (("onwer", "x"),)
    assert read_search(engine, lenient, "Task", unknown, often=True).ignored == ("onwer",)
    for _ in range(2):
        with pytest.raises(NotOffered):
            read_search(engine, strict, "Task", unknown, often=True)
    with pytest.raises(NotOffered):
        read_search(engine, lenient, "Task", unknown, strict=True, often=True)
    with pytest.raises(Malformed):
        read_search(engine, lenient, "Task", (("authored-on", "x"),), often=True)
