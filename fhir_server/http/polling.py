"""What HTTP adds to polling: advice on the interval, a bound on how often the same is asked, and the end of a wait whose
client has gone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, Final

from fhir_server.http.identity import caller_address
from fhir_server.http.limits import Buckets
from fhir_server.interactions.request import Request, Result

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = list[tuple[bytes, bytes]]

_FEED: Final = "$changes"
_INTERVAL: Final = b"x-poll-interval"


class Gone(Exception):
    """The client went away while its answer was waited for."""


class Polling:
    """The manners of polling that the settings ask for."""

    def __init__(self, advised_seconds: int = 0, polls_per_minute: float = 0.0) -> None:
        """`advised_seconds` is told with every search, 0 tells nothing; `polls_per_minute` bounds each client and query."""
        self._advice: Headers = [(_INTERVAL, b"%d" % advised_seconds)] if advised_seconds else []
        self._buckets = Buckets(polls_per_minute / 60, max(polls_per_minute / 2, 1.0)) if polls_per_minute else None

    def check(self, request: Request, scope: Scope) -> None:
        """Take one poll from what the client may ask of this query. Raises Throttled with the time to wait."""
        if self._buckets is None or not is_poll(request):
            return
        principal = request.principal
        who = f"{principal.agent} {principal.organization} {principal.person} {caller_address(scope)}"
        what = [pair for pair in request.query if pair[0] not in ("cursor", "_cursor")]
        self._buckets.take(f"{who} {request.path} {what}")

    def advice(self, request: Request, result: Result) -> Headers:
        """Return the headers that advise a poller."""
        return self._advice if result.tag and self._advice and is_poll(request) else []


def is_poll(request: Request) -> bool:
    """Tell whether a request is one that pollers repeat: a search, a history, or the feed."""
    return request.method == "GET" and bool(request.query) and "/" not in request.path.removesuffix("/_history")


def waits(request: Request) -> bool:
    """Tell whether the answer may be held."""
    return request.path == _FEED and any(name == "wait" for name, _ in request.query)


async def while_connected(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """Return what the work gives; end it as soon as the client goes, and raise Gone."""
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return working.result()
    finally:
        working.cancel()
        watching.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
