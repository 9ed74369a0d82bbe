"""The FastAPI application and the gate in front of it that keeps FHIR requests off its stack."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from fastapi.responses import JSONResponse, RedirectResponse

from fhir_server.http.endpoint import FhirEndpoint, Receive, Scope, Send

_LIVE: Final = {"status": "pass"}


class Gateway:
    """Sends what lies below the FHIR base path to the endpoint, all else (pages, health, lifespan) to FastAPI."""

    def __init__(self, application: FastAPI, endpoint: FhirEndpoint, base_path: str) -> None:
        self.application = application
        self._endpoint = endpoint
        self._base_path = base_path
        self._below = base_path + "/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            path: str = scope["path"]
            if path.startswith(self._below) or path == self._base_path:
                await self._endpoint(scope, receive, send)
                return
        await self.application(scope, receive, send)


def build_application(base_path: str, started: Callable[[], None], stopped: Callable[[], None]) -> FastAPI:
    """Build the shell: its lifespan, a liveness probe, and a front door that leads to the CapabilityStatement."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        started()
        yield
        stopped()

    application = FastAPI(title="fhir-server", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @application.get("/health")
    async def health() -> JSONResponse:
        return JSONResponse(_LIVE)

    @application.get("/")
    async def front_door() -> RedirectResponse:
        return RedirectResponse(f"{base_path}/metadata")

    return application
