"""A server's engine with its outbound part and a clock that stands still, for tests; no HTTP in front of it."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fhir_server.access.principal import ANONYMOUS, Principal
from fhir_server.app import build_engine
from fhir_server.interactions.context import Engine
from fhir_server.interactions.perform import perform
from fhir_server.interactions.request import Request
from fhir_server.interactions.subscriptions_lanes import Lane, lane_of
from fhir_server.model.codec import decode, encode
from fhir_server.outbound.outbound import Calling, Outbound
from fhir_server.settings import Settings

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
TASK_CHANGED = "https://w3id.org/social-referral/SubscriptionTopic/task-changed"
HOUR = 3_600_000


class HandClock:
    """The clock of the machine, which can be put forward."""

    def __init__(self) -> None:
        self._ahead = 0

    def now_ms(self) -> int:
        """Return the time."""
        return time.time_ns() // 1_000_000 + self._ahead

    def advance(self, ms: int) -> None:
        """Let time pass."""
        self._ahead += ms


class Stage:
    """An engine, and what a client would do with it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def send(self, method: str, path: str, body: Any = None, principal: Principal = ANONYMOUS) -> Any:
        """Do a request and return the body of its answer."""
        place, _, query = path.partition("?")
        pairs = tuple(tuple(one.split("=", 1)) for one in query.split("&")) if query else ()
        raw = encode(body) if body is not None else None
        request = Request(method, place, pairs, raw, principal=principal, base=self.engine.own_base)  # type: ignore[arg-type]  # plain dictionaries and pairs, as JSON has them
        answer = perform(self.engine, request).body
        return decode(answer) if answer else None

    def subscribe(self, endpoint: str, principal: Principal = ANONYMOUS, **asked: Any) -> str:
        """Make a subscription and return its id."""
        identity: str = self.send("POST", "Subscription", subscription(endpoint, **asked), principal)["id"]
        return identity

    def task(self, owner: str = "Organization/o1", principal: Principal = ANONYMOUS, **more: Any) -> str:
        """Create a Task and return its id."""
        made = {"resourceType": "Task", "status": "requested", "intent": "order", "owner": {"reference": owner}, **more}
        identity: str = self.send("POST", "Task", made, principal)["id"]
        return identity

    def status(self, identity: str) -> str:
        """Return the status of a subscription."""
        found: str = self.send("GET", f"Subscription/{identity}")["status"]
        return found

    def lane(self, identity: str) -> Lane:
        """Return where a subscription stands."""
        return self.engine.store.read(lambda snapshot: lane_of(snapshot, identity))

    def until(self, holds: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until something holds. Raises AssertionError when it does not in time."""
        ends = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < ends, "it never came to hold"
            time.sleep(0.01)


def subscription(
    endpoint: str,
    criteria: str = TASK_CHANGED,
    filters: tuple[str, ...] = (),
    content: str = "id-only",
    numbers: dict[str, int] | None = None,
    **channel: Any,
) -> dict[str, Any]:
    """Return a topic-based subscription; `numbers` are extensions on the channel such as max-count."""
    made: dict[str, Any] = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "to know",
        "criteria": criteria,
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": "application/fhir+json",
            "_payload": {"extension": [{"url": BACKPORT + "payload-content", "valueCode": content}]},
            **channel,
        },
    }
    if filters:
        made["_criteria"] = {
            "extension": [{"url": BACKPORT + "filter-criteria", "valueString": one} for one in filters]
        }
    if numbers:
        kinds = {"heartbeat-period": "valueUnsignedInt", "timeout": "valueUnsignedInt", "max-count": "valuePositiveInt"}
        made["channel"]["extension"] = [
            {"url": BACKPORT + name, kinds[name]: number} for name, number in numbers.items()
        ]
    return made


def plain(endpoint: str, criteria: str, payload: str = "") -> dict[str, Any]:
    """Return a plain R4 subscription."""
    channel: dict[str, Any] = {"type": "rest-hook", "endpoint": endpoint}
    if payload:
        channel["payload"] = payload
    made = {"resourceType": "Subscription", "status": "requested", "reason": "to know", "criteria": criteria}
    return {**made, "channel": channel}


@contextmanager
def staged(
    path: Path,
    *,
    clock: HandClock | None = None,
    calling: Calling | None = None,
    start: bool = True,
    lease_ms: int = 4_000,
    **settings: Any,
) -> Iterator[Stage]:
    """Open a stage on a store; what is told is told while it is open."""
    given: dict[str, Any] = {"store": f"sqlite:///{path}", "private_receivers": True, "publish_artifacts": False}
    chosen = Settings(**(given | settings))
    engine = build_engine(chosen, clock=clock)
    outbound = Outbound(engine, calling or Calling(private=True, seconds=2.0), tick=0.02, lease_ms=lease_ms)
    engine.signal.start()
    if start:
        outbound.start()
    try:
        yield Stage(engine)
    finally:
        if start:
            outbound.stop()
        engine.signal.stop()
        engine.store.close()


def bundle_of(body: bytes) -> dict[str, Any]:
    """Read a notification."""
    found: dict[str, Any] = json.loads(body)
    return found
