"""One attempt to tell one subscriber something: compose it by the rights of now, hand it to the channel, say what came of it."""

import time
import traceback
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

import structlog

from fhir_server.access.principal import Principal
from fhir_server.interactions.context import Engine
from fhir_server.interactions.subscriptions import Subscription
from fhir_server.interactions.subscriptions_events import Event, events_from
from fhir_server.interactions.subscriptions_lanes import Lane, secret_of
from fhir_server.interactions.subscriptions_notification import Told, looked_at, notification
from fhir_server.interactions.subscriptions_owner import view_of
from fhir_server.model.errors import FhirError
from fhir_server.outbound.channel import Channel, Notification, Outcome
from fhir_server.outbound.roster import Known
from fhir_server.store.port import Snapshot

Kind = Literal["handshake", "activate", "events", "heartbeat", "give-up", "end"]
MOST_EVENTS: Final = 20
"""Events in one notification, where the subscription does not say."""
_log = structlog.get_logger("fhir_server.outbound")


class Todo(NamedTuple):
    """What to do."""

    subscription: str
    known: Known
    lane: Lane
    newest: int
    """The number of its newest event."""
    kind: Kind
    destination: str


class Result(NamedTuple):
    """What came of it."""

    subscription: str
    version: int
    """Of the Subscription that was told: an outcome changes the status of no other."""
    kind: Kind
    destination: str
    outcome: Outcome
    reached: int
    """The number of the last event that need not be told again when it was delivered."""
    took_ms: int = 0
    owner: Principal = Principal()
    shown: tuple[Told, ...] = ()
    """What the subscriber was shown, for the audit trail."""


class _Composed(NamedTuple):
    notification: Notification | None
    """None when there is nothing to send."""
    reached: int
    owner: Principal
    shown: tuple[Told, ...] = ()


class Attempt:
    """Makes attempts. Safe between threads."""

    def __init__(self, engine: Engine, channels: Mapping[str, Channel]) -> None:
        self._engine = engine
        self._channels = channels

    def carry_out(self, todo: Todo) -> Result:
        """Make one attempt. Never raises."""
        started = time.monotonic()
        composed: _Composed | None = None
        try:
            outcome, composed = self._attempt(todo)
        except FhirError as error:
            outcome = Outcome(delivered=False, fault="The server could not compose the notification.")
            _log.warning("a notification cannot be composed", failure=type(error).__name__)
        except Exception as error:  # noqa: BLE001  # a defect of ours: tried again, and its place is logged
            outcome = Outcome(delivered=False, fault="The server could not compose the notification.")
            _log.error("a notification cannot be composed", **place_of(error))
        took = int((time.monotonic() - started) * 1000)
        reached = composed.reached if composed is not None else todo.lane.sent
        result = Result(
            todo.subscription, todo.known.subscription.version, todo.kind, todo.destination, outcome, reached, took
        )
        if composed is None or not outcome.delivered:
            return result
        return result._replace(owner=composed.owner, shown=composed.shown)

    def _attempt(self, todo: Todo) -> tuple[Outcome, _Composed | None]:
        subscription = todo.known.subscription
        if todo.kind == "give-up":
            return Outcome(delivered=False, fault=todo.known.fault, final=True), None
        if todo.kind in ("activate", "end"):
            return Outcome(delivered=True), None
        channel = self._channels.get(subscription.channel)
        if channel is None:
            return Outcome(delivered=False, fault=f"The channel {subscription.channel} is not offered now."), None
        composed = self._engine.store.read(lambda snapshot: self._compose(snapshot, todo))
        if composed is None:
            return Outcome(
                delivered=False, fault="Who made the subscription may not use it any more.", final=True
            ), None
        if composed.notification is None:
            return Outcome(delivered=True), composed
        return channel.deliver(subscription, composed.notification), composed

    def _compose(self, snapshot: Snapshot, todo: Todo) -> _Composed | None:
        """Compose what is to be sent; None when the subscriber sees nothing any more."""
        subscription, owner = todo.known.subscription, todo.known.owner
        view = view_of(self._engine, snapshot, owner)
        if view is None:
            return None
        secret, attempt = secret_of(snapshot, todo.subscription), todo.lane.attempts + 1
        if todo.kind != "events":
            kind: Literal["handshake", "heartbeat"] = "handshake" if todo.kind == "handshake" else "heartbeat"
            body = self._bundle(subscription, kind, todo.newest, ())
            sent = Notification(kind, body, attempt=attempt, secret=secret)
            return _Composed(sent, todo.lane.sent, owner)
        most = 1 if subscription.plain else subscription.max_count or MOST_EVENTS
        events = events_from(snapshot, todo.subscription, todo.lane.sent + 1, most, todo.newest)
        if not events:  # forgotten: nobody asked for them for as long as events are kept
            return _Composed(None, todo.newest, owner)
        told = looked_at(view, events)
        if subscription.plain:
            return _Composed(
                _plain(subscription, told[0], attempt, secret), events[-1].number, owner, _shown(subscription, told)
            )
        body = self._bundle(subscription, "event-notification", todo.newest, told)
        sent = _about(events, body)._replace(attempt=attempt, secret=secret)
        return _Composed(sent, events[-1].number, owner, _shown(subscription, told))

    def _bundle(
        self,
        subscription: Subscription,
        kind: Literal["handshake", "heartbeat", "event-notification"],
        count: int,
        told: tuple[Told, ...] | list[Told],
    ) -> bytes:
        engine = self._engine
        now = engine.clock.now_ms()
        return notification(
            engine.own_base, subscription, kind, count, told, now=now, entry_id=_uuid(engine.ids.new_id())
        )


def place_of(error: Exception) -> dict[str, str]:
    """Say where a defect struck, without any value: messages and locals may hold personal data."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return {"failure": type(error).__name__, "at": f"{frame.filename}:{frame.lineno} {frame.name}"}


def _about(events: list[Event], body: bytes) -> Notification:
    return Notification("event-notification", body, events[0].number, events[-1].number, events[-1].at)


def _plain(subscription: Subscription, told: Told, attempt: int, secret: bytes) -> Notification | None:
    """Return what a plain R4 subscriber is sent: the resource or an empty ping; nothing for what it may not see now."""
    if told.version is None or told.version.body is None:
        return None
    sent = _about([told.event], told.version.body if subscription.media else b"")
    return sent._replace(focus=told.event.focus if subscription.media else "", attempt=attempt, secret=secret)


def _shown(subscription: Subscription, told: list[Told]) -> tuple[Told, ...]:
    if subscription.content == "empty":
        return ()
    return tuple(one for one in told if one.version is not None)


def _uuid(text: str) -> str:
    """Write 32 hexadecimal digits as a UUID."""
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:32]))
