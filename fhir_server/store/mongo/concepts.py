"""Large code systems: `editions` has a document for each, `concepts` one for each concept.

An edition: `_id` its number, `system version concepts loaded touched live body`. A concept: `e` edition, `n` number, `k` key,
`p` numbers of its parents, `w` words, `r` reach, `b` body. Nobody asks for the concepts of an edition that is not live.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from fhir_server.store.concepts import Edition, Ranges, StoredConcept
from fhir_server.store.mongo.asking import Asking
from fhir_server.store.mongo.layout import CONCEPTS, EDITIONS, STATE
from fhir_server.store.mongo.link import Document
from fhir_server.store.mongo.pieces import begins

STAMP: Final = "editions"
"""The document of `state` that counts the changes of the visible editions."""
_SHOWN: Final = {"_id": 0, "n": 1, "k": 1, "b": 1}
_AT_ONCE = 1_000


def edition_of(found: Document) -> Edition:
    """Return the edition that a document is."""
    return Edition(found["_id"], found["system"], found["version"], found["concepts"], found["loaded"], found["body"])


class MongoConcepts(Asking):
    """The part of a snapshot that tells of editions; see `store.concepts.ConceptReader` for what each method promises."""

    __slots__ = ()

    def editions_stamp(self) -> int:
        """Return a number that grows with every change of the visible editions."""
        found = self._in(STATE).find_one({"_id": STAMP}, session=self._session)
        return 0 if found is None else int(found["stamp"])

    def editions(self, system: str | None = None) -> list[Edition]:
        """Return the visible editions, of one system or of all."""
        asked: Document = {"live": True} if system is None else {"system": system, "live": True}
        return [edition_of(one) for one in self._in(EDITIONS).find(asked, sort=[("_id", 1)], session=self._session)]

    def concept(self, edition: int, key: str) -> StoredConcept | None:
        """Return the concept with a key."""
        found = self._concepts(edition, {"k": key}, 1)
        return found[0] if found else None

    def concept_reach(self, edition: int, number: int) -> bytes:
        """Return the `reach` of a concept."""
        if not self._is_live(edition):
            return b""
        found = self._in(CONCEPTS).find_one({"e": edition, "n": number}, {"r": 1}, session=self._session)
        return b"" if found is None else bytes(found["r"])

    def concepts_of(self, edition: int, keys: Sequence[str]) -> list[StoredConcept]:
        """Return the concepts with these keys."""
        return self._concepts(edition, {"k": {"$in": list(keys)}}, len(keys))

    def concept_parents(self, edition: int, numbers: Sequence[int]) -> list[StoredConcept]:
        """Return the concepts directly above any of these."""
        asked = {"e": edition, "n": {"$in": list(numbers)}}
        rows = self._in(CONCEPTS).find(asked, {"_id": 0, "p": 1}, batch_size=_AT_ONCE, session=self._session)
        above = sorted({parent for row in rows for parent in row["p"]})
        return self._concepts(edition, {"n": {"$in": above}}, len(above))

    def concept_children(self, edition: int, number: int, limit: int = 1_000) -> list[StoredConcept]:
        """Return the first concepts directly below one."""
        return self._concepts(edition, {"p": number}, limit)

    def concept_page(
        self, edition: int, within: Ranges, words: Sequence[str], offset: int, limit: int
    ) -> list[StoredConcept]:
        """Return concepts within ranges of numbers; those whose words start with all of `words`."""
        if words:
            numbers = list(islice(self._having(edition, within, words), offset, offset + limit))
            return self._concepts(edition, {"n": {"$in": numbers}}, len(numbers))
        found: list[StoredConcept] = []
        for low, high in _part(within, offset, limit):
            found += self._concepts(edition, {"n": {"$gte": low, "$lte": high}}, high - low + 1)
        return found

    def concept_count(self, edition: int, within: Ranges, words: Sequence[str]) -> int:
        """Count what `concept_page` would give in all."""
        if not words:
            return sum(high - low + 1 for low, high in within)
        return sum(1 for _ in self._having(edition, within, words))

    def _concepts(self, edition: int, asked: Document, limit: int) -> list[StoredConcept]:
        if limit <= 0 or not self._is_live(edition):
            return []
        rows = self._in(CONCEPTS).find(
            {"e": edition, **asked}, _SHOWN, sort=[("n", 1)], limit=limit, batch_size=limit, session=self._session
        )
        return [StoredConcept(row["n"], row["k"], row["b"]) for row in rows]

    def _is_live(self, edition: int) -> bool:
        return (
            self._in(EDITIONS).find_one({"_id": edition, "live": True}, {"_id": 1}, session=self._session) is not None
        )

    def _having(self, edition: int, within: Ranges, words: Sequence[str]) -> Iterator[int]:
        """Yield the numbers within the ranges whose words start with all of these."""
        if not within or not self._is_live(edition):
            return
        bound = self._bound()
        stages: list[Document] = [{"$match": {"e": edition, "n": {"$gte": within[0][0], "$lte": within[-1][1]}}}]
        stages += [{"$match": begins("w", one)} for one in words]
        stages += [{"$sort": {"n": 1}}, {"$project": {"_id": 0, "n": 1}}]
        rows = self._in(CONCEPTS).aggregate(
            stages, session=self._session, batchSize=_AT_ONCE, maxTimeMS=bound.left_ms()
        )
        ranges = iter(within)
        low, high = next(ranges)
        for place, row in enumerate(rows):
            if place % _AT_ONCE == 0:
                bound.left_ms()
            while row["n"] > high:
                low, high = next(ranges)
            if row["n"] >= low:
                yield row["n"]


def _part(within: Ranges, offset: int, limit: int) -> Iterator[tuple[int, int]]:
    """Yield what remains of ranges when `offset` numbers are skipped and `limit` are taken."""
    for low, high in within:
        start = low + offset
        if limit <= 0:
            return
        if start <= high:
            end = min(high, start + limit - 1)
            yield start, end
            limit -= end - start + 1
        offset = max(0, offset - (high - low + 1))
