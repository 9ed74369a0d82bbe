"""Who calls: in development mode what a header says; `http.bearer` believes tokens."""

from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any, Final, Protocol
from urllib.parse import unquote

from fhir_server.access.principal import ANONYMOUS, Principal
from fhir_server.http.developer import developer_principal
from fhir_server.model.errors import Forbidden, Malformed

HeaderMap = dict[bytes, bytes]
Scope = MutableMapping[str, Any]

PURPOSE_HEADER: Final = b"x-purpose-of-use"
_ORGANIZATION: Final = b"x-dev-organization"
_ROLES: Final = b"x-dev-roles"
_SAID: Final = frozenset({_ORGANIZATION, _ROLES, PURPOSE_HEADER})
"""The headers that say who calls, and why."""
_PURPOSES: Final = frozenset(
    {"TREAT", "BTG", "ETREAT", "CAREMGT", "CLINTRCH", "COORD", "HOPERAT", "HPAYMT", "HRESCH", "HSYSADMIN", "PATADMIN",
     "PATRQT", "PUBHLTH", "SUPNWK", "FAMRQT", "RECORDMGT", "HTEST"}
)  # fmt: skip
"""Codes of v3-PurposeOfUse that have a meaning here."""
_SHORTEST_REASON: Final = 10
_LONGEST_REASON: Final = 500


class Identity(Protocol):
    """Says who sent a request."""

    def known(self, headers: HeaderMap) -> Principal | None:
        """Return the caller when that needs no more than a look; None when it is to be found out."""
        ...

    async def identify(self, headers: HeaderMap, scope: Scope) -> Principal:
        """Find out. Raises Unauthenticated, Throttled, Forbidden or Malformed."""
        ...


class Developer:
    """Believes the headers `X-Dev-Organization` and `X-Dev-Roles`."""

    def known(self, headers: HeaderMap) -> Principal | None:
        """Return what the headers say. Raises Malformed."""
        if _SAID.isdisjoint(headers):
            return ANONYMOUS
        said = developer_principal(
            headers.get(_ORGANIZATION, b"").decode("latin-1"), headers.get(_ROLES, b"").decode("latin-1")
        )
        return said if PURPOSE_HEADER not in headers else with_purpose(said, headers, may_break_glass=True)

    async def identify(self, headers: HeaderMap, scope: Scope) -> Principal:  # noqa: ARG002  # the shape of every identity
        """Return what the headers say."""
        return self.known(headers) or ANONYMOUS


def with_purpose(principal: Principal, headers: HeaderMap, *, may_break_glass: bool) -> Principal:
    """Read `X-Purpose-Of-Use: code; reason="why"`, the reason percent-encoded where it is not ASCII.

    Raises Malformed for a code or reason that cannot stand, Forbidden for a caller that may not break the glass.
    """
    code, _, rest = headers[PURPOSE_HEADER].decode("latin-1").partition(";")
    name, _, quoted = rest.strip().partition("=")
    reason = unquote(quoted.strip().strip('"')).strip()
    code = code.strip()
    if code not in _PURPOSES or (rest.strip() and name.strip() != "reason") or len(reason) > _LONGEST_REASON:
        raise Malformed(
            f"X-Purpose-Of-Use is {code[:40]!r} with a reason of {len(reason)} characters. Send a code of v3-PurposeOfUse, "
            f'and a reason of at most {_LONGEST_REASON}: BTG; reason="child in danger".',
            key="bad-purpose",
        )
    if not reason.isprintable():
        raise Malformed("The reason in X-Purpose-Of-Use holds control characters.", key="bad-purpose")
    if code == "BTG" and len(reason) < _SHORTEST_REASON:
        raise Malformed(
            f'Breaking the glass needs a reason of at least {_SHORTEST_REASON} characters: BTG; reason="…".',
            key="bad-purpose",
        )
    if code == "BTG" and not may_break_glass:
        raise Forbidden("This client was not registered as one that may break the glass.", key="break-glass-denied")
    return replace(principal, purpose=code, reason=reason)


def caller_address(scope: Scope) -> str:
    """Return the address that a request came from, as the server sees it."""
    client = scope.get("client")
    return str(client[0]) if client else ""
