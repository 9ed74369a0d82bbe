"""Loading and removing large code systems; `store.mongo.concepts` says how they are kept."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession

from fhir_server.model.errors import Unavailable
from fhir_server.store.concepts import ConceptRow, Edition, EditionHead
from fhir_server.store.mongo.concepts import STAMP, edition_of
from fhir_server.store.mongo.layout import CONCEPTS, EDITIONS, STATE
from fhir_server.store.mongo.link import Document, Link
from fhir_server.store.mongo.unit import MongoUnit
from fhir_server.store.port import UnitOfWork

T = TypeVar("T")

_ABANDONED_MS: Final = 600_000
"""A staged edition that has not grown for so long belongs to a process that is gone."""
_NUMBERS: Final = "edition numbers"


class EditionLoader:
    """Loads and removes editions by units of work; `write` runs one.

    The concepts of an edition that nobody sees any more are taken away outside of transactions, which could not hold them;
    a snapshot that was made before keeps them.
    """

    def __init__(self, write: Callable[[Callable[[UnitOfWork], Any]], Any], link: Link) -> None:
        self._write = write
        self._link = link

    def load(self, head: EditionHead, batches: Iterable[Sequence[ConceptRow]]) -> Edition:
        """Stage an edition batch by batch, then make it visible."""
        number, left = self._run(partial(_stage, head))
        self._sweep(left)
        try:
            for batch in batches:
                self._run(partial(_add, number, batch))
            made, old = self._run(partial(_show, number, head))
        except BaseException:
            self._run(partial(_hide, [number]))
            self._sweep([number])
            raise
        self._sweep(old)
        return made

    def remove(self, system: str, version: str) -> bool:
        """Take an edition away; return whether there was one."""
        old = self._run(partial(_remove, system, version))
        self._sweep(old)
        return bool(old)

    def _sweep(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._link.db[CONCEPTS].delete_many({"e": number})
            self._link.db[EDITIONS].delete_one({"_id": number, "live": False})

    def _run(self, work: Callable[[Link, ClientSession, int], T]) -> T:
        def unit(unit: UnitOfWork) -> T:
            assert isinstance(unit, MongoUnit)  # noqa: S101  # our own writer made it
            return unit.on_session(work)

        found: T = self._write(unit)
        return found


def _stage(head: EditionHead, link: Link, session: ClientSession, now: int) -> tuple[int, list[int]]:
    abandoned = {"live": False, "touched": {"$lt": now - _ABANDONED_MS}}
    left = [one["_id"] for one in link.db[EDITIONS].find(abandoned, {"_id": 1}, session=session)]
    counted = link.db[STATE].find_one_and_update(
        {"_id": _NUMBERS}, {"$inc": {"last": 1}}, upsert=True, return_document=ReturnDocument.AFTER, session=session
    )
    number = 0 if counted is None else int(counted["last"])
    staged: Document = {
        "_id": number, "system": head.system, "version": head.version, "concepts": 0, "loaded": 0,
        "touched": now, "live": False, "body": head.body,
    }  # fmt: skip
    link.db[EDITIONS].insert_one(staged, session=session)
    return number, left


def _add(number: int, rows: Sequence[ConceptRow], link: Link, session: ClientSession, now: int) -> None:
    _touch(link, session, number, now, len(rows))
    concepts = [
        {"e": number, "n": row.number, "k": row.key, "p": list(row.parents), "w": list(row.words), "r": row.reach, "b": row.body}
        for row in rows
    ]  # fmt: skip
    if concepts:
        link.db[CONCEPTS].insert_many(concepts, session=session)


def _show(number: int, head: EditionHead, link: Link, session: ClientSession, now: int) -> tuple[Edition, list[int]]:
    _touch(link, session, number, now, 0)
    old = _visible(link, session, head.system, head.version)
    _hide(old, link, session, now)
    link.db[EDITIONS].update_one({"_id": number}, {"$set": {"live": True, "loaded": now}}, session=session)
    _stamp(link, session)
    made = link.db[EDITIONS].find_one({"_id": number}, session=session)
    assert made is not None  # noqa: S101  # it was touched above, in this transaction
    return edition_of(made), old


def _remove(system: str, version: str, link: Link, session: ClientSession, now: int) -> list[int]:
    old = _visible(link, session, system, version)
    if old:
        _hide(old, link, session, now)
        _stamp(link, session)
    return old


def _hide(numbers: Sequence[int], link: Link, session: ClientSession, now: int) -> None:
    """Nobody sees these from now on; if this process ends before it swept them, a later load does."""
    del now
    gone = {"$set": {"live": False, "touched": 0}}
    link.db[EDITIONS].update_many({"_id": {"$in": list(numbers)}}, gone, session=session)


def _touch(link: Link, session: ClientSession, number: int, now: int, more: int) -> None:
    grown: Document = {"$set": {"touched": now}, "$inc": {"concepts": more}}
    if not link.db[EDITIONS].update_one({"_id": number, "live": False}, grown, session=session).matched_count:
        raise Unavailable(
            "The code system that is being loaded was taken away meanwhile. Nothing was loaded; load again."
        )


def _visible(link: Link, session: ClientSession, system: str, version: str) -> list[int]:
    found = link.db[EDITIONS].find({"system": system, "version": version, "live": True}, {"_id": 1}, session=session)
    return [one["_id"] for one in found]


def _stamp(link: Link, session: ClientSession) -> None:
    link.db[STATE].update_one({"_id": STAMP}, {"$inc": {"stamp": 1}}, upsert=True, session=session)
