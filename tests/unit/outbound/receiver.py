"""Receivers of notifications for tests: real processes' worth of behaviour on real sockets."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Got(NamedTuple):
    """One request that arrived; `at` is milliseconds since the epoch."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def bundle(self) -> dict[str, Any]:
        """The body as JSON."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def kind(self) -> str:
        """The type of the notification."""
        return value(self.bundle, "type")

    @property
    def numbers(self) -> list[int]:
        """The numbers of its events."""
        return [int(part(one, "event-number")) for one in events(self.bundle)]


def value(bundle: dict[str, Any], name: str) -> str:
    """Return a parameter of the status."""
    for one in bundle["entry"][0]["resource"]["parameter"]:
        if one["name"] == name:
            return str(next(found for key, found in one.items() if key.startswith("value")))
    return ""


def events(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a notification."""
    return [one for one in bundle["entry"][0]["resource"]["parameter"] if one["name"] == "notification-event"]


def part(event: dict[str, Any], name: str) -> str:
    """Return a part of an event, "" when it is not there."""
    for one in event["part"]:
        if one["name"] == name:
            found = next(found for key, found in one.items() if key.startswith("value"))
            return str(found["reference"] if isinstance(found, dict) else found)
    return ""


Answering = Callable[[BaseHTTPRequestHandler], None]


def with_status(status: int, **headers: str) -> Answering:
    """Return a behaviour that answers a status."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, text in headers.items():
            handler.send_header(name.replace("_", "-"), text)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


class Receiver:
    """An HTTP server on loopback that keeps what it gets; `behaviour` answers and may be changed while it runs."""

    def __init__(self, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.got: list[Got] = []
        self.behaviour: Answering = with_status(200)
        self.news = threading.Condition()
        self.connections: list[socket.socket] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                outer.connections.append(self.request)
                super().setup()

            def _take(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                found = Got(self.command, self.path, dict(self.headers), body, time.time() * 1000)
                with outer.news:
                    outer.got.append(found)
                    outer.news.notify_all()
                outer.behaviour(self)

            do_POST = do_PUT = _take  # noqa: N815  # names that the library asks

            def log_message(self, *_parts: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_parts: Any) -> None:
                """Say nothing of connections that were cut."""

        self._server = Server(("127.0.0.1", port), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.scheme = "https" if tls is not None else "http"
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def url(self, path: str = "/hook") -> str:
        """Return an address of this receiver."""
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    def wait(self, enough: Callable[[list[Got]], bool], seconds: float = 10.0) -> list[Got]:
        """Wait until what was got is enough; return it. Raises AssertionError when it is not in time."""
        with self.news:
            assert self.news.wait_for(lambda: enough(self.got), seconds), [one.path for one in self.got]
            return list(self.got)

    def told(self, path: str = "/hook") -> list[Got]:
        """Return the event notifications that came to a path, in the order they came."""
        return [one for one in self.got if one.path == path and one.body and one.kind == "event-notification"]

    def stop(self) -> None:
        """Stop, as a process that is killed: connections are cut."""
        self._server.shutdown()
        self._server.server_close()
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
