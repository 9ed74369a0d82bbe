"""The subscriptions of the process that tells them: what is to be done for each, and when."""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from fhir_server.interactions.subscriptions_channels import CHANNELS
from fhir_server.interactions.subscriptions_lanes import Lane
from fhir_server.outbound.attempt import Kind
from fhir_server.outbound.roster import Known
from fhir_server.store.port import UnitOfWork

Fence = Callable[[UnitOfWork], None]
"""Raises LeaseLost in a unit of work when another process leads."""


@dataclass(slots=True)
class Line:
    """One subscription in the memory of the process that tells it."""

    known: Known
    lane: Lane
    count: int
    destination: str
    busy: bool = False
    due: int = -1
    """The instant under which it stands in the heap, -1 when it does not."""


@dataclass(slots=True)
class Duty:
    """What there is to do while this process leads."""

    fence: Fence
    lines: dict[str, Line] = field(default_factory=dict)
    heap: list[tuple[int, str]] = field(default_factory=list)
    waiting: dict[str, deque[str]] = field(default_factory=dict)

    def schedule(self, identity: str, line: Line) -> None:
        """Put a subscription into the heap for when something is to be done about it."""
        due = due_of(line)
        if due is None or line.busy or (0 <= line.due <= due):
            return
        line.due = due
        heapq.heappush(self.heap, (due, identity))


def due_of(line: Line) -> int | None:
    """Return when something is to be done for a subscription, None for never."""
    kind, end = kind_of(line, 0), line.known.subscription.end
    if kind is None:
        return end
    due = line.lane.due
    if kind == "heartbeat":
        due = max(due, line.lane.told + line.known.subscription.heartbeat * 1000)
    return due if end is None else min(due, end)


def kind_of(line: Line, now: int) -> Kind | None:
    """Return what is to be done for a subscription next, None for nothing."""
    subscription, lane = line.known.subscription, line.lane
    if subscription.end is not None and now >= subscription.end:
        return "end"
    rule = CHANNELS.get(subscription.channel)
    if subscription.status == "requested":
        return "handshake" if rule and rule.handshake and not subscription.plain else "activate"
    if subscription.status != "active" or lane.dead or rule is None:
        return None
    if line.known.fault:
        return "give-up"
    if not rule.pushed:
        return None
    if line.count > lane.sent:
        return "events"
    return "heartbeat" if subscription.heartbeat and not subscription.plain else None
