"""What each role may see and do: the table in policies.json, bound to a caller. Default deny.

The table has groups of resource types; each type is in exactly one. A group says, for each role, what may be read,
written (what holds before and after a change) and created. `public` holds for everybody, `member` for whoever acts for an
organisation, `glass` for who broke the glass for a person. See policies_nodes for the language of the rules.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from itertools import count
from typing import Any, Final, Literal, NamedTuple, Self

from fhir_server.access.glass import BREAKS
from fhir_server.access.policies_nodes import Asker, Builder, Rule, any_of, every_of, local
from fhir_server.access.principal import Principal
from fhir_server.access.scopes import Scope, permitting
from fhir_server.artifacts import r4
from fhir_server.model.clock import Clock
from fhir_server.model.errors import Forbidden
from fhir_server.search.alone import NotAlone, lasting
from fhir_server.search.parameters import Registry
from fhir_server.search.query import EVERYTHING, NOTHING, Node

Act = Literal["read", "write", "create"]
Letter = Literal["c", "r", "u", "d", "s"]
ROLES: Final = (
    "public", "member", "referrer", "recipient", "link-worker", "person", "operator", "auditor", "tester", "glass",
)  # fmt: skip
_SECOND_US: Final = 1_000_000
_BOTH_SIDES: Final = frozenset({"referrer", "recipient"})


class Table(NamedTuple):
    """The table as it was read: fragments of rules, and for each type and act role → rule."""

    fragments: Mapping[str, Rule]
    types: Mapping[str, Mapping[Act, Mapping[str, Rule]]]

    @classmethod
    def load(cls, registry: Registry, raw: Mapping[str, Any] | None = None) -> Self:
        """Read the table and try every rule of it. Raises ValueError for what does not fit R4 or itself."""
        given = _shipped() if raw is None else raw
        types: dict[str, Mapping[Act, Mapping[str, Rule]]] = {}
        for name, group in given["groups"].items():
            write = group["write"]
            acts: dict[Act, Mapping[str, Rule]] = {
                "read": group["read"],
                "write": write,
                "create": {**write, **group.get("create", {})},
            }
            if unknown := {role for rules in acts.values() for role in rules} - set(ROLES):
                raise ValueError(f"group {name}: unknown roles {', '.join(sorted(unknown))}")
            for resource_type in group["types"]:
                if resource_type in types:
                    raise ValueError(f"{resource_type} is in two groups")
                types[resource_type] = acts
        if wrong := set(types) ^ r4.resource_types():
            raise ValueError(f"no policy, or no such type: {', '.join(sorted(wrong))}")
        table = cls(given["fragments"], types)
        table.try_all(registry)
        return table

    def try_all(self, registry: Registry) -> None:
        """Build every rule once. Raises ValueError that names the place of one that cannot be built."""
        builder = Builder(self.fragments, registry, Asker("Organization/1", ("Patient/1",)))
        for resource_type, acts in self.types.items():
            for act, rules in acts.items():
                for role, rule in rules.items():
                    try:
                        builder.node(rule, resource_type, resource_type)
                    except (KeyError, ValueError) as error:
                        raise ValueError(f"{resource_type}, {act}, {role}: {error}") from error


@cache
def _shipped() -> Mapping[str, Any]:
    raw: Mapping[str, Any] = json.loads(files(__package__).joinpath("policies.json").read_bytes())
    return raw


class Bound(NamedTuple):
    """A node, and what of it can be told from the resource alone."""

    node: Node
    local: Node
    is_local: bool
    """Whether the resource alone decides."""
    number: int
    """Different for every node that was made: what was found out for one is remembered under it."""
    until: int
    """The second from which on it must be made anew, 0 for one that does not depend on the time."""


_numbers: Final = count(1)


class Policy:
    """What one caller may see and do; nodes are made when they are first asked for."""

    def __init__(
        self,
        table: Table,
        registry: Registry,
        clock: Clock,
        principal: Principal,
        persons: tuple[str, ...] = (),
        areas: tuple[str, ...] = (),
    ) -> None:
        """`persons` are the patients whose record the caller may see as one's own, `areas` those of a link worker."""
        self.principal = principal
        self.persons = persons
        self.areas = areas
        self.roles = roles_of(principal)
        self.all_powerful = "platform" in principal.roles
        self._table = table
        self._registry = registry
        self._clock = clock
        self._nodes: dict[tuple[Act, str, str], Bound] = {}

    def node(self, act: Act, resource_type: str, letters: str) -> Bound:
        """Return what must hold for a resource of a type, for an act that any of these letters of a scope permits."""
        place = (act, resource_type, letters)
        found = self._nodes.get(place)
        if found is None or (found.until and found.until <= self._clock.now_ms() // 1_000):
            second = self._clock.now_ms() // 1_000
            builder = self._builder(second)
            node = self._made(builder, act, resource_type, letters)
            alone = local(node)
            until = second + 1 if builder.timed else 0
            found = self._nodes[place] = Bound(node, alone, alone == node, next(_numbers), until)
        return found

    def _builder(self, second: int) -> Builder:
        own = self.principal.organization or self.principal.person
        bound = bool(self.areas) and "link-worker" in self.roles and self.roles.isdisjoint(_BOTH_SIDES)
        asker = Asker(own, self.persons, second * _SECOND_US, self.areas, bound)
        return Builder(self._table.fragments, self._registry, asker)

    def named(self, name: str, resource_type: str) -> Bound:
        """Return the node of a rule by its name, asked of a type."""
        second = self._clock.now_ms() // 1_000
        node = self._builder(second).node(name, resource_type, resource_type)
        alone = local(node)
        return Bound(node, alone, alone == node, next(_numbers), second + 1)

    def read(self, resource_type: str, letters: str = "rs") -> Node:
        """Return what must hold for a resource of a type to be seen."""
        return self.node("read", resource_type, letters).node

    def _made(self, builder: Builder, act: Act, resource_type: str, letters: str) -> Node:
        if self.all_powerful:
            return EVERYTHING
        rules = self._table.types.get(resource_type, {}).get(act, {})
        held = [rules[role] for role in ROLES if role in rules and role in self.roles]
        allowed = any_of(tuple(builder.node(rule, resource_type, resource_type) for rule in held))
        if allowed == NOTHING or (act == "read" and self.is_public(resource_type)):
            return allowed  # what everybody may read needs no scope
        return every_of((allowed, self._granted(resource_type, letters)))

    def _granted(self, resource_type: str, letters: str) -> Node:
        """Return what the scopes grant of a type."""
        scopes = self.principal.scopes
        if scopes is None:
            return EVERYTHING
        granting = dict.fromkeys(scope for letter in letters for scope in permitting(scopes, resource_type, letter))  # type: ignore[arg-type]  # letters are one of five
        return any_of(tuple(self._where(scope, resource_type) for scope in granting))

    def _where(self, scope: Scope, resource_type: str) -> Node:
        if not scope.where:
            return EVERYTHING
        try:
            return lasting(self._registry, resource_type, scope.where)
        except NotAlone as error:
            raise Forbidden(f"The scope {scope.text} cannot be kept to: {error}.", key="scope-insufficient") from error

    def grants(self, resource_type: str, letter: str) -> bool:
        """Tell whether the scopes grant an interaction on a type at all; without scopes they do."""
        scopes = self.principal.scopes
        return scopes is None or bool(permitting(scopes, resource_type, letter))  # type: ignore[arg-type]  # as above

    def is_public(self, resource_type: str) -> bool:
        """Tell whether everybody may read all resources of a type."""
        return self._table.types.get(resource_type, {}).get("read", {}).get("public") == "all"

    def may(self, act: Act, resource_type: str) -> bool:
        """Tell whether there is any resource of a type with which the caller may do this."""
        return self.node(act, resource_type, "rs" if act == "read" else "cu").node != NOTHING


def roles_of(principal: Principal) -> frozenset[str]:
    """Return the roles of the table that a caller has; an organisation that states no role may refer and receive."""
    roles: Iterable[str] = principal.roles
    found = {"public", *roles} - {"platform"}
    if principal.organization.startswith("Organization/") and "tester" not in found:
        found |= {"member"} if principal.roles else {"member", *_BOTH_SIDES}
    if principal.person:
        found.add("person")
    if principal.purpose == BREAKS and "member" in found:
        found.add("glass")
    return frozenset(found)
