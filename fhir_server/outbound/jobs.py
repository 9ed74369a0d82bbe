"""The jobs of the scheduler: deadlines of referrals, the end of subscriptions, and records whose time is over."""

from functools import partial
from typing import Final, NamedTuple

import msgspec
import structlog

from fhir_server.access.principal import PLATFORM
from fhir_server.interactions.context import Engine
from fhir_server.interactions.feed_news import NEWS
from fhir_server.interactions.subscriptions import read_subscription
from fhir_server.interactions.subscriptions_events import forget_events
from fhir_server.interactions.unit import Unit
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import decode_stored, encode
from fhir_server.model.errors import FhirError, Unavailable
from fhir_server.outbound.scheduler import Fence, Job
from fhir_server.search.query import EVERYTHING, Query, SortKey
from fhir_server.store.port import Snapshot, UnitOfWork, Version
from fhir_server.workflow.deadlines import Deadline, deadlines_of, due_effects
from fhir_server.workflow.effects import Create, Emit, Update
from fhir_server.workflow.links import Links

DEADLINE: Final = "deadline"
"""Kind of the record of one deadline; its key is `Task/id kind`, due is when it passes, none once it was told."""
PLACE: Final = "deadline-place"
"""Kind of the record with the sequence number up to which Tasks were looked at."""
_TASKS: Final = "tasks"
_BATCH: Final = 200
_MINUTE: Final = 60_000
_HOUR: Final = 60 * _MINUTE
_ENDING: Final = ("requested", "active", "error")
_FORGOTTEN: Final = ("session", "revoked-token", "used-assertion", "sign-in", NEWS)
"""Kinds of records that are due when they are of no use any more."""
_log = structlog.get_logger("fhir_server.scheduler")


class _Deadline(msgspec.Struct, frozen=True):
    at: int
    told: bool = False


_decoder = msgspec.json.Decoder(_Deadline)


class _Due(NamedTuple):
    deadline: Deadline
    key: str


class FollowDeadlines:
    """Keeps the deadlines of each Task, from the feed of changes; a Task that changes before it is due moves or ends them."""

    name = "follow-deadlines"
    every_ms = 0

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self, fence: Fence, now: int) -> bool:
        """Look at the next Tasks that changed."""
        del now
        place = self._engine.store.read(self._place)
        changes = self._engine.store.read(lambda snapshot: snapshot.changes(place, _BATCH, ("Task",)))
        if changes:
            self._engine.store.write(partial(self._keep, fence=fence, changes=changes))
        return len(changes) == _BATCH

    @staticmethod
    def _place(snapshot: Snapshot) -> int:
        record = snapshot.record(PLACE, _TASKS)
        return int(record.body) if record is not None else 0

    def _keep(self, uow: UnitOfWork, fence: Fence, changes: list[Version]) -> None:
        fence(uow)
        newest = {version.id: version for version in changes}
        for version in newest.values():
            task = decode_stored(version.body) if version.body is not None else {}
            governed = self._engine.rulebook.governs(task) if task else False
            found = {one.kind: one for one in (deadlines_of(task) if governed else ())}
            for kind in ("task-overdue", "follow-up-due"):
                self._keep_one(uow, f"Task/{version.id} {kind}", found.get(kind))
        uow.set_record(PLACE, _TASKS, b"%d" % changes[-1].sequence)

    @staticmethod
    def _keep_one(uow: UnitOfWork, key: str, deadline: Deadline | None) -> None:
        record = uow.record(DEADLINE, key)
        kept = _decoder.decode(record.body) if record is not None else None
        if deadline is None:
            if kept is not None and not kept.told:
                uow.remove_record(DEADLINE, key)
        elif kept is None or kept.at != deadline.at:
            uow.set_record(DEADLINE, key, msgspec.json.encode(_Deadline(deadline.at)), deadline.at)


class TellDeadlines:
    """Tells each deadline that has passed, once: an event, and with `escalate` a Task for the link worker."""

    name = "tell-deadlines"
    every_ms = 0

    def __init__(self, engine: Engine, *, escalate: bool = False) -> None:
        self._engine = engine
        self._escalate = escalate

    def run(self, fence: Fence, now: int) -> bool:
        """Tell the next that are due, each in a unit of work of its own: one that fails delays no other."""
        due = self._engine.store.read(lambda snapshot: snapshot.due_records(DEADLINE, now + 1, _BATCH))
        for record in due:
            task, _, kind = record.key.partition(" ")
            at = _decoder.decode(record.body).at
            one = _Due(Deadline(kind, task, at), record.key)  # type: ignore[arg-type]  # the key was made from such a kind
            try:
                self._engine.store.write(partial(self._tell, fence=fence, due=one))
            except Unavailable:
                raise
            except FhirError as error:
                _log.warning("a deadline is put off", failure=type(error).__name__, key=error.key, deadline=one.key)
                self._engine.store.write(partial(self._put_off, fence=fence, due=one, until=now + _HOUR))
        if due:
            self._engine.signal.touch()
        return len(due) == _BATCH

    @staticmethod
    def _put_off(uow: UnitOfWork, fence: Fence, due: _Due, until: int) -> None:
        fence(uow)
        record = uow.record(DEADLINE, due.key)
        if record is not None and record.due is not None:
            uow.set_record(DEADLINE, due.key, record.body, until)

    def _tell(self, uow: UnitOfWork, fence: Fence, due: _Due) -> None:
        fence(uow)
        record = uow.record(DEADLINE, due.key)
        if record is None or record.due is None:
            return  # told or taken back since it was read
        unit = Unit(self._engine, uow, PLATFORM)
        now = render_instant(self._engine.clock.now_ms())
        links = Links(unit, self._engine.own_base, self._engine.rulebook.governs)
        wording = self._engine.rulebook.wording
        for effect in due_effects(due.deadline, links, now, escalate=self._escalate, wording=wording):
            match effect:
                case Emit(topic, focus):
                    uow.emit(topic, encode({"focus": focus, "at": now}))
                case Create(resource):
                    unit.by_server(resource)
                case Update(resource):  # the Task, with a note that says why nobody else was told
                    unit.write(resource, resource["id"], "PUT", uow.current("Task", resource["id"]))
                    _log.warning("an overdue referral is not escalated", task=due.deadline.task)
                case _:
                    raise TypeError(f"a deadline brings about no {type(effect).__name__}")
        unit.settle()
        uow.set_record(DEADLINE, due.key, msgspec.json.encode(_Deadline(due.deadline.at, told=True)))


class EndSubscriptions:
    """Turns off the subscriptions whose `end` has passed."""

    name = "end-subscriptions"
    every_ms = _MINUTE

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self, fence: Fence, now: int) -> bool:
        """Turn off those that are over."""
        ended = self._engine.store.read(lambda snapshot: self._ended(snapshot, now))
        for identity in ended:
            self._engine.store.write(partial(self._turn_off, fence=fence, identity=identity, now=now))
        if ended:
            self._engine.signal.touch()
        return False

    def _ended(self, snapshot: Snapshot, now: int) -> list[str]:
        found: list[str] = []
        query = Query("Subscription", EVERYTHING, (SortKey("_lastUpdated"),), _BATCH)
        while rows := snapshot.search(query):
            found += [row.version.id for row in rows if _is_over(row.version, now)]
            query = Query("Subscription", EVERYTHING, query.sort, _BATCH, rows[-1].position)
        return found

    def _turn_off(self, uow: UnitOfWork, fence: Fence, identity: str, now: int) -> None:
        fence(uow)
        current = uow.current("Subscription", identity)
        if current is None or not _is_over(current, now):
            return
        unit = Unit(self._engine, uow, PLATFORM)
        unit.write({**decode_stored(current.body or b"{}"), "status": "off"}, identity, "PUT", current)
        unit.settle()


def _is_over(version: Version, now: int) -> bool:
    if version.body is None:
        return False
    found = read_subscription(decode_stored(version.body), version)
    return found.end is not None and found.end <= now and found.status in _ENDING


class ForgetRecords:
    """Forgets what is of no use any more: sessions that ended, used and revoked tokens, old events and news."""

    name = "forget-records"
    every_ms = _MINUTE

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self, fence: Fence, now: int) -> bool:
        """Forget a part of each kind."""
        return self._engine.store.write(partial(self._forget, fence=fence, now=now))

    @staticmethod
    def _forget(uow: UnitOfWork, fence: Fence, now: int) -> bool:
        fence(uow)
        most = forget_events(uow, now, _BATCH)
        for kind in _FORGOTTEN:
            old = uow.due_records(kind, now, _BATCH)
            for record in old:
                uow.remove_record(kind, record.key)
            most = max(most, len(old))
        return most == _BATCH


def all_jobs(engine: Engine, *, escalate: bool) -> tuple[Job, ...]:
    """Return the jobs of a server."""
    return (
        FollowDeadlines(engine),
        TellDeadlines(engine, escalate=escalate),
        EndSubscriptions(engine),
        ForgetRecords(engine),
    )
