"""Fetching a small JSON document from another server, without letting its address lead us into our own network.

The name is resolved once, each address is judged, and the connection goes to one that was judged good: a name server that
answers differently the second time changes nothing. Redirects are not followed, proxies of the environment not used.
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter

Resolve = Callable[[str, int], list[str]]
"""From host and port to addresses, as texts."""

_LARGEST: Final = 256 * 1024
_CHUNK: Final = 16 * 1024
_OK: Final = 200


class FetchFailed(Exception):
    """The document could not be had; the text says why, in words that may be told to who caused it."""


class Outward(NamedTuple):
    """How this server calls others."""

    private: bool = False
    """Whether private and loopback addresses, and http on them, may be called."""
    seconds: float = 5.0
    """Longest wait to connect, between two bytes, and in all."""


class _Pinned(HTTPAdapter):
    """Connects to a judged address; certificate and SNI are those of the name."""

    def __init__(self, host: str, secure: bool) -> None:
        self._names = {"server_hostname": host, "assert_hostname": host} if secure else {}
        super().__init__(max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **pool, **self._names)


def resolve(host: str, port: int) -> list[str]:
    """Ask the name service of this machine. Raises OSError."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def is_public(address: str) -> bool:
    """Tell whether an address is one of the open internet, also when an IPv4 address is wrapped in it."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        wrapped = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if parsed in ipaddress.ip_network("64:ff9b::/96"):
            wrapped = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if wrapped is not None:
            return wrapped.is_global and not wrapped.is_multicast
    return parsed.is_global and not parsed.is_multicast


def fetch_json(
    outward: Outward,
    url: str,
    form: Mapping[str, str] | None = None,
    authorization: tuple[str, str] | None = None,
    *,
    resolver: Resolve = resolve,
) -> bytes:
    """Return the body at an address, GET or with `form` POST. Raises FetchFailed; at most 256 KiB are taken."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    address = judged_address(parts, host, port, outward, resolver)
    target = urlunsplit(parts._replace(netloc=f"[{address}]:{port}" if ":" in address else f"{address}:{port}"))
    headers = {"Host": parts.netloc.rpartition("@")[2], "Accept": "application/json", "Accept-Encoding": "identity"}
    with requests.Session() as session:
        session.trust_env = False
        session.mount(f"{parts.scheme}://", _Pinned(host, parts.scheme == "https"))
        try:
            with session.request(
                "GET" if form is None else "POST",
                target,
                data=form,
                auth=authorization,
                headers=headers,
                timeout=outward.seconds,
                allow_redirects=False,
                stream=True,
            ) as response:
                return _body(response, time.monotonic() + outward.seconds)
        except (requests.RequestException, OSError) as error:
            raise FetchFailed(f"{host} does not answer ({type(error).__name__}).") from error


def judged_address(parts: SplitResult, host: str, port: int, outward: Outward, resolver: Resolve) -> str:
    """Return an address of a host that may be called. Raises FetchFailed when the host leads anywhere it should not."""
    if parts.scheme != "https" and not (parts.scheme == "http" and outward.private):
        raise FetchFailed("The address does not begin with https://.")
    try:
        addresses = resolver(host, port)
    except (OSError, UnicodeError) as error:
        raise FetchFailed(f"The name {host[:100]} is not known.") from error
    good = [address for address in addresses if outward.private or is_public(address)]
    if not good or len(good) < len(addresses):  # a name that leads to both is no honest one
        raise FetchFailed(f"{host[:100]} is not on the open internet, and this server may not call what is private.")
    return good[0]


def _body(response: requests.Response, until: float) -> bytes:
    if response.status_code != _OK:
        raise FetchFailed(f"The answer has status {response.status_code}; redirects are not followed.")
    chunks, size = [], 0
    for chunk in response.iter_content(_CHUNK):
        size += len(chunk)
        if size > _LARGEST:
            raise FetchFailed(f"The answer is larger than {_LARGEST} bytes.")
        if time.monotonic() > until:
            raise FetchFailed("The answer takes too long.")
        chunks.append(chunk)
    return b"".join(chunks)
