"""Subscription/id/$events: events that were told or should have been, from any number on (Subscriptions R5 Backport).

They are shown by the rights that the caller has now. Several pages of many events: ask again from the number after the last.
"""

from typing import Final

from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.operations.parameters import Inputs, read_inputs
from fhir_server.interactions.operations.subscription_status import known, read_known
from fhir_server.interactions.request import Kind, Place, Request, Result
from fhir_server.interactions.routing import Interaction
from fhir_server.interactions.subscriptions import Content
from fhir_server.interactions.subscriptions_events import event_count, events_from
from fhir_server.interactions.subscriptions_notification import looked_at, notification
from fhir_server.model.errors import Malformed
from fhir_server.store.port import Snapshot

DEFINITION: Final = "https://w3id.org/social-referral/OperationDefinition/subscription-events"
MOST: Final = 1000
"""Events in one answer."""
_DIGITS: Final = 12
_CONTENTS: Final[dict[str, Content]] = {"empty": "empty", "id-only": "id-only", "full-resource": "full-resource"}


def subscription_events(engine: Engine, request: Request, place: Place) -> Operation:
    """Return a notification Bundle of type `query-event` with up to `MOST` events in order."""
    inputs = read_inputs(engine, request, DEFINITION)
    first, last = _number(inputs, "eventsSinceNumber", 1), _number(inputs, "eventsUntilNumber", None)
    content = _content(inputs)

    def work(snapshot: Snapshot) -> Result:
        subscription = read_known(known(snapshot, place))
        count = event_count(snapshot, place.id)
        told = looked_at(snapshot, events_from(snapshot, place.id, first or 1, MOST, last))
        now = engine.clock.now_ms()
        body = notification(request.base, subscription, "query-event", count, told, now=now, content=content)
        return Result(Kind.OK, body)

    return Reading(work, heavy=True)


def _number(inputs: Inputs, name: str, default: int | None) -> int | None:
    text = inputs.text(name)
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise Malformed(
            f"{name} is {text[:60]!r}; events are numbered 1, 2, 3 and so on.",
            key="operation-input",
            code="value",
            expression=inputs.where(name),
        )
    return int(text)


def _content(inputs: Inputs) -> Content | None:
    text = inputs.text("content")
    if text and text not in _CONTENTS:
        raise Malformed(
            f"content is {text[:60]!r}; it is one of {', '.join(_CONTENTS)}.",
            key="operation-input",
            code="value",
            expression=inputs.where("content"),
        )
    return _CONTENTS.get(text)


SUBSCRIPTION_EVENTS: Final[tuple[Interaction, ...]] = tuple(
    Interaction(method, "type/id/$events", "events", "instance", subscription_events, DEFINITION, ("Subscription",))
    for method in ("GET", "POST")
)
