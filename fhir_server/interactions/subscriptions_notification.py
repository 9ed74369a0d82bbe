"""What a subscriber is told: a history Bundle with the status first (backport-subscription-notification-r4).

Each event is looked at by the rights that the subscriber has now. One that it may no longer see keeps its number and its
time, and says nothing else: the numbers have no holes, and nothing is told.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, Literal, NamedTuple

import msgspec

from fhir_server.interactions.status import status_line
from fhir_server.interactions.subscriptions import BACKPORT, Content, Subscription
from fhir_server.interactions.subscriptions_events import Event
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import encode
from fhir_server.model.resource import Resource
from fhir_server.store.port import Snapshot, Version

NotificationType = Literal["handshake", "heartbeat", "event-notification", "query-status", "query-event"]

STATUS_PROFILE: Final = f"{BACKPORT}/StructureDefinition/backport-subscription-status-r4"
BUNDLE_PROFILE: Final = f"{BACKPORT}/StructureDefinition/backport-subscription-notification-r4"
_STATUS: Final = {
    "POST": status_line(HTTPStatus.CREATED),
    "PUT": status_line(HTTPStatus.OK),
    "PATCH": status_line(HTTPStatus.OK),
    "DELETE": status_line(HTTPStatus.NO_CONTENT),
}


class Told(NamedTuple):
    """An event as it may be told; `version` is None when the subscriber may not see it."""

    event: Event
    version: Version | None


def looked_at(view: Snapshot, events: Sequence[Event]) -> list[Told]:
    """Look at events through what the subscriber sees."""
    return [Told(event, _seen(view, event)) for event in events]


def notification(
    base: str,
    subscription: Subscription,
    kind: NotificationType,
    count: int,
    told: Sequence[Told] = (),
    *,
    now: int,
    content: Content | None = None,
    entry_id: str = "",
) -> bytes:
    """Render the Bundle. `count` is the number of events so far, `content` overrides what the subscription asks."""
    content = content or subscription.content
    status = status_parameters(base, subscription, kind, count, told, content)
    entries: list[Any] = [
        {
            **({"fullUrl": f"urn:uuid:{entry_id}"} if entry_id else {}),
            "resource": status,
            "request": {"method": "GET", "url": f"{base}/{subscription.reference}/$status"},
            "response": {"status": "200 OK"},
        }
    ]
    if content != "empty":
        entries += [_entry(base, one.event, one.version, content) for one in told if one.version is not None]
    return encode(
        {
            "resourceType": "Bundle",
            "meta": {"profile": [BUNDLE_PROFILE]},
            "type": "history",
            "timestamp": render_instant(now),
            "entry": entries,
        }
    )


def status_parameters(
    base: str,
    subscription: Subscription,
    kind: NotificationType,
    count: int,
    told: Sequence[Told] = (),
    content: Content = "empty",
) -> Resource:
    """Return the status of a subscription as Parameters (backport-subscription-status-r4)."""
    parameters: list[Resource] = [
        {"name": "subscription", "valueReference": {"reference": f"{base}/{subscription.reference}"}}
    ]
    if subscription.topic and (content != "empty" or kind == "query-status"):
        parameters.append({"name": "topic", "valueCanonical": subscription.topic})
    parameters += [
        {"name": "status", "valueCode": subscription.status},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(count)},
        *(_event(base, one, content) for one in told),
    ]
    if subscription.error:
        parameters.append({"name": "error", "valueCodeableConcept": {"text": subscription.error}})
    return {"resourceType": "Parameters", "meta": {"profile": [STATUS_PROFILE]}, "parameter": parameters}


def _event(base: str, told: Told, content: Content) -> Resource:
    part: list[Resource] = [
        {"name": "event-number", "valueString": str(told.event.number)},
        {"name": "timestamp", "valueInstant": render_instant(told.event.at)},
    ]
    if content != "empty" and told.version is not None:
        part.append({"name": "focus", "valueReference": {"reference": f"{base}/{told.event.focus}"}})
    return {"name": "notification-event", "part": part}


def _entry(base: str, event: Event, version: Version, content: Content) -> Resource:
    """Return the entry of an event; a resource that was deleted is told by its request alone."""
    entry: Resource = {"fullUrl": f"{base}/{event.focus}"}
    if content == "full-resource" and version.body is not None:
        entry["resource"] = msgspec.Raw(version.body)
    url = version.type if event.method == "POST" else event.focus
    entry["request"] = {"method": event.method, "url": url}
    entry["response"] = {"status": _STATUS[event.method]}
    return entry


def _seen(view: Snapshot, event: Event) -> Version | None:
    kind, _, identity = event.focus.partition("/")
    if event.version:
        return view.version(kind, identity, event.version)
    return view.current(kind, identity)
