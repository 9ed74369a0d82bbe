"""The part of the store's port that keeps large code systems: loaded whole, version by version, asked by index.

They are no resources: a release of SNOMED CT has 400,000 concepts, which no process can hold and no history needs.
`store.port` joins this to what every store offers; tests/contract/store/test_concepts.py proves it for each.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol


class EditionHead(NamedTuple):
    """What is to be said of a code system that is loaded whole (a release of SNOMED CT, ICPC, ICD) before its concepts."""

    system: str
    version: str
    """"" for a system without versions. Editions of one system with other versions live beside each other."""
    body: bytes
    """Opaque to the store; given back as it came."""


class Edition(NamedTuple):
    """One loaded version of one code system."""

    number: int
    """The key of its concepts. Never used again, not even after the edition was removed or replaced."""
    system: str
    version: str
    concepts: int
    """How many it has; their numbers are 0 to `concepts - 1`."""
    loaded: int
    """When it became visible, milliseconds since the epoch."""
    body: bytes


class ConceptRow(NamedTuple):
    """A concept on its way into an edition.

    The numbers follow the hierarchy depth first, so that what is below a concept is a few ranges of numbers.
    """

    number: int
    """From 0, each used once, ascending from row to row over all batches."""
    key: str
    """What it is found by: the code (without case where the system ignores case). Distinct in the edition."""
    parents: tuple[int, ...]
    """The numbers of the concepts directly above."""
    words: tuple[str, ...]
    """Distinct folded words (letters and digits only, no space) of its code and texts: what filters look for."""
    reach: bytes
    """Opaque to the store: the ranges of numbers below it, b"" for a concept with none."""
    body: bytes
    """Opaque to the store; given back as it came."""


class StoredConcept(NamedTuple):
    """A concept of a loaded edition."""

    number: int
    key: str
    body: bytes


Ranges = Sequence[tuple[int, int]]
"""Ranges of concept numbers, both ends included: ascending, apart from each other. There may be tens of thousands."""


class ConceptReader(Protocol):
    """What a snapshot tells of the loaded editions."""

    def editions_stamp(self) -> int:
        """Return a number that grows with every edition that became visible, was replaced or was removed; 0 at first.

        One read of one small thing: it is asked before every answer that may be kept.
        """
        ...

    def editions(self, system: str | None = None) -> list[Edition]:
        """Return the visible editions, of one system or of all, in the order of their numbers."""
        ...

    def concept(self, edition: int, key: str) -> StoredConcept | None:
        """Return the concept with a key; None when the edition has none, or is not there (any more)."""
        ...

    def concept_reach(self, edition: int, number: int) -> bytes:
        """Return the `reach` of a concept, b"" when there is no such concept."""
        ...

    def concepts_of(self, edition: int, keys: Sequence[str]) -> list[StoredConcept]:
        """Return the concepts with these keys (at most 1,000), in the order of their numbers; unknown keys are left out."""
        ...

    def concept_parents(self, edition: int, numbers: Sequence[int]) -> list[StoredConcept]:
        """Return the concepts directly above any of these (at most 1,000), each once, in the order of their numbers."""
        ...

    def concept_children(self, edition: int, number: int, limit: int = 1_000) -> list[StoredConcept]:
        """Return the first `limit` concepts directly below one, in the order of their numbers."""
        ...

    def concept_page(
        self, edition: int, within: Ranges, words: Sequence[str], offset: int, limit: int
    ) -> list[StoredConcept]:
        """Return concepts with a number `within` the ranges, in the order of their numbers, from the `offset`-th on.

        With `words` (folded, letters and digits only) a concept must have, for each of them, a word that starts with it.
        Without `words` the cost does not grow with `offset`. Raises TooCostly when a bound of the store is reached.
        """
        ...

    def concept_count(self, edition: int, within: Ranges, words: Sequence[str]) -> int:
        """Count what `concept_page` would give in all; without `words` that is the size of the ranges."""
        ...


class ConceptLoader(Protocol):
    """What a store does with whole editions."""

    def load_concepts(self, head: EditionHead, batches: Iterable[Sequence[ConceptRow]]) -> Edition:
        """Load a code system, and return it as it became visible.

        Each batch (a few thousand rows) is written durably by itself, so that other writers get their turns between, and
        none of it is visible. When `batches` ends, the whole edition becomes visible in one commit, in place of the
        visible edition of the same system and version, whose concepts are taken away then or soon after: a snapshot
        that still sees the old edition keeps seeing all of it. What `batches` raises comes out, and nothing of the
        edition remains. What a killed process leaves behind is never visible, and a later load takes it away once it
        has not grown for ten minutes. Of two loads of the same system and version, the one that ends last stays. The
        change feed, history and sequence numbers are not touched. Blocks: not for the thread of an event loop.
        """
        ...

    def remove_concepts(self, system: str, version: str) -> bool:
        """Remove an edition with all its concepts, invisible in one commit; return whether there was one. Blocks."""
        ...
