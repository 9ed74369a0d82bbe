"""Calling receivers of notifications: judged addresses, lines that are kept open, and a deadline for the whole call.

The name is resolved and judged for every new line (`fetch`), and the line goes to the address that was judged: what the
name server says later changes nothing. A line is used again for a while, by one call at a time. Nothing is followed: a
redirect is an answer like any other. The deadline ends also who sends a byte now and then.
"""

import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import certifi
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from fhir_server.outbound.fetch import FetchFailed, Outward, Resolve, judged_address, resolve

_KEPT_SECONDS: Final = 30.0
"""How long a line is used after its address was judged."""
_LINES: Final = 8
"""Idle lines to one place."""
_LARGEST: Final = 64 * 1024
_CHUNK: Final = 16 * 1024
_TICK: Final = 0.1
_HTTPS: Final = 443
_HTTP: Final = 80
Place = tuple[str, str, int]


class Unreachable(Exception):
    """The receiver could not be called or did not answer; the text may be told to the subscriber."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final
        """Whether the endpoint names an address that may not be called: no name server will change that."""


class Answer(NamedTuple):
    """What a receiver answered; its body is nobody's business."""

    status: int
    retry_after: str = ""


class _Guard:
    """Holds on to the socket of a line, so that it can be cut from another thread in every phase of a call."""

    def __init__(self) -> None:
        self._copy: socket.socket | None = None
        self.is_cut = False

    def took(self, opened: socket.socket) -> socket.socket:
        self.drop()
        self._copy = opened.dup()
        return opened

    def cut(self) -> None:
        self.is_cut = True
        if self._copy is not None:
            try:
                self._copy.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it is closed already

    def drop(self) -> None:
        if self._copy is not None:
            self._copy.close()
            self._copy = None


class _Plain(HTTPConnection):
    def __init__(self, *positional: Any, guard: _Guard, **named: Any) -> None:
        super().__init__(*positional, **named)
        self._guard = guard

    def _new_conn(self) -> socket.socket:
        return self._guard.took(super()._new_conn())


class _Secure(HTTPSConnection):
    def __init__(self, *positional: Any, guard: _Guard, **named: Any) -> None:
        super().__init__(*positional, **named)
        self._guard = guard

    def _new_conn(self) -> socket.socket:
        return self._guard.took(super()._new_conn())


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


class _Line(HTTPAdapter):
    """One connection to one judged address; certificate and SNI are those of the name."""

    def __init__(self, place: Place, address: str, tls: ssl.SSLContext) -> None:
        super().__init__(max_retries=0)
        self.place = place
        scheme, host, port = place
        self.guard = _Guard()
        self.until = time.monotonic() + _KEPT_SECONDS
        self.used = False
        kept: dict[str, Any] = {"maxsize": 1, "guard": self.guard}
        self._pool: HTTPConnectionPool = (
            _SecurePool(address, port, ssl_context=tls, server_hostname=host, assert_hostname=host, **kept)
            if scheme == "https"
            else _PlainPool(address, port, **kept)
        )
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.mount(f"{scheme}://", self)

    def get_connection_with_tls_context(self, *_positional: Any, **_named: Any) -> HTTPConnectionPool:
        return self._pool

    def cert_verify(self, *_positional: Any, **_named: Any) -> None:
        """Leave it to the context, which verifies."""

    def close(self) -> None:
        self._pool.close()
        self.guard.drop()
        super().close()


class Receivers:
    """Calls receivers. Safe between threads; `close` ends it."""

    def __init__(self, outward: Outward, *, resolver: Resolve = resolve, ca_file: str = "") -> None:
        self._outward = outward
        self._resolver = resolver
        self._tls = ssl.create_default_context(cafile=ca_file or certifi.where())
        self._idle: dict[Place, deque[_Line]] = {}
        self._running: dict[_Guard, float] = {}
        self._changed = threading.Condition()
        self._watch: threading.Thread | None = None
        self._closed = False

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> Answer:
        """Make one call that is over within `seconds`, answered or not. Raises Unreachable."""
        parts = urlsplit(url)
        place = (parts.scheme, parts.hostname or "", parts.port or (_HTTPS if parts.scheme == "https" else _HTTP))
        line = self._line(place)
        try:
            return self._call(line, method, url, headers, body, seconds)
        except Unreachable:
            if not line.used or line.guard.is_cut:
                raise
        return self._call(self._opened(place), method, url, headers, body, seconds)  # the old line had been closed

    def close(self) -> None:
        """Cut what runs and close all lines."""
        with self._changed:
            self._closed = True
            for guard in self._running:
                guard.cut()
            idle, self._idle = self._idle, {}
            self._changed.notify_all()
        for lines in idle.values():
            for line in lines:
                line.close()
        if self._watch is not None:
            self._watch.join()

    def _call(
        self, line: _Line, method: str, url: str, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> Answer:
        kept = False
        self._begin(line.guard, time.monotonic() + seconds)
        try:
            with line.session.request(
                method,
                url,
                data=body,
                headers={"Host": urlsplit(url).netloc, "Accept-Encoding": "identity", **headers},
                timeout=seconds,
                allow_redirects=False,
                stream=True,
            ) as response:
                kept = _drained(response)
                if line.guard.is_cut:  # an answer that was cut off in its headers looks complete
                    raise Unreachable(_late(seconds))
                return Answer(response.status_code, response.headers.get("Retry-After", ""))
        except (requests.RequestException, OSError, ValueError) as error:
            raise Unreachable(_why(error, cut=line.guard.is_cut, seconds=seconds)) from error
        finally:
            self._end(line.guard)
            self._give_back(line, kept=kept and not line.guard.is_cut)

    def _line(self, place: Place) -> _Line:
        now = time.monotonic()
        with self._changed:
            idle = self._idle.get(place)
            while idle:
                line = idle.pop()
                if line.until > now:
                    line.used = True
                    return line
                line.close()
        return self._opened(place)

    def _opened(self, place: Place) -> _Line:
        scheme, host, port = place
        try:
            address = judged_address(urlsplit(f"{scheme}://h"), host, port, self._outward, self._resolver)
        except FetchFailed as error:
            raise Unreachable(str(error), final=_is_address(host)) from error
        if ip_address(address.partition("%")[0]).is_link_local:
            raise Unreachable(f"{host[:100]} leads to a link-local address, which is never called.", final=True)
        return _Line(place, address, self._tls)

    def _give_back(self, line: _Line, *, kept: bool) -> None:
        with self._changed:
            idle = self._idle.setdefault(line.place, deque())
            if kept and not self._closed and len(idle) < _LINES:
                idle.append(line)
                return
        line.close()

    def _begin(self, guard: _Guard, until: float) -> None:
        with self._changed:
            self._running[guard] = until
            if self._watch is None:
                self._watch = threading.Thread(target=self._cut_late, name="receivers", daemon=True)
                self._watch.start()
            elif len(self._running) == 1:
                self._changed.notify_all()

    def _end(self, guard: _Guard) -> None:
        with self._changed:
            self._running.pop(guard, None)

    def _cut_late(self) -> None:
        """Cut the calls whose time is over."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                for guard, until in self._running.items():
                    if until < now:
                        guard.cut()
                self._changed.wait(_TICK if self._running else None)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _drained(response: requests.Response) -> bool:
    """Read what is left of an answer, so that its line can be used again; tell whether it was little enough."""
    size = 0
    for chunk in response.iter_content(_CHUNK):
        size += len(chunk)
        if size > _LARGEST:
            return False
    return True


def _late(seconds: float) -> str:
    return f"No complete answer came within {seconds:g} s."


def _why(error: Exception, *, cut: bool, seconds: float) -> str:
    if cut or isinstance(error, requests.Timeout):
        return _late(seconds)
    if isinstance(error, requests.exceptions.SSLError):
        return "The certificate of the receiver cannot be verified."
    return f"The receiver cannot be reached ({type(error).__name__})."
