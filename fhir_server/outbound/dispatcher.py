"""From the feed to numbered events: one process at a time walks the feed and files each change with whom it concerns.

The feed is the outbox: it is written in the transaction of the change, gapless and in order. The place that was reached and
the events up to it change in one unit of work, under a lease with a fence, so that a process that is killed anywhere leaves
either both or neither: no change is missed, none gets two numbers. Nothing is added to the path of a write.
"""

import secrets
import threading
import time
from functools import partial
from typing import Final, NamedTuple

import msgspec
import structlog

from fhir_server.interactions.context import Engine
from fhir_server.interactions.feed_news import tell_news
from fhir_server.interactions.subscriptions_channels import CHANNELS
from fhir_server.interactions.subscriptions_events import Event, append_events
from fhir_server.interactions.subscriptions_matching import Changed
from fhir_server.interactions.subscriptions_owner import OWNER, view_of
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import FhirError
from fhir_server.model.temporal import parse_temporal
from fhir_server.outbound.attempt import place_of
from fhir_server.outbound.deliveries import TICK, Deliveries
from fhir_server.outbound.lease import LEASE_MS, Lease, LeaseLost
from fhir_server.outbound.roster import SUBSCRIPTION, Roster
from fhir_server.store.port import HistoryScope, OutboxEvent, Snapshot, UnitOfWork, Version

KIND: Final = "outbound"
PLACE: Final = "place"
_BATCH: Final = 200
_PAUSE: Final = 0.005
_QUIET: Final = 0.05
"""Seconds between two looks, the longer after one that found nothing for anybody: changes that come meanwhile share one."""
_IDLE: Final = 0.5
_REST: Final = 4
"""Ticks between two looks whether there is something to do for this process."""
_KEEP_EVERY: Final = 5.0
"""Seconds after which a place that was reached without an event is kept."""
_DAY_MS: Final = 86_400_000
_log = structlog.get_logger("fhir_server.outbound")


class Place(msgspec.Struct, frozen=True):
    """How far the feed (`sequence`) and the events of the workflow (`outbox`) have been walked."""

    sequence: int = 0
    outbox: int = 0


_decoder = msgspec.json.Decoder(Place)
_Found = dict[str, list[Event]]


class _Step(NamedTuple):
    place: Place
    found: _Found
    changed: frozenset[str]
    """The subscriptions that were changed on the way."""
    more: bool


class Dispatcher:
    """Walks the feed in a thread of its own, while this process holds the lease."""

    def __init__(self, engine: Engine, deliveries: Deliveries, *, tick: float = TICK, lease_ms: int = LEASE_MS) -> None:
        self._engine = engine
        self._deliveries = deliveries
        self._lease = Lease(engine.store, engine.clock, KIND, secrets.token_hex(8), lease_ms)
        self._rest = tick * _REST
        self._roster = Roster(engine)
        self._place = Place()
        self._kept = Place()
        self._kept_at = 0.0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End what runs, and give the lease back."""
        self._stopped.set()
        self._engine.signal.touch()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                if self._is_needed() and self._lease.hold():
                    self._lead()
            except LeaseLost:
                _log.info("another process tells the subscriptions now")
            except FhirError as error:
                _log.warning("subscriptions wait for the store", failure=type(error).__name__)
            except Exception as error:  # noqa: BLE001  # a defect of ours must not end the thread: its place is logged
                _log.error("the dispatcher failed and begins again", **place_of(error))
            self._deliveries.rest()
            self._stopped.wait(self._rest)
        try:
            self._lease.release()
        except FhirError:
            _log.info("the lease was not given back; it ends by itself")

    def _is_needed(self) -> bool:
        return bool(self._engine.store.read(lambda snapshot: snapshot.records(OWNER, "", 1), once=True))

    def _lead(self) -> None:
        """Walk the feed until the lease is lost, nobody subscribes any more, or the server stops."""
        self._engine.store.read(self._load)
        self._deliveries.lead(self._roster.known, self._lease.require)
        looked, pause = 0.0, _PAUSE
        while not self._stopped.is_set() and self._lease.hold() and self._roster.known:
            time.sleep(max(0.0, looked + pause - time.monotonic()))
            looked = time.monotonic()
            step = self._engine.store.read(self._walk)
            pause = _PAUSE if step.found else _QUIET
            self._take(step)
            if not step.more:
                self._engine.signal.wait_blocking(self._place.sequence, _IDLE)
        if self._place != self._kept:
            self._engine.store.write(self._keep)

    def _load(self, snapshot: Snapshot) -> None:
        self._roster.load(snapshot)
        record = snapshot.record(KIND, PLACE)
        if record is not None:
            self._place = _decoder.decode(record.body)
        begins = min((one.since for one in self._roster.known.values()), default=snapshot.last_sequence())
        if record is None or (self._place.sequence < begins):
            self._place = Place(begins, self._place.outbox)
        self._kept, self._kept_at = self._place, time.monotonic()

    def _walk(self, snapshot: Snapshot) -> _Step:
        """Look at the next changes and events; they are matched by the subscriptions as this snapshot has them."""
        changes = snapshot.changes(self._place.sequence, _BATCH, (*self._roster.matcher.types, SUBSCRIPTION))
        changed = frozenset(one.id for one in changes if one.type == SUBSCRIPTION)
        if changed:
            self._roster.refresh(snapshot, changed)
        full = len(changes) == _BATCH
        sequence = changes[-1].sequence if full else snapshot.last_sequence()
        if changed and set(self._roster.matcher.types) - {one.type for one in changes}:
            changes, sequence, full = self._again(snapshot, sequence)
        found: _Found = {}
        for version in changes:
            self._file(snapshot, found, self._concerned(snapshot, version), _event_of(version))
        events = snapshot.outbox(self._place.outbox, _BATCH) if self._roster.matcher.wants_events else []
        for event in events:
            self._file_event(snapshot, found, event)
        outbox = events[-1].number if events else self._place.outbox
        return _Step(Place(sequence, outbox), found, changed, full or len(events) == _BATCH)

    def _again(self, snapshot: Snapshot, upto: int) -> tuple[list[Version], int, bool]:
        """Read the changes again, of the types that matter now that subscriptions have changed."""
        types = (*self._roster.matcher.types, SUBSCRIPTION)
        found = [one for one in snapshot.changes(self._place.sequence, _BATCH, types) if one.sequence <= upto]
        full = len(found) == _BATCH
        return found, (found[-1].sequence if full else upto), full

    def _concerned(self, snapshot: Snapshot, version: Version) -> list[str]:
        before = snapshot.version(version.type, version.id, version.version - 1) if version.version > 1 else None
        if before is not None and before.body is None:
            before = None
        return self._roster.matcher.of_change(Changed(version, before))

    def _file_event(self, snapshot: Snapshot, found: _Found, event: OutboxEvent) -> None:
        if not self._roster.matcher.concerns(event.topic):
            return
        said = decode_stored(event.payload)
        kind, _, identity = str(said["focus"]).partition("/")
        versions = snapshot.history(HistoryScope(kind, identity), before=event.sequence + 1, limit=2)
        content = next((one for one in versions if one.body is not None), None)
        if content is None:
            return
        told = _event_of(versions[0])._replace(at=parse_temporal(said["at"]).lo // 1000, sequence=event.sequence)
        self._file(snapshot, found, self._roster.matcher.of_event(event.topic, content), told)

    def _file(self, snapshot: Snapshot, found: _Found, concerned: list[str], event: Event) -> None:
        """File an event with those that it concerns and that may see what it is about."""
        for identity in concerned:
            known = self._roster.known[identity]
            if event.sequence <= known.since:
                continue
            view = view_of(self._engine, snapshot, known.owner)
            kind, _, focus = event.focus.partition("/")
            if view is not None and view.version(kind, focus, event.version) is not None:
                found.setdefault(identity, []).append(event)

    def _take(self, step: _Step) -> None:
        """Make a step final, and tell of it."""
        counts: dict[str, int] = {}
        if step.found:
            counts = self._engine.store.write(partial(self._commit, step=step))
            self._kept, self._kept_at = step.place, time.monotonic()
        self._place = step.place
        if self._place != self._kept and time.monotonic() - self._kept_at > _KEEP_EVERY:
            self._engine.store.write(self._keep)
        if step.changed:
            self._deliveries.changed({one: self._roster.known.get(one) for one in step.changed})
        if counts:
            self._deliveries.offer(counts)

    def _commit(self, uow: UnitOfWork, step: _Step) -> dict[str, int]:
        self._lease.require(uow)
        forget = self._engine.subscriptions.event_days * _DAY_MS
        counts = {one: append_events(uow, one, events, forget) for one, events in step.found.items()}
        uow.set_record(KIND, PLACE, msgspec.json.encode(step.place))
        tell_news(uow, (step.place.sequence, step.place.outbox), (one for one in counts if self._is_fetched(one)))
        return counts

    def _is_fetched(self, identity: str) -> bool:
        """Tell whether a subscription is not pushed to: its receivers wait for news in any process."""
        rule = CHANNELS.get(self._roster.known[identity].subscription.channel)
        return rule is not None and not rule.pushed

    def _keep(self, uow: UnitOfWork) -> None:
        self._lease.require(uow)
        uow.set_record(KIND, PLACE, msgspec.json.encode(self._place))
        self._kept, self._kept_at = self._place, time.monotonic()


def _event_of(version: Version) -> Event:
    """Return the event that a change is; it gets its number later."""
    what = f"{version.type}/{version.id}"
    return Event(0, version.last_updated, what, version.version, version.method, version.sequence)
