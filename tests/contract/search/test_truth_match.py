"""The reference interpreter says what the truth tables say."""

import pytest

from fhir_server.search.match import matches
from fhir_server.search.parameters import Registry
from tests.contract.search.truth import Row, Table, World, tables

TABLES = list(tables())
ROWS = [pytest.param(table, row, id=f"{table.name}: {row.query}") for table in TABLES for row in table.rows]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load()


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_a_query_finds_what_its_rule_says(registry: Registry, table: Table, row: Row) -> None:
    stored = table.stored(registry)
    request = table.request(registry, row)
    world = World(stored)
    found = {
        resource.id
        for resource in stored
        if resource.type == request.resource_type
        and matches(request.where, resource.type, resource.id, resource.last_updated_us, resource.entries, world)
    }
    assert found == row.matches, row.rule


def test_the_tables_are_large_enough_to_trust_and_cite_their_rules() -> None:
    cases = {table.name: table.cases for table in TABLES}
    assert cases["dates"] >= 100
    assert sum(cases.values()) >= 1_500
    assert all(
        row.rule.startswith("R4 ") and row.matches <= table.ids_of(row) for table in TABLES for row in table.rows
    )
