"""Policies as query nodes: reading the language of policies.json, and what can be said of a node without the store.

The language has one object for each kind of node: `{"tag": kind, "is": [codes]}`, `{"token": param, "is": [codes]}`,
`{"refers": param, "to": who}`, `{"refers-any": param}`, `{"id": who}`, `{"current": param}`, `{"has": type, "by": param,
"where": rule}`, `{"chain": param, "to": type, "where": rule}`, `{"any": [rules]}`, `{"every": [rules]}`, `{"not": rule}`;
or a name: `all`, `none`, `person` (about the persons of the caller), `open` (not closed by the person), `own-area` (in the
areas of a caller that is bound to some), or a fragment. In codes and targets `$self` is the organisation or person that
asks, `$part` the type that is judged; in codes `$areas` are the areas of a link worker.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from fhir_server.artifacts.r4.compartments import compartments
from fhir_server.search.compartments import about, membership
from fhir_server.search.parameters import Registry
from fhir_server.search.query import (
    EVERYTHING,
    NOTHING,
    And,
    Chain,
    DateCompare,
    Has,
    IdIs,
    Missing,
    Node,
    Not,
    Or,
    Prefix,
    RefersTo,
    TokenIs,
)

Rule: TypeAlias = "str | Mapping[str, Any]"
ACCESS: Final = "https://w3id.org/social-referral/access/"
"""What the systems of the tags begin with that the server sets in `meta.tag`; a tag that a client sends is dropped."""
WRITER, READER, TAKER = ACCESS + "writer", ACCESS + "reader", ACCESS + "taker"
ASKER: Final = ACCESS + "asker"
PERMITS, CLOSES = ACCESS + "permits", ACCESS + "closes"
AREA, SERVES = ACCESS + "area", ACCESS + "serves"
UNKNOWN_AREA: Final = "unknown"
"""Code of `area` where nobody could tell in which area a person lives: any link worker may take care of it."""


class Asker(NamedTuple):
    """Who asks, and when."""

    self: str
    persons: tuple[str, ...] = ()
    """The `Patient/id`s whose record may be seen as one's own."""
    now_us: int = 0
    areas: tuple[str, ...] = ()
    """The `Location/id`s of the areas of a link worker."""
    bound: bool = False
    """Whether all that it sees of referrals must lie in its areas."""


class Builder:
    """Turns rules into nodes for one asker."""

    def __init__(self, fragments: Mapping[str, Rule], registry: Registry, asker: Asker) -> None:
        self._fragments = fragments
        self._registry = registry
        self._asker = asker
        self.timed = False
        """Whether a node that was built depends on the present."""

    def node(self, rule: Rule, resource_type: str, part: str) -> Node:
        """Return the node of a rule asked of a type; `part` is the type that is judged in the end.

        Raises KeyError or ValueError for what is no rule: the table is read whole when it is loaded.
        """
        if isinstance(rule, str):
            return self._named(rule, resource_type, part)
        within = partial(self.node, resource_type=resource_type, part=part)
        match dict(rule):
            case {"any": rules}:
                return any_of(tuple(within(one) for one in rules))
            case {"every": rules}:
                return every_of(tuple(within(one) for one in rules))
            case {"not": one}:
                return Not(within(one))
            case {"has": source, "by": param, "where": one}:
                self._known(source, param)
                return linked(Has(source, param, self.node(one, source, part)))
            case {"chain": param, "to": target, "where": one}:
                self._known(resource_type, param)
                return linked(Chain(param, target, self.node(one, target, part)))
            case {"id": who}:
                kind, _, identity = self._said(who, part).partition("/")
                return IdIs((identity,)) if kind == resource_type and identity else NOTHING
            case leaf:
                return self._leaf(leaf, resource_type, part)

    def _leaf(self, rule: Mapping[str, Any], resource_type: str, part: str) -> Node:
        match dict(rule):
            case {"tag": kind, "is": codes}:
                return self._tokens("_tag", ACCESS + kind, codes, part)
            case {"token": param, "is": codes}:
                self._known(resource_type, param)
                return self._tokens(param, None, codes, part)
            case {"refers": param, "to": who}:
                self._known(resource_type, param)
                target = self._said(who, part)
                return RefersTo(param, target) if target else NOTHING
            case {"refers-any": param}:
                self._known(resource_type, param)
                return Missing(param, missing=False)
            case {"current": param}:
                self._known(resource_type, param)
                self.timed, now = True, self._asker.now_us
                return Or((Missing(param, missing=True), DateCompare(param, Prefix.AP, now, now + 1)))
            case _:
                raise ValueError(f"{rule!r} is no rule")

    def _named(self, name: str, resource_type: str, part: str) -> Node:
        match name:
            case "all":
                return EVERYTHING
            case "none":
                return NOTHING
            case "person":
                return any_of(tuple(about_person(self._registry, one, resource_type) for one in self._asker.persons))
            case "open":
                return self._open(resource_type, part)
            case "own-area":
                codes = ["$areas", UNKNOWN_AREA]
                return self._tokens("_tag", AREA, codes, part) if self._asker.bound else EVERYTHING
            case _:
                return self.node(self._fragments[name], resource_type, part)

    def _open(self, resource_type: str, part: str) -> Node:
        """No Consent of the person closes this part, or this very resource, to the asker."""
        whole = every_of((self.node("closing", "Consent", part), TokenIs("status", None, "active")))
        one = every_of((self.node("closing-one", "Consent", part), TokenIs("status", None, "active")))
        closed: list[Node] = [Has("Consent", "data", one)]
        closing: Node = Has("Consent", "patient", whole)
        if resource_type == "Patient":
            closed.append(closing)
        else:
            closed += [Chain(param, "Patient", closing) for param in person_params(self._registry, resource_type)]
        return Not(Or(tuple(closed)))

    def _tokens(self, param: str, system: str | None, codes: list[str], part: str) -> Node:
        if not codes:
            return TokenIs(param, system, None)
        each = (one for code in codes for one in (self._asker.areas if code == "$areas" else (code,)))
        said = dict.fromkeys(self._said(code, part) for code in each)
        return any_of(tuple(TokenIs(param, system, code) for code in said if code and not code.startswith("#")))

    def _said(self, text: str, part: str) -> str:
        if "$self" in text and not self._asker.self:
            return ""
        return text.replace("$self", self._asker.self).replace("$part", part)

    def _known(self, resource_type: str, param: str) -> None:
        if param not in self._registry.of(resource_type):
            raise ValueError(f"{resource_type} has no search parameter {param}")


def tagged(resource: Mapping[str, Any], system: str) -> frozenset[str]:
    """Return the codes of the tags that a resource has under one system of the server."""
    tags = (resource.get("meta") or {}).get("tag", ())
    return frozenset(str(tag.get("code", "")) for tag in tags if tag.get("system") == system)


def person_params(registry: Registry, resource_type: str) -> tuple[str, ...]:
    """Return the reference parameters that link a type to the person it is about."""
    compartment = compartments()["Patient"]
    inside = (code for code in compartment.members.get(resource_type, ()) if not code.startswith("{"))
    return tuple(dict.fromkeys((*inside, *about(registry, compartment, resource_type))))


def about_person(registry: Registry, person: str, resource_type: str) -> Node:
    """Return what holds for the resources of a type in the compartment of `Patient/id`, and those that name it."""
    compartment = compartments()["Patient"]
    kind, _, identity = person.partition("/")
    if kind != "Patient" or not identity:
        return NOTHING
    links = tuple(RefersTo(code, person) for code in about(registry, compartment, resource_type))
    return any_of((membership(compartment, identity, resource_type), *links))


def any_of(parts: tuple[Node, ...]) -> Node:
    """Return the node that any part holds, in as few nodes as it takes; what needs no other resource comes first."""
    flat: dict[Node, None] = {}
    for part in parts:
        flat.update(dict.fromkeys(part.parts if isinstance(part, Or) else (part,)))
    if EVERYTHING in flat:
        return EVERYTHING
    ordered = sorted(flat, key=lambda one: local(one) != one)
    return ordered[0] if len(ordered) == 1 else Or(tuple(ordered))


def every_of(parts: tuple[Node, ...]) -> Node:
    """Return the node that all parts hold, in as few nodes as it takes."""
    flat: dict[Node, None] = {}
    for part in parts:
        flat.update(dict.fromkeys(part.parts if isinstance(part, And) else (part,)))
    if NOTHING in flat:
        return NOTHING
    return next(iter(flat)) if len(flat) == 1 else And(tuple(flat))


def linked(node: Chain | Has) -> Node:
    """Return a link, or nothing where what it leads to holds for none."""
    return NOTHING if node.part == NOTHING else node


def local(node: Node) -> Node:
    """Return what of a node can be told from the resource alone; where it holds, the node holds."""
    match node:
        case Chain() | Has():
            return NOTHING
        case And(parts):
            return every_of(tuple(local(part) for part in parts))
        case Or(parts):
            return any_flat(tuple(local(part) for part in parts))
        case Not(part):
            return node if local(part) == part else NOTHING
        case _:
            return node


def any_flat(parts: tuple[Node, ...]) -> Node:
    """Return the node that any part holds, in the order given."""
    flat: dict[Node, None] = {}
    for part in parts:
        flat.update(dict.fromkeys(part.parts if isinstance(part, Or) else (part,)))
    if EVERYTHING in flat:
        return EVERYTHING
    return next(iter(flat)) if len(flat) == 1 else Or(tuple(flat))


def params_of(node: Node) -> Iterator[str]:
    """Yield the search parameters that a node asks of the resource itself."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from params_of(part)
        case Not(part):
            yield from params_of(part)
        case IdIs():
            return
        case _:
            yield getattr(node, "param", "_lastUpdated")
