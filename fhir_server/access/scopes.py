"""Scopes of SMART App Launch 2 (https://hl7.org/fhir/smart-app-launch/STU2.1/scopes-and-launch-context.html).

One grammar: `level/Type.cruds?parameter=value`, the letters in that order. The forms of version 1 are read as what they
mean in it: `.read` is `.rs`, `.write` is `.cud`, `.*` is `.cruds`.
"""

import re
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, cast
from urllib.parse import parse_qsl, urlencode

from fhir_server.artifacts import r4
from fhir_server.model.errors import Malformed

Level = Literal["patient", "user", "system"]
Permission = Literal["c", "r", "u", "d", "s"]

_ORDER: Final = "cruds"
_VERSION_1: Final = {"read": "rs", "write": "cud", "*": _ORDER}
_SHAPE: Final = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]*)\.(c?r?u?d?s?|read|write|\*)(?:\?(.+))?")
_MOST: Final = 200
"""Scopes in one request; a client that needs more asks for `*`."""


class Scope(NamedTuple):
    """One resource scope, in the grammar of version 2: `system/Task.rus?owner=Organization/1`."""

    level: Level
    resource_type: str
    """A type, or `*` for all."""
    permissions: frozenset[Permission]
    where: tuple[tuple[str, str], ...] = ()
    """Search parameters with values that bound it, as they stood in the scope."""

    @property
    def text(self) -> str:
        """The scope as it stands in a token."""
        letters = "".join(letter for letter in _ORDER if letter in self.permissions)
        bound = f"?{urlencode(self.where, safe='/|,:$')}" if self.where else ""
        return f"{self.level}/{self.resource_type}.{letters}{bound}"


def parse_scope(text: str) -> Scope:
    """Read one resource scope. Raises Malformed `bad-scope` with what is wrong with it."""
    found = _SHAPE.fullmatch(text)
    if found is None or not found[3]:
        raise _bad(text, "A scope is level/Type.cruds: patient, user or system; a type or *; letters in that order")
    level, resource_type, letters, query = found.groups()
    if resource_type != "*" and resource_type not in r4.resource_types():
        raise _bad(text, f"{resource_type} is no R4 resource type")
    where: tuple[tuple[str, str], ...] = ()
    if query is not None:
        try:
            where = tuple(parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict"))
        except ValueError:
            where = ()
        if not where or not all(name and value for name, value in where):
            raise _bad(text, "What follows ? is parameter=value, joined by &")
    granted = frozenset(cast("list[Permission]", list(_VERSION_1.get(letters, letters))))
    return Scope(cast("Level", level), resource_type, granted, where)


def parse_scopes(text: str) -> tuple[Scope, ...]:
    """Read resource scopes that are set apart by spaces, each once, in their order. Raises Malformed `bad-scope`."""
    parts = text.split()
    if len(parts) > _MOST:
        raise Malformed(f"{len(parts)} scopes are asked for; at most {_MOST} are taken.", key="bad-scope")
    return tuple(dict.fromkeys(parse_scope(part) for part in parts))


def resource_scopes(text: str) -> tuple[Scope, ...]:
    """Read the resource scopes of another server's token; scopes of other kinds (`openid`, `launch`) are passed over."""
    return parse_scopes(" ".join(part for part in text.split() if part.startswith(("patient/", "user/", "system/"))))


def render_scopes(scopes: Iterable[Scope]) -> str:
    """Render scopes as they stand in a token."""
    return " ".join(scope.text for scope in scopes)


def narrowed(asked: Iterable[Scope], allowed: Iterable[Scope]) -> tuple[Scope, ...]:
    """Return what of `asked` is allowed: never a type, a letter or a row more than either says."""
    bounds = tuple(allowed)
    found = (_common(one, other) for one in asked for other in bounds)
    return tuple(dict.fromkeys(scope for scope in found if scope is not None))


def permitting(scopes: Iterable[Scope], resource_type: str, permission: Permission) -> tuple[Scope, ...]:
    """Return the scopes that permit an interaction on a type; what they allow together is what any of them allows."""
    return tuple(
        scope for scope in scopes if permission in scope.permissions and scope.resource_type in (resource_type, "*")
    )


def _common(one: Scope, other: Scope) -> Scope | None:
    """Return what two scopes both allow: bounds of both hold."""
    letters = one.permissions & other.permissions
    types = {one.resource_type, other.resource_type} - {"*"}
    if one.level != other.level or not letters or len(types) > 1:
        return None
    where = tuple(dict.fromkeys((*one.where, *other.where)))
    return Scope(one.level, types.pop() if types else "*", letters, where)


def _bad(text: str, reason: str) -> Malformed:
    example = "system/Task.rus or system/Task.rs?owner=Organization/caw-halle"
    return Malformed(
        f"The scope {text[:200]!r} is refused. {reason}. Send for example {example}.", key="bad-scope", code="value"
    )
