"""The websocket channel of Subscriptions (R4 subscription.html, Subscriptions R5 Backport).

A client says `bind-with-token {token}`, or, where access is not enforced, `bind {id}`. A subscription to a topic then gets
a handshake, its events and its heartbeats as Bundles; one to plain R4 criteria gets `bound {id}` and `ping {id}`.

The handshake counts the events so far, and what is sent begins with the one after: whatever happened while the client was
away it asks for by number (`$events`). Events are read from the store a few at a time and only when those before were
taken, so that a slow client costs the server one notification of memory, and one that takes nothing loses its connection.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple

import structlog

from fhir_server.interactions.context import Engine
from fhir_server.interactions.feed_news import News
from fhir_server.interactions.operations.ws_binding_token import CHANNEL, bound_by
from fhir_server.interactions.request import Kind, Request, Result
from fhir_server.interactions.subscriptions import Subscription, read_subscription
from fhir_server.interactions.subscriptions_events import event_count, events_from
from fhir_server.interactions.subscriptions_notification import NotificationType, Told, looked_at, notification
from fhir_server.interactions.subscriptions_owner import owner_of, view_of
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import FhirError
from fhir_server.model.reference import ID_PATTERN
from fhir_server.store.port import Snapshot

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_BIND_SECONDS: Final = 10.0
"""How long a connection may stay without binding."""
_LONGEST_COMMAND: Final = 8_192
_MOST_BOUND: Final = 100
_AT_ONCE: Final = 50
"""Events in one notification, unless the subscription asks for fewer."""
_LOOK_SECONDS: Final = 60.0
"""How often it is looked whether a subscription is still there, when nothing happens."""
_POLICY: Final = 1008
_TRY_LATER: Final = 1013
_NORMAL: Final = 1000
_log = structlog.get_logger("fhir_server.websocket")


class _Ended(Exception):
    """The connection is to be closed."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Step(NamedTuple):
    """What is to be sent to one subscription next."""

    subscription: Subscription
    number: int
    """The event up to which all is told with this."""
    message: str = ""
    shown: Result | None = None
    """What the audit trail says of it, when it names resources."""


class WebsocketChannel:
    """Serves websockets, each with any number of subscriptions."""

    def __init__(self, engine: Engine, *, send_seconds: float = 30.0) -> None:
        """`send_seconds` is how long a client may take to take one message."""
        self.engine = engine
        self.news = News(engine.store, engine.signal)
        self.send_seconds = send_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until either side ends it."""
        del scope
        await receive()
        await send({"type": "websocket.accept"})
        connection = _Connection(self, send)
        try:
            await connection.run(receive)
        except _Ended as end:
            with suppress(OSError, RuntimeError):  # the client may be gone already
                await send({"type": "websocket.close", "code": end.code, "reason": end.reason[:100]})
        except (OSError, TimeoutError):
            return
        finally:
            await connection.leave()


class _Connection:
    def __init__(self, channel: WebsocketChannel, send: Send) -> None:
        self._channel = channel
        self._engine = channel.engine
        self._send_message = send
        self._lock = asyncio.Lock()
        self._pumps: dict[str, asyncio.Task[None]] = {}

    async def run(self, receive: Receive) -> None:
        """Take commands until the client goes. Raises _Ended when the server is to close."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _BIND_SECONDS
        listening: asyncio.Future[Message] | None = None
        try:
            while True:
                listening = listening or asyncio.ensure_future(receive())
                limit = None if self._pumps else max(0.0, until - loop.time())
                running: list[asyncio.Future[Any]] = [listening, *self._pumps.values()]
                done, _ = await asyncio.wait(running, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    raise _Ended(_POLICY, "Nothing was bound in time.")
                for pump in done - {listening}:
                    pump.result()  # it ends by what it raises
                if listening in done:
                    message, listening = listening.result(), None
                    if message["type"] == "websocket.disconnect":
                        return
                    await self._command(message.get("text") or "")
        finally:
            if listening is not None:
                listening.cancel()

    async def leave(self) -> None:
        """End what runs for the connection."""
        for pump in self._pumps.values():
            pump.cancel()
        await asyncio.gather(*self._pumps.values(), return_exceptions=True)

    async def _command(self, text: str) -> None:
        if len(text) > _LONGEST_COMMAND:
            raise _Ended(_POLICY, "A command is at most 8192 characters.")
        word, _, rest = text.strip().partition(" ")
        rest = rest.strip()
        if word == "bind-with-token":
            try:
                named = bound_by(self._engine.cursors, rest, self._engine.clock.now_ms())
            except FhirError as error:
                raise _Ended(_POLICY, "The token is not good. Ask $get-ws-binding-token for one.") from error
        elif word == "bind" and ID_PATTERN.fullmatch(rest):
            if self._engine.access.enforced:
                raise _Ended(_POLICY, "Bind with a token of $get-ws-binding-token.")
            named = (rest,)
        else:
            raise _Ended(_POLICY, "Say bind-with-token {token} or bind {id}.")
        for identity in named:
            if len(self._pumps) >= _MOST_BOUND:
                raise _Ended(_POLICY, "At most 100 subscriptions are bound to one connection.")
            if identity not in self._pumps:
                self._pumps[identity] = asyncio.ensure_future(self._pump(identity))

    async def _pump(self, identity: str) -> None:
        """Tell one subscription all that happens from now on."""
        news, store = self._channel.news, self._engine.store
        event = await news.listen(identity)
        try:
            step = await store.read_async(partial(self._begin, identity=identity))
            await self._send(step)
            while True:
                event.clear()
                number = step.number
                step = await store.read_async(partial(self._next, identity=identity, number=number))
                if step.number > number:
                    await self._send(step)
                else:
                    await self._rest(event, step.subscription)
        finally:
            news.leave(identity, event)

    async def _rest(self, event: asyncio.Event, subscription: Subscription) -> None:
        """Wait for news; when the time for a heartbeat has come, send it."""
        beats = bool(subscription.heartbeat) and not subscription.plain
        seconds = float(subscription.heartbeat) if beats else _LOOK_SECONDS
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            if beats:
                beat = partial(self._begin, identity=subscription.id, kind="heartbeat")
                await self._send(await self._engine.store.read_async(beat))

    async def _send(self, step: _Step) -> None:
        if not step.message:
            return
        if step.shown is not None:
            asked = Request("GET", f"{step.subscription.reference}/$events", base=self._engine.own_base)
            owner = await self._engine.store.read_async(lambda snapshot: owner_of(snapshot, step.subscription.id))
            if owner is not None:
                self._engine.auditor.read(asked._replace(principal=owner[0]), step.shown)
        async with self._lock:
            try:
                async with asyncio.timeout(self._channel.send_seconds):
                    await self._send_message({"type": "websocket.send", "text": step.message})
            except TimeoutError as error:
                raise _Ended(_TRY_LATER, "The client takes nothing. Connect again, and ask $events.") from error

    def _begin(self, snapshot: Snapshot, identity: str, kind: NotificationType = "handshake") -> _Step:
        subscription, _ = self._known(snapshot, identity)
        count = event_count(snapshot, identity)
        if subscription.plain:
            return _Step(subscription, count, f"bound {identity}")
        return _Step(subscription, count, self._rendered(subscription, kind, count))

    def _next(self, snapshot: Snapshot, identity: str, number: int) -> _Step:
        """Return what comes after an event; the same number when there is nothing."""
        subscription, view = self._known(snapshot, identity)
        count = event_count(snapshot, identity)
        if count <= number:
            return _Step(subscription, number)
        most = min(subscription.max_count or _AT_ONCE, _AT_ONCE)
        events = events_from(snapshot, identity, number + 1, most, count)
        if not events:
            return _Step(subscription, count)  # forgotten by now: the numbers tell
        told = looked_at(view, events)
        last = events[-1].number
        seen = any(one.version is not None for one in told)
        if subscription.plain:
            return _Step(subscription, last, f"ping {identity}" if seen else "")
        message = self._rendered(subscription, "event-notification", count, told)
        names = seen and subscription.content != "empty"
        return _Step(subscription, last, message, Result(Kind.OK, message.encode()) if names else None)

    def _known(self, snapshot: Snapshot, identity: str) -> tuple[Subscription, Snapshot]:
        """Return a subscription that is told here, and what its maker sees now. Raises _Ended for any other."""
        current, owned = snapshot.current("Subscription", identity), owner_of(snapshot, identity)
        if current is None or current.body is None or owned is None:
            raise _Ended(_POLICY, f"There is no Subscription/{identity} here.")
        subscription = read_subscription(decode_stored(current.body), current)
        if subscription.channel != CHANNEL:
            raise _Ended(_POLICY, f"Subscription/{identity} is not on this channel.")
        if subscription.status not in ("requested", "active"):
            raise _Ended(_NORMAL, f"Subscription/{identity} is {subscription.status}.")
        view = view_of(self._engine, snapshot, owned[0])
        if view is None:
            raise _Ended(_POLICY, f"Who made Subscription/{identity} may not use it any more.")
        return subscription, view

    def _rendered(
        self, subscription: Subscription, kind: NotificationType, count: int, told: list[Told] | tuple[()] = ()
    ) -> str:
        engine = self._engine
        now = engine.clock.now_ms()
        return notification(engine.own_base, subscription, kind, count, told, now=now).decode()
