"""What converters are made of: the shape that `extract` composes."""

from collections.abc import Callable
from typing import Any, TypeAlias

Entries: TypeAlias = list[Any]
Emit: TypeAlias = Callable[[Any, Entries], None]
"""Appends the entries of one JSON value, which is no array; never raises."""
Make: TypeAlias = Callable[[tuple[str, ...]], Emit]
"""Makes one converter for all parameters that read the same values in the same way."""


def text_of(element: dict[str, Any], name: str) -> str:
    """Return a text member, "" when it is absent or something else."""
    value = element.get(name)
    return value if type(value) is str else ""


def each(value: Any, emit: Emit, out: Entries) -> None:
    """Convert a value, or every item of an array."""
    if type(value) is list:
        for item in value:
            emit(item, out)
    else:
        emit(value, out)
