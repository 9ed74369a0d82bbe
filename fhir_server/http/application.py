"""The FastAPI application and the gate in front of it that keeps FHIR requests off its stack."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI
from fastapi.responses import JSONResponse, RedirectResponse

from fhir_server.http.endpoint import FhirEndpoint, Message, Receive, Scope, Send
from fhir_server.http.security import HeaderMap, Headers, Origins, options_headers
from fhir_server.interactions.operations.ws_binding_token import PATH as WEBSOCKET_PATH

Serve = Callable[[Scope, Receive, Send], Awaitable[None]]
_LIVE: Final = {"status": "pass"}


class Gateway:
    """Sends what lies below the FHIR base path to the endpoint, all else (pages, health, lifespan) to FastAPI."""

    def __init__(
        self,
        application: FastAPI,
        endpoint: FhirEndpoint,
        base_path: str,
        fixed_headers: Headers | None = None,
        origins: Origins | None = None,
        websocket: Serve | None = None,
    ) -> None:
        """`websocket` serves websockets at `/ws`."""
        self.application = application
        self._websocket = websocket
        self._endpoint = endpoint
        self._base_path = base_path
        self._below = base_path + "/"
        self._well_known = f"{base_path}/.well-known/"
        self._fixed = fixed_headers or []
        self._origins = origins or Origins(())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            path: str = scope["path"]
            if (path.startswith(self._below) and not path.startswith(self._well_known)) or path == self._base_path:
                await self._endpoint(scope, receive, send)
                return
            await self._shielded(scope, receive, send)
            return
        if scope["type"] == "websocket" and self._websocket is not None and scope["path"] == WEBSOCKET_PATH:
            await self._websocket(scope, receive, send)
            return
        await self.application(scope, receive, send)

    async def _shielded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what is not FHIR, with the headers that every answer has; a page may set stricter or wider ones itself.

        Other sites may read only what needs no cookie: the OAuth endpoints and the discovery documents.
        """
        headers: HeaderMap = dict(scope["headers"])
        open_to_others = scope["path"].startswith(("/oauth/", "/.well-known/", self._well_known))
        more = self._origins.headers(headers.get(b"origin", b"")) if open_to_others else []
        if open_to_others and scope["method"] == "OPTIONS":
            found = [*self._fixed, *more, *options_headers(headers, self._origins)]
            await send({"type": "http.response.start", "status": HTTPStatus.NO_CONTENT, "headers": found})
            await send({"type": "http.response.body", "body": b""})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                message = {
                    **message,
                    "headers": [*given, *(pair for pair in self._fixed if pair[0] not in names), *more],
                }
            await send(message)

        await self.application(scope, receive, with_headers)


def build_application(
    base_path: str, started: Callable[[], None], stopped: Callable[[], Awaitable[None]], *, pages: bool = False
) -> FastAPI:
    """Build the shell: its lifespan, a liveness probe, and a front door that leads to the CapabilityStatement.

    With `pages` the front door is theirs.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        started()
        yield
        await stopped()

    application = FastAPI(title="fhir-server", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @application.get("/health")
    async def health() -> JSONResponse:
        return JSONResponse(_LIVE)

    if not pages:

        @application.get("/")
        async def front_door() -> RedirectResponse:
            return RedirectResponse(f"{base_path}/metadata")

    return application
