"""$get-ws-binding-token: a short-lived token with which a websocket client binds to its subscriptions (Subscriptions R5
Backport).

The token is signed and says for which subscriptions it is good and until when; nothing is stored for it. Only who made a
subscription gets one: it is told by the rights of its maker.
"""

from typing import Final
from urllib.parse import urlsplit, urlunsplit

from fhir_server.artifacts.source import BASE
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.operations.parameters import answer, out, read_inputs
from fhir_server.interactions.request import Place, Request, Result
from fhir_server.interactions.routing import Interaction, Level
from fhir_server.interactions.subscriptions import Subscription, read_subscription
from fhir_server.interactions.subscriptions_owner import owner_of
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import Malformed, NotFound, RuleViolated
from fhir_server.search.page import CursorCodec
from fhir_server.store.port import Snapshot

DEFINITION: Final = f"{BASE}/OperationDefinition/subscription-get-ws-binding-token"
PATH: Final = "/ws"
"""Where websockets are served, beside the FHIR base."""
CHANNEL: Final = "websocket"
_LIFE_MS: Final = 300_000
_MARK: Final = b"websocket-binding"
_MOST: Final = 100
_ON: Final = ("Subscription",)
_PLACES: Final[tuple[tuple[str, Level], ...]] = (("type", "type"), ("type/id", "instance"))


def ws_binding_token(engine: Engine, request: Request, place: Place) -> Operation:
    """Return a token for one subscription, or for those that `id` names. Raises NotFound for one of somebody else."""
    inputs = read_inputs(engine, request, DEFINITION)
    named = [place.id] if place.id else list(dict.fromkeys(str(one) for one in inputs.values("id")))
    if not named or len(named) > _MOST:
        raise Malformed(
            f"$get-ws-binding-token: {len(named)} subscriptions are named. Name 1 to {_MOST} by id.",
            key="operation-input",
            code="required",
        )

    def work(snapshot: Snapshot) -> Result:
        for identity in named:
            _require_own(snapshot, request, identity)
        expires = engine.clock.now_ms() + _LIFE_MS
        return answer(
            [
                out("token", "String", engine.cursors.encode(_MARK, (expires, *named))),
                out("expiration", "DateTime", render_instant(expires)),
                *(out("subscription", "String", f"Subscription/{identity}") for identity in named),
                out("websocket-url", "Url", websocket_url(request.base)),
            ]
        )

    return Reading(work)


def bound_by(cursors: CursorCodec, token: str, now_ms: int) -> tuple[str, ...]:
    """Return the ids of the subscriptions that a token is good for. Raises Malformed for one that is not good (any more)."""
    expires, *named = cursors.decode(token, _MARK)
    if not isinstance(expires, int) or expires <= now_ms:
        raise Malformed("This token has expired. Ask $get-ws-binding-token for a new one.", key="bad-cursor")
    return tuple(str(one) for one in named)


def websocket_url(base: str) -> str:
    """Return where a client connects, for the base URL that it knows."""
    parts = urlsplit(base)
    above = parts.path.rsplit("/", 1)[0]
    return urlunsplit(("wss" if parts.scheme == "https" else "ws", parts.netloc, above + PATH, "", ""))


def _require_own(snapshot: Snapshot, request: Request, identity: str) -> Subscription:
    current = snapshot.current("Subscription", identity)
    owned = owner_of(snapshot, identity)
    principal = request.principal
    if current is None or current.body is None or owned is None:
        raise NotFound(f"There is no Subscription/{identity} here.")
    owner = owned[0]
    if (owner.organization, owner.person, owner.agent) != (principal.organization, principal.person, principal.agent):
        raise NotFound(f"There is no Subscription/{identity} of yours here.")
    found = read_subscription(decode_stored(current.body), current)
    if found.channel != CHANNEL or found.status not in ("requested", "active"):
        raise RuleViolated(
            f"Subscription/{identity} has the channel {found.channel} and is {found.status}: a token is for one that is "
            f"active on the channel {CHANNEL}.",
            key="subscription-channel",
        )
    return found


WS_BINDING_TOKEN: Final[tuple[Interaction, ...]] = tuple(
    Interaction(
        method, f"{shape}/$get-ws-binding-token", "get-ws-binding-token", level, ws_binding_token, DEFINITION, _ON
    )
    for method in ("GET", "POST")
    for shape, level in _PLACES
)
