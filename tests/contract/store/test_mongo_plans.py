"""Every search has an index on MongoDB: what the server says of its plans, and what the pipelines ask of an index.

SecantusDB answers `$elemMatch` and `$regex` on an array by a walk over the index of the type, where MongoDB takes the bounds
that they give on `current_key`; the pipelines themselves are therefore judged too: what the first stage asks, an index of
MongoDB answers.
"""

from collections.abc import Iterator

import pytest

from fhir_server.model.clock import SystemClock
from fhir_server.search.parameters import Registry
from fhir_server.search.parse import parse_search
from fhir_server.search.query import Query
from fhir_server.store.mongo import MongoStore
from fhir_server.store.mongo.layout import INDEXES
from fhir_server.store.port import UnitOfWork
from tests.contract.store.conftest import new_database
from tests.contract.store.test_searches_use_indexes import entries, questions

REGISTRY = Registry.load()
TYPES = ("Task", "HealthcareService")
MANY = 40
NAMED = {"_id_", *(index.name for indexes in INDEXES.values() for index in indexes)}
CHAINS = (
    "owner:Organization.name=text 7",
    "patient.identifier=urn:x|code-7",
    "_has:Task:part-of:status=urn:x|code-7",
    "focus:ServiceRequest.subject:Patient.family=text 7",
    "subject:Patient._content=content 7",
)


@pytest.fixture(scope="module")
def store(mongo_url: str) -> Iterator[MongoStore]:
    opened = MongoStore(f"{mongo_url}/{new_database()}", SystemClock(), query_seconds=30.0, busy_seconds=30.0)

    def work(unit: UnitOfWork) -> None:
        for resource_type in TYPES:
            for number in range(MANY):
                unit.put(resource_type, str(number), 1, b"{}", entries(resource_type, number), "POST")

    opened.write(work)
    yield opened
    opened.close()


def faults(store: MongoStore, resource_type: str, asked: list[tuple[str, str]]) -> list[object]:
    request = parse_search(REGISTRY, resource_type, asked, strict=True)
    query = Query(resource_type, request.where, request.sort, 21)
    found = store.read(lambda snapshot: snapshot.explain(query), once=True)
    unnamed = set(found.indexes) - NAMED
    return [(asked, found.plan)] if found.scanned or unnamed or (not found.indexes and found.statement) else []


@pytest.mark.parametrize("resource_type", TYPES)
def test_no_search_by_a_parameter_walks_the_collection(store: MongoStore, resource_type: str) -> None:
    asked = list(questions(resource_type))[::2]
    assert [fault for one in asked for fault in faults(store, resource_type, one)] == []


@pytest.mark.parametrize("asked", CHAINS)
def test_no_chain_walks_the_collection(store: MongoStore, asked: str) -> None:
    name, _, value = asked.partition("=")
    assert faults(store, "Task", [(name, value)]) == []
    found = store.read(
        lambda s: s.explain(Query("Task", parse_search(REGISTRY, "Task", [(name, value)], strict=True).where))
    )
    assert found.candidates <= 21


def test_an_explanation_shows_no_value(store: MongoStore) -> None:
    where = parse_search(
        REGISTRY, "Task", [("identifier", "urn:secret|code-secret"), ("_lastUpdated", "gt2020")], strict=True
    ).where
    found = store.read(lambda snapshot: snapshot.explain(Query("Task", where)))
    assert "secret" not in str(found)
    assert "Task.identifier.t ?" in found.statement
