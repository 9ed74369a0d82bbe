"""A Subscription as the server works with it, read from the R4 resource (R4 subscription.html; Subscriptions R5 Backport).

Two kinds: topic-based, whose `criteria` is the canonical of a topic, and plain R4, whose `criteria` is a search.
`subscriptions_admission` judges a Subscription when it is written, so that what is stored can be read here.
"""

from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

from fhir_server.model.resource import Resource
from fhir_server.model.temporal import parse_temporal
from fhir_server.store.port import Version

BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport"
EXTENSION: Final = f"{BACKPORT}/StructureDefinition/backport-"
"""What the extensions of the backport begin with."""

Content = Literal["empty", "id-only", "full-resource"]
Status = Literal["requested", "active", "error", "off"]


class Subscription(NamedTuple):
    """One Subscription, as of one version of it."""

    id: str
    version: int
    status: Status
    topic: str
    """The canonical of its topic, "" for a plain R4 subscription."""
    criteria: str
    """The search of a plain R4 subscription, "" for a topic-based one."""
    filters: tuple[str, ...]
    """`backport-filter-criteria`, as sent; all must hold."""
    channel: str
    """The type of its channel: `rest-hook`, `websocket`, `email`, or the code of `backport-channel-type`."""
    endpoint: str
    headers: tuple[str, ...]
    media: str
    """The media type of what is sent; "" is an empty ping (plain R4)."""
    content: Content
    heartbeat: int = 0
    """Seconds between heartbeats; 0 is none."""
    timeout: int = 0
    """Seconds that one attempt may take; 0 leaves it to the server."""
    max_count: int = 0
    """Most events in one notification; 0 leaves it to the server."""
    end: int | None = None
    """When it ends, milliseconds since the epoch."""
    error: str = ""

    @property
    def reference(self) -> str:
        """`Subscription/id`."""
        return f"Subscription/{self.id}"

    @property
    def plain(self) -> bool:
        """Whether it is a plain R4 subscription."""
        return not self.topic


def read_subscription(resource: Resource, version: Version | int = 0) -> Subscription:
    """Read a resource that is valid R4; what admission would refuse is read as if it were absent."""
    channel: dict[str, Any] = resource.get("channel") or {}
    criteria = str(resource.get("criteria", ""))
    topical = is_topic(criteria)
    content = next(iter(values(channel.get("_payload"), "payload-content")), None)
    media = str(channel.get("payload", "")).partition(";")[0].strip()
    return Subscription(
        id=str(resource.get("id", "")),
        version=version if isinstance(version, int) else version.version,
        status=resource.get("status", "off"),
        topic=criteria.partition("|")[0] if topical else "",
        criteria="" if topical else criteria,
        filters=tuple(str(one) for one in values(resource.get("_criteria"), "filter-criteria")),
        channel=channel_of(channel),
        endpoint=str(channel.get("endpoint", "")),
        headers=tuple(channel.get("header", ())),
        media=media,
        content=content or ("full-resource" if media and not topical else "empty"),
        heartbeat=_number(channel, "heartbeat-period"),
        timeout=_number(channel, "timeout"),
        max_count=_number(channel, "max-count"),
        end=parse_temporal(resource["end"]).lo // 1000 if "end" in resource else None,
        error=str(resource.get("error", "")),
    )


def is_topic(criteria: str) -> bool:
    """Tell whether criteria are the canonical of a topic: a search begins with the name of a type."""
    return criteria.startswith(("http://", "https://", "urn:"))


def channel_of(channel: Resource) -> str:
    """Return the type of a channel: the code of the extension where there is one, else that of R4."""
    coding = next(iter(values(channel.get("_type"), "channel-type")), None)
    code = coding.get("code") if isinstance(coding, dict) else None
    return str(code or channel.get("type", ""))


def values(element: Any, name: str) -> Iterator[Any]:
    """Yield the values of the extensions of the backport with a name on an element."""
    extensions = element.get("extension", ()) if isinstance(element, dict) else ()
    for one in extensions:
        if one.get("url") == EXTENSION + name:
            yield from (value for member, value in one.items() if member.startswith("value"))


def _number(channel: Resource, name: str) -> int:
    found = next(iter(values(channel, name)), 0)
    return found if isinstance(found, int) and found > 0 else 0
