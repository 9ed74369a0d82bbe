"""Shapes: which parameters of a type have a value, and which have none, so that absence is found by an index.

A row for each absent parameter would cost more than all that is present. But resources of one type are alike: all of a
type in a store have a few dozen sets of parameters with a value. Each such set is a name of its own, and each resource
has one row of `eq` with the number of its set. What lacks a parameter is what has one of the sets without it.
"""

from collections.abc import Iterable

from fhir_server.store.sqlite.names import Execute

KIND = "m"
MOST = 200
"""More shapes than this are not asked for one by one."""

_OF_TYPE = "SELECT p, param FROM name WHERE type = ? AND kind = 'm' AND param <> ''"
_BARE = ","
"""The shape of a resource without any value."""


def listed(numbers: Iterable[int]) -> str:
    """Return the text of a shape; the number of a parameter is in it as `,17,`."""
    found = sorted(numbers)
    return f",{','.join(map(str, found))}," if found else _BARE


def found(execute: Execute, resource_type: str, number: int, *, missing: bool) -> list[str] | None:
    """Return the shapes that lack the parameter with this number, or have it; None when they are too many to ask for."""
    part = f",{number},"
    numbers = [str(p) for p, shape in execute(_OF_TYPE, (resource_type,)) if (part not in shape) == missing]
    return numbers if len(numbers) <= MOST else None
