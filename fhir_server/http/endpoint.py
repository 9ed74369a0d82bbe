"""The one FHIR endpoint: an ASGI application from bytes to bytes, with nothing between it and the interactions."""

import itertools
import secrets
import traceback
from asyncio import timeout
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

import structlog

from fhir_server.access.principal import Principal
from fhir_server.http.identity import Developer, Identity
from fhir_server.http.negotiate import (
    NO_PREFERENCES,
    check_accept,
    preferences,
    sent_type,
    split_format,
)
from fhir_server.http.polling import Gone, Polling, waits, while_connected
from fhir_server.http.responses import Headers, Response, render, render_error, render_failure
from fhir_server.http.security import Origins, options_headers
from fhir_server.interactions.context import Engine
from fhir_server.interactions.perform import perform_async
from fhir_server.interactions.request import NO_PRECONDITIONS, Parameters, Preconditions, Request, Result
from fhir_server.model.errors import FhirError, Malformed, TimedOut, TooLarge
from fhir_server.validation.crosscheck import disagreement

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
HeaderMap = dict[bytes, bytes]

_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_CONDITIONS: Final = frozenset({b"if-match", b"if-none-match", b"if-modified-since", b"if-none-exist"})
_PROCESS: Final = secrets.token_hex(4)
_requests = itertools.count(1)
_log = structlog.get_logger("fhir_server.http")


class Disconnected(Exception):
    """The client went away before its body was complete."""


class FhirEndpoint:
    """Serves everything below the base path."""

    def __init__(
        self,
        engine: Engine,
        *,
        base: str,
        base_path: str,
        max_body_bytes: int,
        identity: Identity | None = None,
        fixed_headers: Headers | None = None,
        origins: Origins | None = None,
        body_seconds: float = 60.0,
        cross_check: bool = False,
        trace: bool = False,
        polling: Polling | None = None,
    ) -> None:
        self._engine = engine
        self._base = base
        self._below = base_path.encode() + b"/"
        self._max_body = max_body_bytes
        self._identity: Identity = identity or Developer()
        self._fixed = fixed_headers or []
        self._origins = origins or Origins(())
        self._cross_origin = bool(self._origins)
        self._body_seconds = body_seconds
        self._cross_check = cross_check
        self._trace = trace
        self._polling = polling or Polling()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; a defect of ours is logged with its request id and told as 500 without detail."""
        headers: HeaderMap = dict(scope["headers"])
        sent = headers.get(b"x-request-id")
        request_id = f"{_PROCESS}-{next(_requests):x}" if sent is None else _request_id(sent)
        try:
            response = await self._respond(scope, headers, receive, request_id)
            if self._cross_check and response.body and (doubt := disagreement(response.body)):
                _log.error("the second opinion disagrees", request_id=request_id, finding=doubt)
                response = render_failure(request_id)
        except (Disconnected, Gone):
            return
        except Exception as error:  # noqa: BLE001  # a defect of ours: its place is logged, no detail leaves the server
            _log.error(
                "request failed", request_id=request_id, method=scope["method"], **_place(error)
            )  # a traceback could quote what was sent
            response = render_failure(request_id)
        status, told, body = response
        length = (b"content-length", b"%d" % len(body))
        told = [*told, *self._fixed, length, (b"x-request-id", request_id.encode())]
        if self._cross_origin:
            told += self._origins.headers(headers.get(b"origin", b""))
        await send({"type": "http.response.start", "status": status, "headers": told})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        if self._trace:
            _log.debug("answered", request_id=request_id, method=scope["method"], status=int(response.status))

    async def _respond(self, scope: Scope, headers: HeaderMap, receive: Receive, request_id: str) -> Response:
        indent = False
        method = scope["method"]
        if method == "OPTIONS":
            return Response(HTTPStatus.NO_CONTENT, options_headers(headers, self._origins), b"")
        try:
            principal = self._identity.known(headers)
            if principal is None:
                principal = await self._identified(scope, headers, request_id)
            query: Parameters = ()
            asked = ""
            if scope["query_string"]:
                query, asked, indent = split_format(_query(scope["query_string"]))
            if not asked and (accept := headers.get(b"accept", b"")) != b"application/fhir+json":
                check_accept(accept.decode("latin-1"))
            path = self._path(scope)
            body, content_type = None, ""
            if method in _WITH_BODY:
                content_type = sent_type(headers.get(b"content-type", b"").decode("latin-1"), method, path)
                body = await self._timely_body(headers, receive)
            request = self._request(method, path, query, body, content_type, principal, request_id, headers)
            result = await self._performed(scope, request, receive)
            response = render(request, result, indent=indent)
            if result.tag:
                response.headers.extend(self._polling.advice(request, result))
        except FhirError as error:
            return render_error(error, indent=indent, languages=headers.get(b"accept-language", b"").decode("latin-1"))
        return response

    def _performed(self, scope: Scope, request: Request, receive: Receive) -> Awaitable[Result]:
        if request.query:  # a read without parameters is no poll, and waits for nothing
            self._polling.check(request, scope)
            if waits(request):
                return while_connected(receive, perform_async(self._engine, request))
        return perform_async(self._engine, request)

    async def _identified(self, scope: Scope, headers: HeaderMap, request_id: str) -> Principal:
        """Ask who calls; a refusal goes into the audit trail."""
        try:
            return await self._identity.identify(headers, scope)
        except FhirError as error:
            asked = Request(scope["method"], self._path(scope), base=self._base, request_id=request_id)
            self._engine.auditor.refused(asked, error)
            raise

    def _request(
        self,
        method: str,
        path: str,
        query: Parameters,
        body: bytes | None,
        content_type: str,
        principal: Principal,
        request_id: str,
        headers: HeaderMap,
    ) -> Request:
        prefer = headers.get(b"prefer")
        returns, strict = preferences(prefer.decode("latin-1")) if prefer else NO_PREFERENCES
        conditions = NO_PRECONDITIONS if _CONDITIONS.isdisjoint(headers) else _preconditions(headers)
        spoken = headers.get(b"accept-language")
        languages = spoken.decode("latin-1") if spoken else ""
        return Request(
            method, path, query, body, content_type, conditions, returns, strict, principal, self._base, languages, request_id
        )  # fmt: skip

    def _path(self, scope: Scope) -> str:
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        if b"?" in raw:
            raw = raw.partition(b"?")[0]
        if b"%" in raw:
            raw = unquote_to_bytes(raw)
        raw = raw.removeprefix(self._below).removesuffix(b"/") if raw.startswith(self._below) else b""
        try:
            path = raw.decode()
        except UnicodeDecodeError as error:
            raise Malformed("The path is not UTF-8.", key="bad-path") from error
        if "\x00" in path or (".." in path and ".." in path.split("/")):
            raise Malformed("The path holds '..' or NUL. Ids are letters, digits, '-' and '.'.", key="bad-path")
        return path

    async def _timely_body(self, headers: HeaderMap, receive: Receive) -> bytes:
        try:
            async with timeout(self._body_seconds):
                return await self._body(headers, receive)
        except TimeoutError as error:
            raise TimedOut(
                f"The body did not arrive within {self._body_seconds:g} s (setting body_seconds). Send less at once."
            ) from error

    async def _body(self, headers: HeaderMap, receive: Receive) -> bytes:
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_body:
            raise self._too_large()
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")
            if len(body) > self._max_body:
                raise self._too_large()
            return body
        chunks, size = [], 0
        while True:
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._max_body:
                raise self._too_large()
            chunks.append(chunk)
            if not message.get("more_body"):
                return b"".join(chunks)
            message = await receive()

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is larger than {self._max_body} bytes (setting max_body_bytes). Send less at once.")


def _query(raw: bytes) -> Parameters:
    try:
        return tuple(parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=1000))
    except UnicodeDecodeError as error:
        raise Malformed("The query is not UTF-8 in percent-encoding.", key="bad-query") from error
    except ValueError as error:
        raise Malformed("The query has more than 1000 parameters.", key="bad-query") from error


def _preconditions(headers: HeaderMap) -> Preconditions:
    def text(name: bytes) -> str:
        return headers.get(name, b"").decode("latin-1")

    condition = text(b"if-none-exist") if b"if-none-exist" in headers else None
    return Preconditions(text(b"if-match"), text(b"if-none-match"), text(b"if-modified-since"), condition)


def _place(error: Exception) -> dict[str, object]:
    """Describe where a defect struck, without any value: messages and locals may hold personal data."""
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "failure": type(error).__name__,
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _request_id(sent: bytes) -> str:
    """Keep the caller's request id when it is harmless, so that both logs can be laid side by side."""
    text = sent.decode("latin-1")
    if 0 < len(text) <= 64 and text.isascii() and text.replace("-", "").isalnum():  # noqa: PLR2004  # as R4 ids
        return text
    return f"{_PROCESS}-{next(_requests):x}"
