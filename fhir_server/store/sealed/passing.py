"""What passes the decorator untouched: code systems that are loaded whole name no persons."""

from collections.abc import Iterable, Sequence

from fhir_server.store.concepts import (
    ConceptLoader,
    ConceptReader,
    ConceptRow,
    Edition,
    EditionHead,
    Ranges,
    StoredConcept,
)


class PassingReader:
    """See `store.concepts.ConceptReader` for what each method promises."""

    __slots__ = ("_concepts",)

    def __init__(self, concepts: ConceptReader) -> None:
        self._concepts = concepts

    def editions_stamp(self) -> int:
        """Return a number that grows with every change of the visible editions."""
        return self._concepts.editions_stamp()

    def editions(self, system: str | None = None) -> list[Edition]:
        """Return the visible editions."""
        return self._concepts.editions(system)

    def concept(self, edition: int, key: str) -> StoredConcept | None:
        """Return the concept with a key."""
        return self._concepts.concept(edition, key)

    def concept_reach(self, edition: int, number: int) -> bytes:
        """Return the `reach` of a concept."""
        return self._concepts.concept_reach(edition, number)

    def concepts_of(self, edition: int, keys: Sequence[str]) -> list[StoredConcept]:
        """Return the concepts with these keys."""
        return self._concepts.concepts_of(edition, keys)

    def concept_parents(self, edition: int, numbers: Sequence[int]) -> list[StoredConcept]:
        """Return the concepts directly above any of these."""
        return self._concepts.concept_parents(edition, numbers)

    def concept_children(self, edition: int, number: int, limit: int = 1_000) -> list[StoredConcept]:
        """Return the first concepts directly below one."""
        return self._concepts.concept_children(edition, number, limit)

    def concept_page(
        self, edition: int, within: Ranges, words: Sequence[str], offset: int, limit: int
    ) -> list[StoredConcept]:
        """Return a page of the concepts within ranges."""
        return self._concepts.concept_page(edition, within, words, offset, limit)

    def concept_count(self, edition: int, within: Ranges, words: Sequence[str]) -> int:
        """Count what `concept_page` would give in all."""
        return self._concepts.concept_count(edition, within, words)


class PassingLoader:
    """See `store.concepts.ConceptLoader` for what each method promises."""

    def __init__(self, loader: ConceptLoader) -> None:
        self._loader = loader

    def load_concepts(self, head: EditionHead, batches: Iterable[Sequence[ConceptRow]]) -> Edition:
        """Load a code system, and return it as it became visible."""
        return self._loader.load_concepts(head, batches)

    def remove_concepts(self, system: str, version: str) -> bool:
        """Remove an edition with all its concepts."""
        return self._loader.remove_concepts(system, version)
