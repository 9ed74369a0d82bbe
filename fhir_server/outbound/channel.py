"""What the dispatcher asks of a channel: to hand one notification to one subscriber, once, and to say what came of it.

Ordering, numbering, retries and rights are the dispatcher's. A channel is called from a thread, never twice at the same
time for one subscription, and may be called again with the same notification when its outcome was not kept.

A channel whose receivers come and fetch (a websocket) is no `Channel`: it waits on `engine.signal`, reads
`subscriptions_events.events_from` from the number it has reached, and renders with `subscriptions_notification.notify`.
"""

from typing import Literal, NamedTuple, Protocol

from fhir_server.interactions.subscriptions import Subscription

NotificationType = Literal["handshake", "heartbeat", "event-notification"]


class Notification(NamedTuple):
    """What is to be handed over."""

    type: NotificationType
    body: bytes
    """FHIR JSON; empty for a plain R4 subscription without payload."""
    first: int = 0
    """The number of the first event in it, 0 when it has none."""
    last: int = 0
    at: int = 0
    """When the newest of its events was committed, milliseconds since the epoch."""
    focus: str = ""
    """`Type/id` of the resource that `body` is, for a plain R4 subscription with payload; else ""."""
    attempt: int = 1
    """How often it is tried with this one: above 1 the receiver may have it already."""
    secret: bytes = b""
    """What the receiver checks the sender by (`fhir-server subscription secret`); empty when none was agreed."""

    def key(self, subscription: str) -> str:
        """Return what stays the same whenever it is tried again, so that a receiver can tell a repetition."""
        return f"{subscription}-{self.type}-{self.first}-{self.last}"


class Outcome(NamedTuple):
    """What came of an attempt."""

    delivered: bool
    fault: str = ""
    """Why not, in words that may be told to the subscriber: nothing of the answer of the receiver, no person data."""
    final: bool = False
    """Whether trying again is useless: the receiver said that it is gone, or the address may not be called."""
    retry_after: float = 0.0
    """Seconds that the receiver asked to wait."""


class Channel(Protocol):
    """One type of channel, for all subscriptions of that type. Safe between threads."""

    def destination(self, subscription: Subscription) -> str:
        """Return what is shared by subscriptions that go to the same place: at most a few of them are called at once."""
        ...

    def deliver(self, subscription: Subscription, notification: Notification) -> Outcome:
        """Hand over, within a bounded time. Never raises for what the other side does."""
        ...
