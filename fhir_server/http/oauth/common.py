"""What the OAuth endpoints share: reading a form, telling a refusal (RFC 6749 §5.2), and seeing a client's proof."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.responses import Response

from fhir_server.access.assertions import ASSERTION_TYPE, USED, Assertions, Proof, spend, sweep
from fhir_server.access.clients import Client
from fhir_server.access.jose import TokenRefused
from fhir_server.access.tokens import REVOKED, Tokens
from fhir_server.http.identity import Identity
from fhir_server.http.limits import Buckets
from fhir_server.model.clock import Clock
from fhir_server.model.codec import encode
from fhir_server.model.errors import Throttled
from fhir_server.store.port import Store, UnitOfWork

_LARGEST_FORM: Final = 32 * 1024
_MOST_FIELDS: Final = 20
FORM: Final = "application/x-www-form-urlencoded"
_NO_STORE: Final = {"cache-control": "no-store", "pragma": "no-cache"}


class OAuthRefused(Exception):
    """A refusal of an OAuth endpoint: one of the error codes of RFC 6749, and a sentence for the developer."""

    def __init__(
        self, error: str, description: str, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class OAuth:
    """The collaborators of these endpoints, wired once."""

    store: Store
    clock: Clock
    tokens: Tokens
    assertions: Assertions
    identity: Identity
    callers: Buckets
    failures: Buckets
    issuer: str
    """The URL above `/oauth`."""

    @property
    def token_url(self) -> str:
        """Where tokens are asked for, as clients see it."""
        return f"{self.issuer}/oauth/token"


def answer(content: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Render an answer that no cache may keep."""
    return Response(encode(content), status, {**_NO_STORE, **(headers or {})}, "application/json")


def refusal(error: OAuthRefused) -> Response:
    """Render a refusal."""
    # RFC 6749: printable ASCII without quotes and backslashes
    told = "".join(letter if " " <= letter <= "~" and letter not in '"\\' else "'" for letter in error.description)
    return answer({"error": error.error, "error_description": told}, error.status, error.headers)


async def form_of(request: Request) -> dict[str, str]:
    """Read the form of a request. Raises OAuthRefused for one that is too large, or names a parameter twice."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise OAuthRefused("invalid_request", f"Send the parameters as {FORM}.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM:
            raise OAuthRefused("invalid_request", f"The form is larger than {_LARGEST_FORM} bytes.", 413)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise OAuthRefused("invalid_request", "The form is not UTF-8 in percent-encoding, or too long.") from error
    found = dict(pairs)
    if len(found) < len(pairs):
        raise OAuthRefused("invalid_request", "A parameter stands twice. Send each once.")
    return found


def admitted(oauth: OAuth, address: str) -> None:
    """Raise OAuthRefused when an address failed too often lately."""
    try:
        oauth.failures.check(address)
    except Throttled as error:
        raise throttled(error) from error


def throttled(error: Throttled) -> OAuthRefused:
    """Tell a limit as OAuth tells it."""
    return OAuthRefused("slow_down", str(error), 429, {"retry-after": str(error.retry_after)})


async def proof_of(oauth: OAuth, form: Mapping[str, str], audiences: tuple[str, ...]) -> Proof:
    """See the assertion of a client. Raises OAuthRefused `invalid_client`; that it is used once is `spent`'s to see."""
    kind = form.get("client_assertion_type")
    if kind != ASSERTION_TYPE:
        raise OAuthRefused("invalid_client", f"client_assertion_type is {str(kind)[:80]}; it must be {ASSERTION_TYPE}.")
    try:
        proof = await oauth.assertions.prove(form.get("client_assertion", ""), audiences)
    except TokenRefused as error:
        raise OAuthRefused("invalid_client", str(error)) from error
    if form.get("client_id", proof.client.id) != proof.client.id:
        raise OAuthRefused("invalid_client", "client_id is not the client that signed the assertion.")
    try:
        oauth.callers.take(proof.client.agent)
    except Throttled as error:
        raise throttled(error) from error
    return proof


def spent(uow: UnitOfWork, proof: Proof) -> Client:
    """See that an assertion is used once, and forget old ones. Raises OAuthRefused `invalid_client`."""
    try:
        client = spend(uow, proof)
    except TokenRefused as error:
        raise OAuthRefused("invalid_client", str(error)) from error
    if uow.last_updated % 8 == 0:  # now and then is enough: a sweep takes away more than came since the last
        sweep(uow, (USED, REVOKED))
    return client
