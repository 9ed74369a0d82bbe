"""A search without a usable index is found here, not by a user: every parameter, alone and beside the common ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

from fhir_server.model.clock import SystemClock
from fhir_server.search.parameters import Registry, SearchParameter
from fhir_server.search.parse import parse_search
from fhir_server.search.query import Query
from fhir_server.search.text import normalise, phonetic
from fhir_server.search.values import (
    BaseQuantityEntry,
    CompositeEntry,
    DateEntry,
    Entry,
    NumberEntry,
    PositionEntry,
    QuantityEntry,
    ReferenceEntry,
    SimpleEntry,
    StringEntry,
    TextEntry,
    TokenEntry,
    UriEntry,
)
from fhir_server.store.port import UnitOfWork
from fhir_server.store.sqlite import SqliteStore

REGISTRY = Registry.load()
TYPES = ("Task", "ServiceRequest", "Patient", "HealthcareService", "Location", "Observation")
MANY = 400
UCUM = "http://unitsofmeasure.org"
DAY = 86_400_000_000
VALUES = {
    "number": "7",
    "date": "1970-01-08",
    "string": "text 7",
    "token": "urn:x|code-7",
    "reference": "Patient/7",
    "quantity": f"7|{UCUM}|kg",
    "uri": "http://example.org/7",
    "special": "50.07|4.0|500|m",
}
SHARED = ("_lastUpdated", "active", "deceased", "phonetic")
"""Parameters whose value many have here."""
COMMON = {
    "Task": [("owner", "Organization/1"), ("status", "common")],
    "ServiceRequest": [("patient", "Patient/7"), ("status", "common")],
    "Patient": [("active", "true")],
    "HealthcareService": [("active", "true")],
    "Location": [("status", "common")],
    "Observation": [("patient", "Patient/7"), ("status", "common")],
}
FEW_LACK = 5
"""How many resources have no value for anything but what is common."""
PLAIN = "plain-"


def entries(resource_type: str, number: int) -> list[Entry]:
    """One value for every parameter of a type: an eighth-digit of them shared, the rest their own."""
    found: list[Entry] = [TextEntry("_text", f"text {number}"), TextEntry("_content", f"content {number}")]
    shared = {name for name, value in COMMON[resource_type] if "/" not in value}
    for parameter in REGISTRY.of(resource_type).values():
        if parameter.code not in shared:
            found += _values(parameter, number)
    return [*found, *(_common(name, value) for name, value in COMMON[resource_type])]


def _common(name: str, value: str) -> Entry:
    return ReferenceEntry(name, value) if "/" in value else TokenEntry(name, None, value)


def _values(parameter: SearchParameter, number: int) -> list[Entry]:
    name = parameter.code
    match parameter.type:
        case "number":
            return [NumberEntry(name, number)]
        case "date":
            return [DateEntry(name, number * DAY, number * DAY + DAY)]
        case "string":
            text = f"text {number}"
            return [StringEntry(name, phonetic(text) if name == "phonetic" else normalise(text), text)]
        case "token":
            return [TokenEntry(name, "urn:x", f"code-{number}", f"display {number}")]
        case "reference":
            return [ReferenceEntry(name, f"Patient/{number}", "", "urn:x", str(number), "Patient")]
        case "quantity":
            return [QuantityEntry(name, number, UCUM, "kg", "kg"), BaseQuantityEntry(name, number, "kilogram^1")]
        case "uri":
            return [UriEntry(name, f"http://example.org/{number}")]
        case "special":
            return [PositionEntry(name, 50 + number / 100, 4.0)]
        case "composite":
            components = enumerate(parameter.components)
            found = [_values(_component(part.type, str(place)), number) for place, part in components]
            return [CompositeEntry(name, tuple(tuple(entry for entry in part if _simple(entry)) for part in found))]
        case _:
            raise AssertionError(parameter.type)


def _component(kind: str, place: str) -> SearchParameter:
    return REGISTRY.of("Task")["status"]._replace(code=place, type=kind)


def _simple(entry: Entry) -> TypeGuard[SimpleEntry]:
    return not isinstance(entry, CompositeEntry | TextEntry)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    path: Path = tmp_path_factory.mktemp("indexes") / "store.db"
    opened = SqliteStore(path, SystemClock(), synchronous="NORMAL")

    def work(unit: UnitOfWork) -> None:
        for resource_type in TYPES:
            for number in range(MANY):
                unit.put(resource_type, str(number), 1, b"{}", entries(resource_type, number), "POST")
            for number in range(FEW_LACK):
                common = [_common(name, value) for name, value in COMMON[resource_type] if name != "owner"]
                unit.put(resource_type, f"{PLAIN}{number}", 1, b"{}", common, "POST")

    opened.write(work)
    yield opened
    opened.close()


def questions(resource_type: str) -> Iterator[list[tuple[str, str]]]:
    parameters = REGISTRY.of(resource_type).values()
    asked = [(p.code, VALUES[p.type]) for p in parameters if p.type in VALUES]
    asked += [(p.code, "$".join(VALUES[c.type] for c in p.components)) for p in parameters if p.type == "composite"]
    asked += [("_text", "text 7"), ("_content", "content 7"), ("_id", "7"), ("_lastUpdated", "gt2020-01-01")]
    asked += [(f"{name}:missing", "true") for name, _ in asked if not name.startswith(("_text", "_content"))]
    for name, value in asked:
        boolean = "true" if value == VALUES["token"] and name in ("active", "deceased") else value
        yield [(name, boolean)]
        yield [(name, boolean), *COMMON[resource_type]]
        yield [(name, boolean), ("_sort", "_lastUpdated")]


@pytest.mark.parametrize("resource_type", TYPES)
def test_no_search_by_a_parameter_reads_a_table_from_end_to_end(store: SqliteStore, resource_type: str) -> None:
    wrong = []
    for asked in questions(resource_type):
        request = parse_search(REGISTRY, resource_type, asked, strict=True)
        query = Query(resource_type, request.where, request.sort, 21)
        found = store.read(lambda snapshot, query=query: snapshot.explain(query))
        most = 21 if asked[0][0] not in SHARED and len(asked) == 1 else MANY
        if found.scanned or not found.indexes or found.candidates > most:
            wrong.append((asked, found.scanned, found.candidates, found.plan))
    assert wrong == []


@pytest.mark.parametrize(
    "asked",
    [
        "owner:Organization.name=text 7",
        "patient.identifier=urn:x|code-7",
        "_has:Task:part-of:status=urn:x|code-7",
        "focus:ServiceRequest.subject:Patient.family=text 7",
        "subject:Patient._content=content 7",
    ],
)
def test_chains_go_through_indexes_on_both_sides(store: SqliteStore, asked: str) -> None:
    name, _, value = asked.partition("=")
    request = parse_search(REGISTRY, "Task", [(name, value)], strict=True)
    found = store.read(lambda snapshot: snapshot.explain(Query("Task", request.where)))
    assert found.scanned == ()
    assert found.candidates <= 21


def keys(resource_type: str) -> Iterator[str]:
    sortable = ("string", "token", "date", "number", "quantity", "uri")
    yield from (p.code for p in REGISTRY.of(resource_type).values() if p.type in sortable)


@pytest.mark.parametrize("resource_type", TYPES)
def test_no_order_by_one_key_sorts_all_resources_of_a_type(store: SqliteStore, resource_type: str) -> None:
    wrong = []
    for key in keys(resource_type):
        for sort in (key, "-" + key):
            request = parse_search(REGISTRY, resource_type, [("_sort", sort)], strict=True)
            query = Query(resource_type, request.where, request.sort, 4)
            found = store.read(lambda snapshot, query=query: snapshot.explain(query))
            if found.rows != 4 or found.scanned or found.candidates > MANY // 2:
                wrong.append((sort, found.rows, found.scanned, found.candidates, found.statement))
    assert wrong == []


@pytest.mark.parametrize(
    "asked",
    [
        [("owner:missing", "true"), ("status", "common")],
        [("owner", "Organization/1"), ("status", "common")],
        [("owner", "Organization/1"), ("status", "common,rare,new")],
        [("focus:missing", "true")],
    ],
)
def test_a_worklist_reads_no_more_than_its_page(store: SqliteStore, asked: list[tuple[str, str]]) -> None:
    request = parse_search(REGISTRY, "Task", asked, strict=True)
    found = store.read(lambda snapshot: snapshot.explain(Query("Task", request.where, (), 21)))
    assert found.rows in (FEW_LACK, 21)
    assert found.candidates == found.rows


def test_a_page_of_the_nearest_reads_what_is_near(store: SqliteStore) -> None:
    request = parse_search(REGISTRY, "Location", [("near", "52|4.0|300|km")], strict=True)
    found = store.read(lambda snapshot: snapshot.explain(Query("Location", request.where, (), 5)))
    assert found.rows == 5
    assert found.candidates < MANY // 4
