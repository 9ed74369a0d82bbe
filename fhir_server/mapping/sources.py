"""What every kind of source gives, and how one is refused as a whole."""

from typing import Any, NamedTuple


class SourceBroken(ValueError):
    """A source cannot be read; the message says where (file, row, cell) and what to do."""


class Row(NamedTuple):
    """A record with where it stands: `row 7`, `organizations[3]`. `record` is a text when it cannot be read."""

    origin: str
    record: Any
    joined: bool = False
    """The next row belongs with this one: both are taken, or none."""
