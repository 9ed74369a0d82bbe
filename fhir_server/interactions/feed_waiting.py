"""Who waits for a change of the feed, and for which: thousands of waiting clients cost a change nothing but its own few.

A waiter names keys, `(type, parameter, target)`: a change of this type whose reference parameter names this target, now or
in the version before. `""` as parameter is any change of the type, as type any change at all. One task of the process looks
at each change once, while somebody waits, and wakes those whose key it has; they then read what they may be told.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

import structlog

from fhir_server.interactions.signal import Signal
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import FhirError
from fhir_server.search.extract import Extractor
from fhir_server.search.query import And, Node, Or, RefersTo
from fhir_server.search.values import ReferenceEntry
from fhir_server.store.port import Snapshot, Store, Version

Key: TypeAlias = tuple[str, str, str]

ANY: Final[Key] = ("", "", "")
_AT_A_TIME: Final = 500
_LOOK_SECONDS: Final = 30.0
_log = structlog.get_logger("fhir_server.feed")


class _Changes(NamedTuple):
    keys: frozenset[Key]
    through: int


class Waiters:
    """The waiting clients of one process, on one event loop."""

    def __init__(self, store: Store, extractor: Extractor, signal: Signal) -> None:
        self._store = store
        self._extractor = extractor
        self._signal = signal
        self._waiting: dict[Key, set[asyncio.Future[bool]]] = defaultdict(set)
        self._params: dict[str, dict[str, int]] = defaultdict(dict)
        """Type → the reference parameters that somebody names, and how many do."""
        self._through = 0
        self._task: asyncio.Task[None] | None = None
        self.count = 0
        """How many wait now."""

    async def wait(self, keys: Iterable[Key], after: int, seconds: float) -> bool:
        """Wait until a change with one of the keys may have come after a sequence number; False when time is up."""
        if self._task is None or self._task.done():
            self._through = after
            self._task = asyncio.create_task(self._look())
        elif self._through > after:
            return True  # what came in between was told to nobody: read once more
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        named = tuple(dict.fromkeys(keys))
        self._enter(named, future)
        timer = asyncio.get_running_loop().call_later(seconds, _finish, future, False)
        try:
            return await future
        finally:
            timer.cancel()
            self._leave(named, future)

    def release(self) -> None:
        """Let all who wait go at once, as when the process stops."""
        for futures in list(self._waiting.values()):
            for future in list(futures):
                _finish(future, False)
        if self._task is not None:
            self._task.cancel()

    def _enter(self, keys: tuple[Key, ...], future: asyncio.Future[bool]) -> None:
        self.count += 1
        for key in keys:
            self._waiting[key].add(future)
            if key[1]:
                params = self._params[key[0]]
                params[key[1]] = params.get(key[1], 0) + 1

    def _leave(self, keys: tuple[Key, ...], future: asyncio.Future[bool]) -> None:
        self.count -= 1
        for key in keys:
            self._waiting[key].discard(future)
            if not self._waiting[key]:
                del self._waiting[key]
            if key[1]:
                params = self._params[key[0]]
                params[key[1]] -= 1
                if not params[key[1]]:
                    del params[key[1]]

    async def _look(self) -> None:
        while self.count:
            try:
                await self._signal.wait(self._through, _LOOK_SECONDS)
                await self._tell()
            except FhirError as error:  # the store cannot be asked now
                _log.warning("changes cannot be read", failure=type(error).__name__)
                await asyncio.sleep(1.0)

    async def _tell(self) -> None:
        found = await self._store.read_async(self._changes)
        self._through = max(self._through, found.through)
        for key in found.keys:
            for future in self._waiting.get(key, ()):
                _finish(future, True)

    def _changes(self, snapshot: Snapshot) -> _Changes:
        """Return the keys of the changes that nobody was told of yet."""
        keys: set[Key] = set()
        through = self._through
        while True:
            step = snapshot.changes(through, _AT_A_TIME)
            for version in step:
                keys |= self._keys(snapshot, version)
            if len(step) < _AT_A_TIME:
                return _Changes(frozenset(keys), max(through, step[-1].sequence if step else 0))
            through = step[-1].sequence

    def _keys(self, snapshot: Snapshot, version: Version) -> set[Key]:
        keys = {ANY, (version.type, "", "")}
        params = tuple(self._params.get(version.type, ()))
        if not params:
            return keys
        before = snapshot.version(version.type, version.id, version.version - 1) if version.version > 1 else None
        for one in (version, before):
            if one is not None and one.body is not None:
                resource = decode_stored(one.body)
                for param in params:
                    found = self._extractor.references(resource, param)
                    keys |= {
                        (version.type, param, entry.target) for entry in found if isinstance(entry, ReferenceEntry)
                    }
        return keys


def keys_of(resource_type: str, where: Node) -> tuple[Key, ...]:
    """Return the keys of what a condition on a type may select: by a reference that it asks for, or all of the type."""
    parts = where.parts if isinstance(where, And) else (where,)
    for part in parts:
        choices = part.parts if isinstance(part, Or) else (part,)
        named = [one for one in choices if isinstance(one, RefersTo)]
        if named and len(named) == len(choices):
            return tuple((resource_type, one.param, one.target) for one in named)
    return ((resource_type, "", ""),)


def _finish(future: asyncio.Future[bool], changed: bool) -> None:
    if not future.done():
        future.set_result(changed)
