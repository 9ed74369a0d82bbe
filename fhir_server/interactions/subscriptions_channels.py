"""The types of channel that a Subscription may ask for, and what each can carry; `outbound` has the code that does it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from fhir_server.interactions.subscriptions import Content

ALL_CONTENTS: Final[frozenset[Content]] = frozenset({"empty", "id-only", "full-resource"})
FHIR_JSON: Final = "application/fhir+json"


class ChannelRule(NamedTuple):
    """What a Subscription with a type of channel must say."""

    contents: frozenset[Content] = ALL_CONTENTS
    media: frozenset[str] = frozenset({FHIR_JSON, "application/json"})
    schemes: frozenset[str] = frozenset()
    """What its endpoint begins with (`https`, `mailto`); empty for a channel without endpoint."""
    headers: bool = False
    """Whether `channel.header` is sent along."""
    handshake: bool = False
    """Whether the server asks the receiver once before the subscription is active."""
    pushed: bool = True
    """Whether the dispatcher delivers; else the receiver comes and fetches."""
    plain: bool = True
    """Whether plain R4 subscriptions may use it."""


CHANNELS: Final[Mapping[str, ChannelRule]] = MappingProxyType(
    {
        "rest-hook": ChannelRule(schemes=frozenset({"https", "http"}), headers=True, handshake=True),
        "websocket": ChannelRule(media=frozenset({"", FHIR_JSON, "application/json"}), pushed=False),
        "email": ChannelRule(
            contents=frozenset({"empty", "id-only"}),
            media=frozenset({"", "text/plain"}),
            schemes=frozenset({"mailto"}),
            headers=True,
        ),
    }
)
"""Type → its rule. What is not here is refused when a Subscription is written."""
