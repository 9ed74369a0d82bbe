"""The table of policies: complete, checked when it is read, and built into nodes as the language says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.access import policies
from fhir_server.access.policies import Policy, Table, roles_of
from fhir_server.access.policies_nodes import ASKER, WRITER, Asker, Builder, any_of, every_of, local
from fhir_server.access.principal import PLATFORM, Principal
from fhir_server.access.scopes import parse_scopes
from fhir_server.artifacts import r4
from fhir_server.artifacts.catalog import Catalog
from fhir_server.artifacts.source import default_root
from fhir_server.model.clock import SystemClock
from fhir_server.model.errors import Forbidden
from fhir_server.search.parameters import Registry
from fhir_server.search.query import EVERYTHING, NOTHING, And, Chain, Has, Node, Not, Or, RefersTo, TokenIs

ONE, TWO = RefersTo("owner", "Organization/1"), TokenIs("status", None, "active")
_THEIRS = Not(TokenIs("_tag", WRITER, "Organization/1"))
LINK = Has("Task", "focus", ONE)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load(Catalog.load(default_root()).of_type("SearchParameter"))


def raw(**changes: Any) -> dict[str, Any]:
    group = {"types": sorted(r4.resource_types()), "read": {"member": "mine"}, "write": {}, **changes}
    return {"fragments": {"mine": {"tag": "writer", "is": ["$self"]}}, "groups": {"all": group}}


def policy(registry: Registry, principal: Principal, **changes: Any) -> Policy:
    return Policy(Table.load(registry, raw(**changes) if changes else None), registry, SystemClock(), principal)


def test_every_type_of_r4_has_a_policy(registry: Registry) -> None:
    table = Table.load(registry)
    assert set(table.types) == r4.resource_types()
    assert Path(policies.__file__).with_name("policies.json").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"types": ["Patient"]}, "no policy"),
        ({"types": [*sorted(r4.resource_types()), "Patient"]}, "two groups"),
        ({"read": {"boss": "all"}}, "unknown roles boss"),
        ({"read": {"member": "yours"}}, "member: 'yours'"),
        ({"read": {"member": {"refers": "colour", "to": "$self"}}}, "has no search parameter colour"),
        ({"read": {"member": {"wish": 1}}}, "is no rule"),
    ],
)
def test_a_table_with_a_mistake_is_not_read(registry: Registry, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Table.load(registry, raw(**changes))


def test_what_no_rule_allows_is_denied(registry: Registry) -> None:
    assert policy(registry, Principal()).read("Patient") == NOTHING
    assert policy(registry, Principal(roles=frozenset({"auditor"}))).read("Patient") == NOTHING
    assert policy(registry, PLATFORM).read("Patient") == EVERYTHING


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("overdue=true", "overdue"),
        ("authored-on=ap2026", "ap on a date"),
        ("code:in=http://example.org/v", ":in"),
        ("owner:below=Organization/1", "hierarchy of Organization"),
    ],
)
def test_a_scope_that_means_something_else_tomorrow_is_refused_by_name(
    registry: Registry, asked: str, told: str
) -> None:
    scope = f"system/Task.rs?{asked}"
    narrow = policy(registry, Principal("Organization/1", scopes=parse_scopes(scope)))
    for _ in range(2):
        with pytest.raises(Forbidden) as refusal:
            narrow.read("Task")
        assert scope in str(refusal.value)
        assert told in str(refusal.value)
    assert narrow.read("Patient") == NOTHING


def test_a_scope_narrows_what_a_policy_allows_and_widens_nothing(registry: Registry) -> None:
    narrow = Principal("Organization/1", scopes=parse_scopes("system/Task.rs?status=requested system/Patient.c"))
    found = policy(registry, narrow)
    assert found.read("Patient") == NOTHING
    assert found.read("Observation") == NOTHING
    assert found.read("ValueSet") == EVERYTHING
    assert TokenIs("status", None, "requested") in getattr(found.read("Task"), "parts", ())
    assert found.grants("Task", "r")
    assert not found.grants("Task", "u")
    assert found.may("create", "Patient")
    assert not found.may("create", "Task")


def test_an_organisation_that_states_no_role_may_refer_and_receive() -> None:
    assert roles_of(Principal("Organization/1")) == {"public", "member", "referrer", "recipient"}
    assert roles_of(Principal("Organization/1", frozenset({"tester"}))) == {"public", "tester"}
    assert roles_of(Principal("Organization/1", frozenset({"link-worker"}))) == {"public", "member", "link-worker"}
    assert roles_of(Principal(person="Patient/1")) == {"public", "person"}


def test_the_local_part_of_a_node_never_says_more_than_the_node() -> None:
    assert local(LINK) == NOTHING
    assert local(Chain("focus", "Task", TWO)) == NOTHING
    assert local(any_of((LINK, ONE))) == ONE
    assert local(every_of((LINK, ONE))) == NOTHING
    assert local(Not(LINK)) == NOTHING
    assert local(Not(TWO)) == Not(TWO)


def test_nodes_are_joined_in_as_few_as_it_takes_with_the_cheap_ones_first() -> None:
    assert any_of((LINK, ONE, Or((TWO, ONE)))) == Or((ONE, TWO, LINK))
    assert any_of((LINK, EVERYTHING)) == EVERYTHING
    assert every_of((ONE, NOTHING)) == NOTHING
    assert every_of((EVERYTHING, ONE)) == ONE


def test_no_link_to_what_a_caller_wrote_itself_lets_it_see_anything(registry: Registry) -> None:
    """Else a caller would refer to what is hidden, and see it by that: every link that grants starts from others' words."""
    table = Table.load(registry)
    builder = Builder(table.fragments, registry, Asker("Organization/1", ("Patient/1",), areas=("Location/1",)))
    ways = {
        (kind, role)
        for kind, acts in table.types.items()
        for role, rule in acts["read"].items()
        for link in _outermost(builder.node(rule, kind, kind))
        if not _by_others(link)
    }
    # a message says itself to whom it is, and the Task or referral that it is about is read without it
    assert ways == {("Communication", "member"), ("CommunicationRequest", "member")}


def _outermost(node: Node) -> Iterator[Has | Chain]:
    """Yield the links of a node that may let somebody see; what lies within `Not` takes away only."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _outermost(part)
        case Has() | Chain():
            yield node


def _by_others(node: Node) -> bool:
    """Tell whether a node holds by nothing but what somebody else wrote, or the server says of what was asked."""
    match node:
        case And(parts):
            return any(map(_by_others, parts))
        case Or(parts):
            return all(map(_by_others, parts))
        case Has(part=part) | Chain(part=part):
            return _by_others(part)
        case _:
            return node in (_THEIRS, TokenIs("_tag", ASKER, "Organization/1"))
