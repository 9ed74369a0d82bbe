"""POST /oauth/token: client_credentials with private_key_jwt (SMART Backend Services)."""

from collections.abc import Mapping

from fastapi import Request, Response

from fhir_server.access.clients import Client
from fhir_server.access.scopes import Scope, narrowed, parse_scopes, render_scopes
from fhir_server.access.trail import append_event
from fhir_server.http.oauth.common import OAuth, OAuthRefused, answer, form_of, proof_of, spent
from fhir_server.model.errors import FhirError
from fhir_server.store.port import UnitOfWork


async def token(oauth: OAuth, request: Request) -> Response:
    """Give a client that proves who it is a token for what it asks and may have."""
    form = await form_of(request)
    grant = form.get("grant_type")
    if grant != "client_credentials":
        raise OAuthRefused("unsupported_grant_type", f"grant_type is {str(grant)[:80]}; it must be client_credentials.")
    asked = _asked(form)
    proof = await proof_of(oauth, form, (oauth.token_url,))

    def work(uow: UnitOfWork) -> tuple[Client, tuple[Scope, ...]]:
        client = spent(uow, proof)
        granted = narrowed(asked, client.scopes)
        if granted:
            append_event(uow, client.principal(granted), "token-issue", client.agent)
        return client, granted

    client, granted = await oauth.store.write_async(work)
    if not granted:  # told after the commit: the assertion is used up all the same
        raise OAuthRefused(
            "invalid_scope", f"None of these scopes is allowed; {render_scopes(client.scopes)[:500]} is."
        )
    return answer(
        {
            "access_token": oauth.tokens.issue(client.id, granted),
            "token_type": "bearer",
            "expires_in": oauth.tokens.seconds,
            "scope": render_scopes(granted),
        }
    )


def _asked(form: Mapping[str, str]) -> tuple[Scope, ...]:
    """Read the scopes that are asked for. Raises OAuthRefused `invalid_scope`."""
    try:
        asked = parse_scopes(form.get("scope", ""))
    except FhirError as error:
        raise OAuthRefused("invalid_scope", str(error)) from error
    if not asked:
        raise OAuthRefused("invalid_scope", "scope is missing. Ask for example for system/Task.rs.")
    if any(scope.level != "system" for scope in asked):
        raise OAuthRefused("invalid_scope", "A client that acts for itself has system scopes only.")
    return asked
