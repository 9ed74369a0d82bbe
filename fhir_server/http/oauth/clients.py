"""/oauth/clients: an operator registers, reads, disables and gives new keys to clients. The commands do the same."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request, Response

from fhir_server.access.clients import (
    Client,
    add_client,
    change_client,
    find_client,
    list_clients,
    new_client,
    with_keys,
)
from fhir_server.access.principal import Principal
from fhir_server.http.oauth.common import OAuth, answer
from fhir_server.http.responses import render_error
from fhir_server.model.codec import decode
from fhir_server.model.errors import FhirError, Forbidden, Malformed, NotFound, TooLarge
from fhir_server.store.port import UnitOfWork

_LARGEST = 256 * 1024
_Work = Callable[[Request, Principal], Awaitable[Response]]


def clients_router(oauth: OAuth) -> APIRouter:
    """Build the routes; each asks for a token with the role operator."""
    router = APIRouter()

    async def listed(request: Request, by: Principal) -> Response:  # noqa: ARG001  # the shape of every endpoint here
        found = await oauth.store.read_async(list_clients)
        return answer({"clients": [client.described() for client in found]})

    async def shown(request: Request, by: Principal) -> Response:  # noqa: ARG001  # the shape of every endpoint here
        name = request.path_params["id"]
        found = await oauth.store.read_async(lambda snapshot: find_client(snapshot, name), once=True)
        if found is None:
            raise NotFound(f"There is no client {name[:64]}.")
        return answer(found.described())

    async def added(request: Request, by: Principal) -> Response:
        client = new_client(await _sent(request))
        await oauth.store.write_async(lambda uow: add_client(uow, client, by))
        return answer(client.described(), 201, {"location": f"{oauth.issuer}/oauth/clients/{client.id}"})

    async def changed(request: Request, by: Principal) -> Response:
        given, name = await _sent(request), request.path_params["id"]
        client = await oauth.store.write_async(lambda uow: _change(uow, name, given, by))
        oauth.tokens.forget()
        return answer(client.described())

    for path, method, work in (
        ("/oauth/clients", "GET", listed),
        ("/oauth/clients", "POST", added),
        ("/oauth/clients/{id}", "GET", shown),
        ("/oauth/clients/{id}", "PATCH", changed),
    ):
        router.add_api_route(path, _for_operators(oauth, work), methods=[method])
    return router


def _change(uow: UnitOfWork, name: str, given: dict[str, Any], by: Principal) -> Client:
    """Apply `active`, or new keys; what a client may do is changed by registering another. Raises Malformed, NotFound."""
    client = find_client(uow, name)
    if client is None:
        raise NotFound(f"There is no client {name[:64]}.")
    if set(given) == {"active"} and isinstance(given["active"], bool):
        client = replace(client, active=given["active"])
        change_client(uow, client, by, "enable" if client.active else "disable")
        return client
    if len(given) == 1 and given.keys() <= {"jwks", "jwks_url"}:
        client = with_keys(client, given.get("jwks"), given.get("jwks_url"))
        change_client(uow, client, by, "rotate-keys")
        return client
    raise Malformed('Send one of {"active": false}, {"jwks": {…}} and {"jwks_url": "https://…"}.', key="bad-client")


async def _sent(request: Request) -> dict[str, Any]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST:
            raise TooLarge(f"The body is larger than {_LARGEST} bytes.")
    found = decode(body)
    if not isinstance(found, dict):
        raise Malformed("The body is no JSON object.", key="bad-client")
    return found


def _for_operators(oauth: OAuth, work: _Work) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        headers = dict(request.scope["headers"])
        try:
            by = oauth.identity.known(headers) or await oauth.identity.identify(headers, request.scope)
            if "operator" not in by.roles:
                raise Forbidden("Clients are registered by operators. Use a token of a client with that role.")
            return await work(request, by)
        except FhirError as error:
            refused = render_error(error)
            told = {name.decode(): value.decode() for name, value in refused.headers}
            return Response(refused.body, refused.status, told | {"cache-control": "no-store"})

    return endpoint
