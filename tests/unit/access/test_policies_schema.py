"""The table of policies keeps to its schema, and `fhir-server check` says where one does not."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from fhir_server.access import policies
from fhir_server.artifacts.catalog import Catalog
from fhir_server.artifacts.source import default_root
from fhir_server.check.policies import check_policies


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load(default_root())


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(policies.__file__).with_name("policies.json").read_bytes())
    return table


def test_the_shipped_table_is_in_order(catalog: Catalog) -> None:
    assert list(check_policies(catalog)) == []


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("groups", "task", "read", "boss"), "all", "'boss' was unexpected"),
        (("groups", "task", "reads"), {}, "'reads' was unexpected"),
        (("groups", "task", "types"), [], "[]"),
        (("groups", "task", "read", "member"), {"any": []}, "is not valid"),
        (("groups", "task", "read", "member"), {"tag": "colour", "is": []}, "is not valid"),
        (("fragments", "open"), "all", "open"),
        (("groups", "task", "types"), ["Tasks"], "no policy, or no such type: Task"),
        (("groups", "task", "read", "member"), "missing", "Task, read, member: 'missing'"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    catalog: Catalog, shipped: dict[str, Any], place: tuple[str, ...], value: Any, said: str
) -> None:
    table = deepcopy(shipped)
    within = table
    for name in place[:-1]:
        within = within[name]
    within[place[-1]] = value
    found = list(check_policies(catalog, table))
    assert found
    assert found[0].key == "policies-broken"
    assert said in str(found[0])
