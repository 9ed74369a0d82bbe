"""A statement for a page, and the rows that it gives."""

from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple

from fhir_server.store.port import Row, Version
from fhir_server.store.sqlite.link import Link

_NEW: Callable[..., Any] = tuple.__new__
"""Makes a named tuple of a tuple; its own constructor takes twice as long, and a page has many."""


class Plan(NamedTuple):
    """A statement for a page; its columns are sequence, id, version, time, method, body, distance, sort values."""

    text: str
    values: tuple[Any, ...]
    descending: bool | None = None
    """Whether the rows, which come in any order, are to be ordered by their sequence; None: they come as they are asked."""

    def page(self, link: Link, resource_type: str) -> list[Row]:
        """Run the statement."""
        rows = link.execute(self.text, self.values).fetchall()
        if self.descending is not None:  # cheaper here than in SQLite, which would copy the bodies
            rows.sort(key=itemgetter(0), reverse=self.descending)
        new, kind = _NEW, resource_type
        return [
            new(Row, (new(Version, (row[0], kind, row[1], row[2], row[3], row[4], row[5])), row[7:], row[6]))
            for row in rows
        ]
