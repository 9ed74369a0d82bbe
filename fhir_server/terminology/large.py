"""A code system that a store keeps: asked concept by concept, never held in memory.

What a filter selects is a set of ranges of concept numbers (`terminology.spans`), which are counted, cut and listed by
page without a look at the concepts that are not shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol, TypeAlias

from fhir_server.model.errors import TooCostly
from fhir_server.terminology import spans
from fhir_server.terminology.concepts import CodeSystemIndex, Concept
from fhir_server.terminology.releases.numbered import Head, concept_of
from fhir_server.terminology.spans import Spans
from fhir_server.terminology.value_sets import Filter

MOST_LISTED: Final = 20_000
"""Concepts of a large code system that are held at once, where a page will not do."""
_AT_ONCE: Final = 1_000
_ITSELF: Final = ("concept", "code")


class Kept(Protocol):
    """A concept as a store keeps it (`store.concepts.StoredConcept`)."""

    @property
    def number(self) -> int:
        """Its place in the edition."""
        ...

    @property
    def body(self) -> bytes:
        """What `releases.numbered` made of it."""
        ...


class Keeper(Protocol):
    """What is asked of a store; `store.concepts.ConceptReader` says what each method promises."""

    def concept(self, edition: int, key: str) -> Kept | None:
        """As the store."""
        ...

    def concept_reach(self, edition: int, number: int) -> bytes:
        """As the store."""
        ...

    def concepts_of(self, edition: int, keys: Sequence[str]) -> Sequence[Kept]:
        """As the store."""
        ...

    def concept_parents(self, edition: int, numbers: Sequence[int]) -> Sequence[Kept]:
        """As the store."""
        ...

    def concept_children(self, edition: int, number: int, limit: int = 1_000) -> Sequence[Kept]:
        """As the store."""
        ...

    def concept_page(
        self, edition: int, within: Spans, words: Sequence[str], offset: int, limit: int
    ) -> Sequence[Kept]:
        """As the store."""
        ...

    def concept_count(self, edition: int, within: Spans, words: Sequence[str]) -> int:
        """As the store."""
        ...


class LargeSystem:
    """One edition, as of one snapshot of a store; answers as CodeSystemIndex does."""

    __slots__ = ("_head", "_keeper", "edition", "everything", "url", "version")

    def __init__(self, keeper: Keeper, edition: int, url: str, version: str, count: int, head: Head) -> None:
        self._keeper, self.edition, self._head = keeper, edition, head
        self.url, self.version = url, version
        self.everything: Spans = spans.whole(count)

    @property
    def name(self) -> str:
        """What people call it."""
        return self._head.name

    @property
    def complete(self) -> bool:
        """Whether all its codes are there."""
        return self._head.complete

    @property
    def property_types(self) -> Mapping[str, str]:
        """The types of its properties, as it declares them."""
        return self._head.property_types

    @property
    def inactive(self) -> Spans:
        """The concepts that may no longer be used."""
        return self._head.inactive

    @property
    def abstract(self) -> Spans:
        """The concepts that only group others."""
        return self._head.abstract

    def __len__(self) -> int:
        return spans.size(self.everything)

    def __iter__(self) -> Iterator[Concept]:
        """Yield all concepts; raises TooCostly for too many."""
        return self.listed(self.everything)

    def is_same(self, other: "LargeSystem") -> bool:
        """Whether it is the same edition."""
        return self.edition == other.edition

    def get(self, code: str) -> Concept | None:
        """Return the concept, or None; without regard to case where the code system says so."""
        found = self._keeper.concept(self.edition, self._key(code))
        return None if found is None else self._concept(found)

    def get_all(self, codes: Sequence[str]) -> dict[str, Concept]:
        """Return those of the codes that it has."""
        found: dict[str, Concept] = {}
        for at in range(0, len(codes), _AT_ONCE):
            keys = [self._key(code) for code in codes[at : at + _AT_ONCE]]
            found.update((one.code, one) for one in self._concepts(self._keeper.concepts_of(self.edition, keys)))
        return found

    def children(self, code: str) -> tuple[str, ...]:
        """Return the codes directly below, at most a thousand."""
        return tuple(one.code for one in self._children(code))

    def ancestors(self, code: str) -> frozenset[str]:
        """Return every code above, without the code itself."""
        return frozenset(one.code for one in self._above(code).values())

    def descendants(self, code: str) -> frozenset[str]:
        """Return every code below, without the code itself; raises TooCostly for too many."""
        return frozenset(one.code for one in self.listed(self.below(code)))

    def is_below(self, code: str, above: str) -> bool:
        """Tell whether `above` is somewhere above the code."""
        concept = self.get(code)
        return concept is not None and spans.has(self.below(above), concept.position)

    def below(self, code: str) -> Spans:
        """Return what is below a code, without the code itself; nothing for an unknown code."""
        found = self._keeper.concept(self.edition, self._key(code))
        return spans.EMPTY if found is None else spans.unpack(self._keeper.concept_reach(self.edition, found.number))

    def select(self, rule: Filter) -> Spans | None:
        """Return the concepts that pass a filter; None for a filter that only looking at each concept can tell."""
        if rule.property in _ITSELF:
            return self._by_code(rule)
        if rule.property == "parent" and rule.op == "=":
            return spans.of_numbers(one.position for one in self._children(rule.value))
        if rule.property == "child" and rule.op == "=":
            found = self.get(rule.value)
            return spans.of_numbers(one.position for one in self._parents([found.position])) if found else spans.EMPTY
        if rule.property in ("inactive", "notSelectable") and rule.op == "=":
            flagged = self.inactive if rule.property == "inactive" else self.abstract
            return flagged if rule.value == "true" else spans.difference(self.everything, flagged)
        return None

    def page(self, within: Spans, words: Sequence[str], offset: int, limit: int) -> Iterator[Concept]:
        """Yield some of the concepts within ranges, those whose words start with all of `words`."""
        return self._concepts(self._keeper.concept_page(self.edition, within, words, offset, limit))

    def count(self, within: Spans, words: Sequence[str]) -> int:
        """Count what `page` would yield in all."""
        return self._keeper.concept_count(self.edition, within, words)

    def listed(self, within: Spans) -> Iterator[Concept]:
        """Yield all concepts within ranges; raises TooCostly for too many."""
        wanted = spans.size(within)
        if wanted > MOST_LISTED:
            raise TooCostly(
                f"{wanted} codes of {self.url} are meant; at most {MOST_LISTED} are listed at once. Narrow it, or ask for "
                "pages of a value set that is of this code system alone.",
                key="expansion-too-costly",
            )
        for offset in range(0, wanted, _AT_ONCE):
            yield from self.page(within, (), offset, _AT_ONCE)

    def _by_code(self, rule: Filter) -> Spans:
        codes = [one.strip() for one in rule.value.split(",")] if rule.op in ("in", "not-in") else [rule.value]
        own = spans.of_numbers(one.position for one in self.get_all(codes).values())
        match rule.op:
            case "is-a":
                return spans.union(own, self.below(rule.value))
            case "descendent-of":
                return self.below(rule.value)
            case "is-not-a":
                return spans.difference(self.everything, spans.union(own, self.below(rule.value)))
            case "generalizes":
                return spans.union(own, spans.of_numbers(self._above(rule.value)))
            case "not-in":
                return spans.difference(self.everything, own)
            case "exists":
                return self.everything if rule.value == "true" else spans.EMPTY
            case _:
                return own

    def _above(self, code: str) -> dict[int, Concept]:
        concept = self.get(code)
        found: dict[int, Concept] = {}
        level = [] if concept is None else [concept.position]
        while level:
            new = [one for one in self._parents(level) if one.position not in found]
            found.update((one.position, one) for one in new)
            level = [one.position for one in new]
        return found

    def _parents(self, numbers: Sequence[int]) -> Iterator[Concept]:
        for at in range(0, len(numbers), _AT_ONCE):
            yield from self._concepts(self._keeper.concept_parents(self.edition, numbers[at : at + _AT_ONCE]))

    def _children(self, code: str) -> Iterator[Concept]:
        found = self._keeper.concept(self.edition, self._key(code))
        if found is not None:
            yield from self._concepts(self._keeper.concept_children(self.edition, found.number))

    def _key(self, code: str) -> str:
        return code if self._head.case_sensitive else code.casefold()

    def _concept(self, kept: Kept) -> Concept:
        return concept_of(kept.body, kept.number, self._head.uses)

    def _concepts(self, kept: Sequence[Kept]) -> Iterator[Concept]:
        return map(self._concept, kept)


CodeSystem: TypeAlias = CodeSystemIndex | LargeSystem
"""A code system, wherever it is."""
