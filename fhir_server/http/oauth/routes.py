"""The routes of getting in, on the FastAPI application."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

from fhir_server.http.identity import caller_address
from fhir_server.http.oauth import clients
from fhir_server.http.oauth.common import OAuth, OAuthRefused, admitted, answer, refusal
from fhir_server.http.oauth.discovery import jwks, smart_configuration
from fhir_server.http.oauth.token import token
from fhir_server.http.oauth.upkeep import introspect, revoke
from fhir_server.model.codec import encode
from fhir_server.model.errors import Unavailable

_Work = Callable[[OAuth, Request], Awaitable[Response]]
_KEPT = {"cache-control": "public, max-age=60"}


def oauth_router(oauth: OAuth, base_path: str) -> APIRouter:
    """Build the router; `base_path` is where FHIR is served, for the discovery document below it."""
    router = APIRouter()
    described = encode(smart_configuration(oauth))

    async def configuration() -> Response:
        return Response(described, headers=_KEPT, media_type="application/json")

    async def keys() -> Response:
        return Response(encode(jwks(oauth)), headers=_KEPT, media_type="application/json")

    for path in ("/.well-known/smart-configuration", f"{base_path}/.well-known/smart-configuration"):
        router.add_api_route(path, configuration, methods=["GET", "HEAD"])
    router.add_api_route("/oauth/jwks", keys, methods=["GET", "HEAD"])
    for path, work in (("token", token), ("introspect", introspect), ("revoke", revoke)):
        router.add_api_route(f"/oauth/{path}", _guarded(oauth, work), methods=["POST"])
    router.include_router(clients.clients_router(oauth))
    return router


def _guarded(oauth: OAuth, work: _Work) -> Callable[[Request], Awaitable[Response]]:
    """Wrap an endpoint: refusals become answers, and those that smell of guessing are counted by address."""

    async def endpoint(request: Request) -> Response:
        address = caller_address(request.scope)
        try:
            admitted(oauth, address)
            return await work(oauth, request)
        except OAuthRefused as error:
            if error.error == "invalid_client":
                oauth.failures.spend(address)
            return refusal(error)
        except Unavailable as error:
            told = {"error": "temporarily_unavailable", "error_description": str(error)}
            return answer(told, 503, {"retry-after": str(error.retry_after)})

    return endpoint
