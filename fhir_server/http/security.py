"""What every answer says to browsers: security headers, and which other sites may read it (CORS)."""

from collections.abc import Iterable
from typing import Final

from fhir_server.model.errors import FhirError, Throttled, Unauthenticated

Headers = list[tuple[bytes, bytes]]
HeaderMap = dict[bytes, bytes]

PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of web pages: nothing from elsewhere, nothing written into the page."""
DEVELOPMENT_NOTICE: Final = (
    "Development mode: nobody's identity is checked. Do not put real people's data in. · "
    "Ontwikkelmodus: niemands identiteit wordt nagegaan. Voer geen gegevens van echte mensen in. · "
    "Mode développement : l'identité n'est pas vérifiée. N'entrez pas de données de personnes réelles. · "
    "Entwicklungsmodus: niemandes Identität wird geprüft. Geben Sie keine Daten echter Personen ein."
)
"""What every page shows in development mode."""
_DATA_POLICY: Final = b"default-src 'none'; frame-ancestors 'none'"
_METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_ASKED: Final = (
    b"authorization, content-type, accept, accept-language, if-match, if-none-match, if-modified-since, if-none-exist, prefer, "
    b"x-request-id, x-purpose-of-use"
)
_EXPOSED: Final = b"etag, location, content-location, last-modified, retry-after, www-authenticate, x-request-id, x-progress, x-poll-interval"
_ONE_DAY: Final = b"86400"


def fixed_headers(*, https: bool, protected: bool) -> Headers:
    """Return the headers of every answer that is data; HSTS only where browsers come by https."""
    found = [
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"content-security-policy", _DATA_POLICY),
    ]
    if https:
        found.append((b"strict-transport-security", b"max-age=31536000; includeSubDomains"))
    found.append((b"cache-control", b"no-store" if protected else b"private, no-cache"))
    return found


class Origins:
    """Which sites a browser may let read our answers; none by default. Tokens travel in a header, cookies never."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(origin.encode() for origin in allowed)

    def __bool__(self) -> bool:
        return bool(self._allowed)

    def headers(self, origin: bytes) -> Headers:
        """Return the headers of an answer to a request from a site."""
        if not self._allowed:
            return []
        vary = (b"vary", b"origin")
        if origin not in self._allowed and b"*" not in self._allowed:
            return [vary]
        granted = b"*" if b"*" in self._allowed else origin
        return [(b"access-control-allow-origin", granted), (b"access-control-expose-headers", _EXPOSED), vary]

    def preflight(self, headers: HeaderMap) -> Headers:
        """Return what the answer to a preflight says besides `headers`; a site that is not allowed is told nothing."""
        if len(self.headers(headers.get(b"origin", b""))) <= 1:
            return []
        return [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _ASKED),
            (b"access-control-max-age", _ONE_DAY),
        ]


def options_headers(headers: HeaderMap, origins: Origins) -> Headers:
    """Return what the answer to any OPTIONS says besides `Origins.headers`: what may be asked here."""
    found = [(b"allow", _METHODS)]
    return found + origins.preflight(headers) if b"access-control-request-method" in headers else found


def refusal_headers(error: FhirError) -> Headers:
    """Return what a refusal says besides its body: how to authenticate (RFC 6750), when to come again."""
    if isinstance(error, Throttled):
        return [(b"retry-after", b"%d" % error.retry_after)]
    if isinstance(error, Unauthenticated):
        if error.issues[0].key == "token-invalid":
            return [(b"www-authenticate", b'Bearer realm="fhir", error="invalid_token"')]
        return [(b"www-authenticate", b'Bearer realm="fhir"')]
    return []
