"""What a handler gives back: the work to do, and in which kind of unit.

A handler judges the request before any transaction is open; the work it returns runs inside one. For a single request
the work gets a unit of its own, in a transaction Bundle all entries share one.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from fhir_server.interactions.request import Result
from fhir_server.interactions.unit import Unit
from fhir_server.store.port import Snapshot


class Answer(NamedTuple):
    """No store is needed: here is the result."""

    result: Result


class Patience(NamedTuple):
    """How long a reading that finds nothing (`Result.idle`) waits for a change, and for which: see `feed_waiting`."""

    seconds: float
    keys: tuple[tuple[str, str, str], ...]


class Reading(NamedTuple):
    """Work on one snapshot."""

    work: Callable[[Snapshot], Result]
    heavy: bool = False
    once: bool = False
    """The work asks the snapshot for one thing only."""
    patience: Patience | None = None
    """The work may be done again when something changed; a Bundle's entries never wait."""


class Writing(NamedTuple):
    """Work in one unit; the rules settle after it, before the commit."""

    work: Callable[[Unit], Result]
    heavy: bool = False


class Many(NamedTuple):
    """Several units one after another (a batch); runs off the event loop."""

    work: Callable[[], Result]


Operation: TypeAlias = Answer | Reading | Writing | Many
