"""Rotating the keys of a store while others use it, and telling how it is sealed."""

import os
from typing import NamedTuple

import msgspec

from fhir_server.store.port import Snapshot, UnitOfWork
from fhir_server.store.sealed.keyring import (
    KEY_BYTES,
    KIND,
    SEALED,
    WrappedKey,
    fingerprint,
    keep,
    stored_keys,
    unwrap,
    wrap,
)
from fhir_server.store.sealed.store import SealedStore

_BATCH = 500


class Rotated(NamedTuple):
    """What a rotation left: how many data keys there are, and the fingerprint of the master key that wraps them all."""

    data_keys: int
    master: str


class Status(NamedTuple):
    """How a store is sealed."""

    keys: tuple[WrappedKey, ...]
    sealed: dict[int, int]
    """Data key → how many versions it seals; empty unless they were counted."""
    in_clear: int
    """Versions that mention a national number and are not sealed: written before the store was."""


def rotate(store: SealedStore) -> Rotated:
    """Make a new data key, and wrap all keys by the first master key.

    One unit of work: there is no moment at which a key cannot be opened by who has old and new master keys. Processes
    that run go on with the keys they hold, open what the new key seals, and seal with it themselves within half a minute.
    Raises Unavailable when the master keys that are given do not open the keys.
    """
    first = store.masters.given()[0]

    def work(unit: UnitOfWork) -> Rotated:
        numbers = [0]
        for key in stored_keys(unit):
            keep(unit, wrap(unwrap(key, store.masters), key.use, key.number, first, key.made))
            numbers.append(key.number)
        newest = max(numbers) + 1
        keep(unit, wrap(os.urandom(KEY_BYTES), "data", newest, first, unit.last_updated))
        return Rotated(newest, fingerprint(first))

    return store.inner.write(work)


def status(store: SealedStore, *, count: bool = False) -> Status:
    """Tell the keys; with `count`, walk all versions and tell which key seals how many."""

    def work(snapshot: Snapshot) -> Status:
        records = snapshot.records(KIND, limit=10_000)
        known = tuple(msgspec.json.decode(record.body, type=WrappedKey) for record in records)
        sealed: dict[int, int] = {}
        in_clear, after = 0, 0
        while count and (versions := snapshot.changes(after, _BATCH)):
            for version in versions:
                if version.body is None:
                    continue
                if version.body[:1] == SEALED:
                    number = int.from_bytes(version.body[1:5], "big")
                    sealed[number] = sealed.get(number, 0) + 1
                elif store.numbers.within(version.body):
                    in_clear += 1
            after = versions[-1].sequence
        return Status(known, dict(sorted(sealed.items())), in_clear)

    return store.inner.read(work)
