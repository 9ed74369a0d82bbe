"""The events of each subscription, numbered from 1 without holes, as records of the store.

They are numbered in the unit of work that advances the dispatcher's place in the feed (`outbound.dispatcher`), so each
change becomes an event once, whatever is killed when. A channel that is not pushed to (a websocket) reads them here.
"""

from typing import Final, NamedTuple

import msgspec

from fhir_server.store.port import Snapshot, UnitOfWork

EVENT: Final = "subscription-event"
"""Kind of the record of one event; its key is `id/number`, twelve digits; due is when it is forgotten."""
COUNT: Final = "subscription-count"
"""Kind of the record with how many events a subscription has had; its key is the id."""
_PAGE: Final = 500


class Event(NamedTuple):
    """One event: what changed, not what it says; that is read when it is told, by the rights of that moment."""

    number: int
    at: int
    """When the change was committed, milliseconds since the epoch."""
    focus: str
    """`Type/id`."""
    version: int
    """The version that the event is about, 0 when it is about none in particular."""
    method: str
    """POST, PUT, PATCH or DELETE."""
    sequence: int
    """Of the change in the feed."""


class _Kept(msgspec.Struct, array_like=True):
    at: int
    focus: str
    version: int
    method: str
    sequence: int


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(_Kept)


def event_count(snapshot: Snapshot, subscription: str) -> int:
    """Return how many events a subscription (its id) has had: the number of the newest."""
    record = snapshot.record(COUNT, subscription)
    return int(record.body) if record is not None else 0


def events_from(snapshot: Snapshot, subscription: str, first: int, limit: int, last: int | None = None) -> list[Event]:
    """Return up to `limit` events from a number on, in order, up to `last`. Those forgotten by retention are not there."""
    found: list[Event] = []
    after = _key(subscription, max(first, 1) - 1)
    while len(found) < limit:
        page = snapshot.records(EVENT, after, min(limit - len(found), _PAGE))
        for record in page:
            owner, _, number = record.key.rpartition("/")
            if owner != subscription or (last is not None and int(number) > last):
                return found
            kept = _decoder.decode(record.body)
            found.append(Event(int(number), kept.at, kept.focus, kept.version, kept.method, kept.sequence))
        if not page:
            break
        after = page[-1].key
    return found


def append_events(uow: UnitOfWork, subscription: str, events: list[Event], forget: int) -> int:
    """Number events and keep them, each until `forget` milliseconds after it was committed; return the newest number."""
    number = event_count(uow, subscription)
    for event in events:
        number += 1
        kept = _Kept(event.at, event.focus, event.version, event.method, event.sequence)
        uow.set_record(EVENT, _key(subscription, number), _encode(kept), event.at + forget)
    uow.set_record(COUNT, subscription, b"%d" % number)
    return number


def forget_events(uow: UnitOfWork, before: int, limit: int) -> int:
    """Forget up to `limit` events whose time is over; return how many there were. Their numbers are not used again."""
    old = uow.due_records(EVENT, before, limit)
    for record in old:
        uow.remove_record(EVENT, record.key)
    return len(old)


def _key(subscription: str, number: int) -> str:
    return f"{subscription}/{number:012d}"
