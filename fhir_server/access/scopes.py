"""Scopes of SMART App Launch 2 (https://hl7.org/fhir/smart-app-launch/STU2.1/scopes-and-launch-context.html)."""

from typing import Literal, NamedTuple

Level = Literal["patient", "user", "system"]
Permission = Literal["c", "r", "u", "d", "s"]


class Scope(NamedTuple):
    """One resource scope, in the grammar of version 2: `system/Task.rus?owner=Organization/1`."""

    level: Level
    resource_type: str
    """A type, or `*` for all."""
    permissions: frozenset[Permission]
    where: tuple[tuple[str, str], ...] = ()
    """Search parameters with values that bound it, as they stood in the scope."""
