"""What happens when a Subscription is written: it is judged, and whose it is and where its events begin is kept with it.

Both in the unit of work that stores it, so that no change after it is missed. Clients ask for `requested` or `off`; all
else is the server's to say (R4 subscription.html, Subscriptions R5 Backport).
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from fhir_server.access.principal import Principal
from fhir_server.interactions.subscriptions import EXTENSION, Subscription, read_subscription, values
from fhir_server.interactions.subscriptions_channels import CHANNELS, ChannelRule
from fhir_server.interactions.subscriptions_criteria import CriteriaRefused, compile_criteria
from fhir_server.interactions.subscriptions_events import event_count
from fhir_server.interactions.subscriptions_lanes import LANE, SECRET, Lane, keep_lane, lane_of
from fhir_server.interactions.subscriptions_owner import OWNER, keep_owner, owner_of
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import RuleViolated
from fhir_server.model.issue import Issue, IssueCode
from fhir_server.model.resource import Resource
from fhir_server.store.port import Version

if TYPE_CHECKING:
    from fhir_server.interactions.unit import Unit  # which calls what is here

_SERVER: Final = frozenset({"platform"})
_KNOWN: Final = frozenset(
    {
        "filter-criteria",
        "payload-content",
        "heartbeat-period",
        "timeout",
        "max-count",
        "channel-type",
        "topic-canonical",
    }
)
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}: ?[\x20-\x7e]{0,2000}")
_OWN_HEADERS: Final = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "expect", "te", "upgrade", "trailer"}
)
_LEAST_HEARTBEAT: Final = 10
_LONGEST_TIMEOUT: Final = 60
_MOST_EVENTS: Final = 1000
_MOST_HEADERS: Final = 20


def admit(unit: "Unit", resource: Resource, resource_id: str, current: Version | None) -> Resource:
    """Judge a Subscription that is about to be stored; return it with the status that it gets. Raises RuleViolated."""
    if not unit.principal.roles.isdisjoint(_SERVER):
        return resource
    asked = read_subscription({**resource, "id": resource_id})
    before = _before(current)
    issues = list(_issues(unit, resource, asked, before))
    if issues:
        raise RuleViolated(issues=issues)
    known = before is not None and _same(before, asked)
    status = asked.status
    if status == "active" and not known:
        status = "requested"  # what changed is agreed upon anew
    _keep(unit, asked._replace(status=status), before)
    kept = {name: value for name, value in resource.items() if name != "error" or status not in ("requested", "active")}
    return {**kept, "status": status}


def forget(unit: "Unit", resource_id: str) -> None:
    """Tell nothing more of a Subscription that is deleted. Its count stays: numbers are never used twice."""
    for kind in (OWNER, LANE, SECRET):
        unit.uow.remove_record(kind, resource_id)


def _before(current: Version | None) -> Subscription | None:
    if current is None or current.body is None:
        return None
    return read_subscription(decode_stored(current.body), current)


def _same(before: Subscription, asked: Subscription) -> bool:
    """Tell whether a subscription asks the same as before, its state apart."""
    left, right = (one._replace(id="", version=0, status="off", error="", end=None) for one in (before, asked))
    return left == right


def _keep(unit: "Unit", asked: Subscription, before: Subscription | None) -> None:
    """Keep whose it is. Who changes what is told takes it over: it is told by the rights of who asked for it."""
    uow = unit.uow
    kept = owner_of(uow, asked.id)
    ended = before is None or before.status == "off" or kept is None
    since = uow.last_sequence() if ended or kept is None else kept[1]
    by: Principal = unit.principal
    if kept is not None and before is not None and _same(before, asked):
        by = kept[0]
    keep_owner(uow, asked.id, by, since)
    if ended:
        keep_lane(uow, asked.id, Lane(sent=event_count(uow, asked.id)))
    elif asked.status == "requested":
        keep_lane(uow, asked.id, Lane(sent=lane_of(uow, asked.id).sent))


def _issues(unit: "Unit", resource: Resource, asked: Subscription, before: Subscription | None) -> Iterator[Issue]:
    engine = unit.engine
    yield from _state(asked, before)
    try:
        compile_criteria(asked, engine.subscriptions.topics, engine.registry, engine.own_base)
    except CriteriaRefused as error:
        yield from error.issues
    yield from _unknown(resource)
    rule = CHANNELS.get(asked.channel)
    if rule is None:
        offered = ", ".join(sorted(CHANNELS))
        yield _no(
            "subscription-channel",
            f"The channel {asked.channel[:60]!r} is not offered here. Offered are: {offered}.",
            "channel.type",
        )
        return
    yield from _content(asked, rule, resource)
    yield from _endpoint(asked, rule, plain_http=engine.subscriptions.plain_http)
    yield from _numbers(resource)
    yield from _headers(asked, rule)


def _state(asked: Subscription, before: Subscription | None) -> Iterator[Issue]:
    if asked.status in ("requested", "off") or (before is not None and asked.status == before.status):
        return
    said = f"The status is {asked.status!r}; a client asks for 'requested' or 'off', the server says the rest."
    yield Issue("subscription-status", "business-rule", said, "Subscription.status")


def _unknown(resource: Resource) -> Iterator[Issue]:
    channel = resource.get("channel") or {}
    places = {
        "criteria.extension": resource.get("_criteria"),
        "channel.extension": channel,
        "channel.type.extension": channel.get("_type"),
        "channel.payload.extension": channel.get("_payload"),
    }
    for place, element in places.items():
        for number, one in enumerate((element or {}).get("extension", ())):
            url = str(one.get("url"))
            if url.startswith(EXTENSION) and url.removeprefix(EXTENSION) not in _KNOWN:
                yield _no("subscription-extension", f"The extension {url} is not offered here.", f"{place}[{number}]")


def _content(asked: Subscription, rule: ChannelRule, resource: Resource) -> Iterator[Issue]:
    said = next(iter(values((resource.get("channel") or {}).get("_payload"), "payload-content")), None)
    if asked.plain:
        if not rule.plain:
            yield _no("subscription-channel", f"The channel {asked.channel} is for topics only.", "channel.type")
        if asked.media and asked.media not in rule.media:
            yield _no("subscription-payload", _media(asked, rule), "channel.payload")
        return
    if said is None:
        text = f"Say what notifications are to hold (extension backport-payload-content): {', '.join(sorted(rule.contents))}."
        yield _no("subscription-content", text, "channel.payload", code="required")
    elif said not in rule.contents:
        text = (
            f"The content {str(said)[:60]!r} is not offered on {asked.channel}: {', '.join(sorted(rule.contents))} are."
        )
        yield _no("subscription-content", text, "channel.payload.extension")
    if asked.media not in rule.media:
        yield _no("subscription-payload", _media(asked, rule), "channel.payload")


def _media(asked: Subscription, rule: ChannelRule) -> str:
    return f"The payload {asked.media[:60]!r} is not offered on {asked.channel}: {', '.join(sorted(rule.media))} are."


def _endpoint(asked: Subscription, rule: ChannelRule, *, plain_http: bool) -> Iterator[Issue]:
    if not rule.schemes:
        if asked.endpoint:
            yield _no(
                "subscription-endpoint",
                f"The channel {asked.channel} has no endpoint. Leave it out.",
                "channel.endpoint",
            )
        return
    try:
        parts = urlsplit(asked.endpoint)
        known = parts.scheme in rule.schemes and (parts.scheme != "http" or plain_http) and parts.port != 0
        safe = parts.username is None and not parts.fragment and asked.endpoint.isascii() and " " not in asked.endpoint
        complete = bool(parts.hostname) or parts.scheme not in ("http", "https")
    except ValueError:
        known = safe = complete = False
    if not (known and safe and complete):
        allowed = " or ".join(f"{one}:" for one in sorted(rule.schemes) if one != "http" or plain_http)
        text = f"The endpoint {asked.endpoint[:200]!r} cannot be used: it begins with {allowed}, names a host, and has no user and no #."
        yield _no("subscription-endpoint", text, "channel.endpoint")


def _numbers(resource: Resource) -> Iterator[Issue]:
    channel = resource.get("channel") or {}
    bounds = {
        "heartbeat-period": (_LEAST_HEARTBEAT, 31_536_000),
        "timeout": (1, _LONGEST_TIMEOUT),
        "max-count": (1, _MOST_EVENTS),
    }
    for name, (low, high) in bounds.items():
        for value in values(channel, name):
            if not isinstance(value, int) or not low <= value <= high:
                text = f"backport-{name} is {str(value)[:40]!r}; {low} to {high} can be asked for."
                yield _no("subscription-number", text, "channel.extension", code="value")


def _headers(asked: Subscription, rule: ChannelRule) -> Iterator[Issue]:
    if asked.headers and not rule.headers:
        yield _no("subscription-header", f"The channel {asked.channel} sends no headers.", "channel.header")
        return
    if len(asked.headers) > _MOST_HEADERS:
        yield _no(
            "subscription-header",
            f"There are {len(asked.headers)} headers; at most {_MOST_HEADERS} are sent.",
            "channel.header",
        )
    for number, header in enumerate(asked.headers):
        if _HEADER.fullmatch(header) is None or header.partition(":")[0].lower() in _OWN_HEADERS:
            text = "This header cannot be sent: it is `Name: value` in printable ASCII, and none that HTTP itself sets."
            yield _no("subscription-header", text, f"channel.header[{number}]")


def _no(key: str, text: str, place: str, *, code: IssueCode = "not-supported") -> Issue:
    return Issue(key, code, text, f"Subscription.{place}")
