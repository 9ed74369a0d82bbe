"""POST /oauth/introspect (RFC 7662) and POST /oauth/revoke (RFC 7009)."""

from typing import Any

from fastapi import Request, Response

from fhir_server.access.clients import Client, find_client
from fhir_server.access.jose import TokenRefused, unverified
from fhir_server.access.tokens import REVOKED
from fhir_server.http.oauth.common import OAuth, OAuthRefused, answer, form_of, proof_of, spent
from fhir_server.store.port import Snapshot, UnitOfWork

_TOLD = ("iss", "aud", "sub", "client_id", "scope", "iat", "exp", "jti")


async def introspect(oauth: OAuth, request: Request) -> Response:
    """Tell whether a token is good: to the client that it was given to, and to operators."""
    form = await form_of(request)
    proof = await proof_of(oauth, form, (f"{oauth.issuer}/oauth/introspect", oauth.token_url))
    client = await oauth.store.write_async(lambda uow: spent(uow, proof))
    claims = _claims(oauth, _token(form))
    if claims is None or not _concerns(client, claims):
        return answer({"active": False})
    active = await oauth.store.read_async(lambda snapshot: _active(snapshot, claims))
    if not active:
        return answer({"active": False})
    return answer({"active": True, "token_type": "bearer", **{name: claims[name] for name in _TOLD if name in claims}})


async def revoke(oauth: OAuth, request: Request) -> Response:
    """Take back a token: the client that it was given to may, and operators. One that is not good any more is fine."""
    form = await form_of(request)
    proof = await proof_of(oauth, form, (f"{oauth.issuer}/oauth/revoke", oauth.token_url))
    claims = _claims(oauth, _token(form))

    def work(uow: UnitOfWork) -> bool:
        client = spent(uow, proof)
        if claims is None:
            return True
        if _concerns(client, claims):
            oauth.tokens.revoke(uow, claims, client.principal(client.scopes))
            return True
        return False

    allowed = await oauth.store.write_async(work)
    oauth.tokens.forget()
    if not allowed:
        raise OAuthRefused("unauthorized_client", "The token was given to another client.")
    return answer({})


def _token(form: dict[str, str]) -> str:
    found = form.get("token", "")
    if not found:
        raise OAuthRefused("invalid_request", "token is missing.")
    return found


def _claims(oauth: OAuth, token: str) -> dict[str, Any] | None:
    """Return the claims of a token of ours that has not expired."""
    try:
        return oauth.tokens.own_claims(token, unverified(token))
    except TokenRefused:
        return None


def _concerns(client: Client, claims: dict[str, Any]) -> bool:
    return claims.get("client_id") == client.id or "operator" in client.roles


def _active(snapshot: Snapshot, claims: dict[str, Any]) -> bool:
    holder = find_client(snapshot, str(claims.get("client_id")))
    return holder is not None and holder.active and snapshot.record(REVOKED, str(claims.get("jti"))) is None
