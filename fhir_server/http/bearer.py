"""Protected mode: a bearer token proves who calls (RFC 6750)."""

from fhir_server.access.jose import LONGEST_TOKEN, TokenRefused
from fhir_server.access.principal import ANONYMOUS, Principal
from fhir_server.access.tokens import Checked, Tokens
from fhir_server.http.identity import PURPOSE_HEADER, HeaderMap, Scope, caller_address, with_purpose
from fhir_server.http.limits import Buckets
from fhir_server.model.errors import Unauthenticated


class Bearer:
    """Believes access tokens only; the headers of development mode mean nothing to it."""

    def __init__(self, tokens: Tokens, callers: Buckets, failures: Buckets, public: frozenset[str]) -> None:
        """`public` are the paths that need no token."""
        self._tokens = tokens
        self._callers = callers
        self._failures = failures
        self._public = public

    def known(self, headers: HeaderMap) -> Principal | None:
        """Return who was found lately for the very same token. Raises Throttled."""
        sent = headers.get(b"authorization")
        if sent is None or sent[:7] != b"Bearer ":
            return None
        found = self._tokens.known(sent[7:].decode("latin-1"))
        return None if found is None else self._admitted(found, headers)

    async def identify(self, headers: HeaderMap, scope: Scope) -> Principal:
        """Check the token; what is public needs none. Attempts that fail are counted by address."""
        sent = headers.get(b"authorization", b"")
        if not sent and scope["path"].rstrip("/") in self._public and scope["method"] in ("GET", "HEAD"):
            return ANONYMOUS
        address = caller_address(scope)
        self._failures.check(address)
        try:
            found = await self._tokens.check(bearer_token(sent))
        except TokenRefused as error:
            self._failures.spend(address)
            raise Unauthenticated(f"{error} Ask for a new token.", key="token-invalid") from error
        return self._admitted(found, headers)

    def _admitted(self, found: Checked, headers: HeaderMap) -> Principal:
        self._callers.take(found.principal.agent)
        if PURPOSE_HEADER in headers:
            return with_purpose(found.principal, headers, may_break_glass=found.break_glass)
        return found.principal


def bearer_token(sent: bytes) -> str:
    """Return the token of an Authorization header. Raises Unauthenticated when there is none."""
    scheme, _, token = sent.partition(b" ")
    token = token.strip()
    if scheme.lower() != b"bearer" or not token:
        raise Unauthenticated(
            "This needs an access token: send Authorization: Bearer <token>. .well-known/smart-configuration says where "
            "to get one.",
        )
    if len(token) > LONGEST_TOKEN:
        raise Unauthenticated(
            f"The token has {len(token)} bytes; at most {LONGEST_TOKEN} are taken.", key="token-invalid"
        )
    return token.decode("latin-1")
