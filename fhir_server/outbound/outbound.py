"""All that tells subscribers, in one piece: made by the composition root, started and stopped with the server."""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from fhir_server.interactions.context import Engine
from fhir_server.interactions.subscriptions import Subscription
from fhir_server.outbound.channel import Channel, Notification, Outcome
from fhir_server.outbound.deliveries import TICK, Deliveries
from fhir_server.outbound.dispatcher import Dispatcher
from fhir_server.outbound.lease import LEASE_MS

if TYPE_CHECKING:
    from fhir_server.outbound.receivers import Receivers
    from fhir_server.outbound.rest_hook import RestHook


class Calling(NamedTuple):
    """How receivers are called; see the settings."""

    private: bool = False
    seconds: float = 10.0
    ca_file: str = ""


class LateHook:
    """The rest-hook channel, made when there is somebody to call: its libraries weigh more than a server that has none."""

    def __init__(self, engine: Engine, calling: Calling) -> None:
        self._engine = engine
        self._calling = calling
        self._lock = threading.Lock()
        self._made: tuple[RestHook, Receivers] | None = None

    def destination(self, subscription: Subscription) -> str:
        """Return host and port of the endpoint."""
        return urlsplit(subscription.endpoint).netloc.rpartition("@")[2].lower()

    def deliver(self, subscription: Subscription, notification: Notification) -> Outcome:
        """Deliver by HTTP."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return self._made[0].deliver(subscription, notification)

    def close(self) -> None:
        """Cut what runs."""
        with self._lock:
            if self._made is not None:
                self._made[1].close()

    def _make(self) -> "tuple[RestHook, Receivers]":
        from fhir_server.outbound.fetch import Outward  # noqa: PLC0415  # see the class
        from fhir_server.outbound.receivers import Receivers  # noqa: PLC0415  # idem
        from fhir_server.outbound.rest_hook import RestHook  # noqa: PLC0415  # idem

        receivers = Receivers(Outward(private=self._calling.private), ca_file=self._calling.ca_file)
        return RestHook(receivers, self._engine.clock, self._calling.seconds), receivers


class Outbound:
    """Tells subscribers, in threads of its own."""

    def __init__(
        self,
        engine: Engine,
        calling: Calling,
        channels: Mapping[str, Channel] | None = None,
        *,
        tick: float = TICK,
        lease_ms: int = LEASE_MS,
    ) -> None:
        """`channels` are those beside rest-hook, by their type.

        `tick` is how often the clock is looked at, in seconds; `lease_ms` how long others wait for a process that died.
        """
        self._hook = LateHook(engine, calling)
        self._deliveries = Deliveries(engine, {"rest-hook": self._hook, **(channels or {})}, tick=tick)
        self._dispatcher = Dispatcher(engine, self._deliveries, tick=tick, lease_ms=lease_ms)

    def start(self) -> None:
        """Begin to watch the feed, if this process gets the lease."""
        self._deliveries.start()
        self._dispatcher.start()

    def stop(self) -> None:
        """End in good order: outcomes are kept, the lease is given back. Waits, so not for the thread of an event loop."""
        self._deliveries.stop(self._hook.close)
        self._dispatcher.stop()
        self._hook.close()
