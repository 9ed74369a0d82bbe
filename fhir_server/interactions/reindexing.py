"""Making the search index again while the server serves: after a release or a new SearchParameter, old resources lack what
new ones have. Progress is noted in the store, so that a run that ends early goes on where it stopped.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from fhir_server.interactions.context import Engine
from fhir_server.model.codec import decode
from fhir_server.search.values import Entry
from fhir_server.store.port import Snapshot, Version

INDEX_NOTE = "index"
"""Under it stands what the whole index was made with."""
_PROGRESS_NOTE = "reindex"
_BATCH = 200


class Progress(NamedTuple):
    """How far a run has come: all changes up to `after` are done, those after `until` were indexed as they came."""

    made_with: str
    types: tuple[str, ...]
    after: int
    until: int
    done: int = 0
    """Resources that were indexed again so far."""


def index_is_current(engine: Engine) -> bool:
    """Tell whether every resource was indexed with the search parameters of this engine; marks an empty store as such."""
    wanted = engine.registry.digest()

    def look(snapshot: Snapshot) -> tuple[str | None, bool]:
        return snapshot.note(INDEX_NOTE), snapshot.last_sequence() == 0

    found, empty = engine.store.read(look)
    if empty and found != wanted:
        engine.store.write(lambda unit: unit.set_note(INDEX_NOTE, wanted))
    return empty or found == wanted


def reindex(
    engine: Engine, types: Sequence[str] = (), told: Callable[[Progress], None] = lambda _: None
) -> tuple[Progress, bool]:
    """Index all current resources again, or those of some types; return how far it came and whether it was resumed.

    `told` hears of the start and of every batch. Others may read and write meanwhile: what they write is indexed as it is
    written, and is left alone here.
    """
    progress, resumed = _begun(engine, tuple(sorted(types)))
    told(progress)
    while progress.after < progress.until:
        progress = _batch(engine, progress)
        told(progress)
    engine.store.write(lambda unit: unit.set_note(_PROGRESS_NOTE, ""))
    if not types:
        engine.store.write(lambda unit: unit.set_note(INDEX_NOTE, progress.made_with))
    return progress, resumed


def _begun(engine: Engine, types: tuple[str, ...]) -> tuple[Progress, bool]:
    """Take up what an earlier run with the same parameters and types has left, or begin."""

    def look(snapshot: Snapshot) -> tuple[str | None, int]:
        return snapshot.note(_PROGRESS_NOTE), snapshot.last_sequence()

    noted, last = engine.store.read(look)
    made_with = engine.registry.digest()
    if noted is not None:
        left = msgspec.json.decode(noted, type=Progress)
        if (left.made_with, left.types) == (made_with, types):
            return left, True
    return Progress(made_with, types, 0, last), False


def _batch(engine: Engine, progress: Progress) -> Progress:
    def changes(snapshot: Snapshot) -> tuple[int, list[Version]]:
        found = snapshot.changes(progress.after, _BATCH, progress.types)
        last = found[-1].sequence if found else progress.until
        return last, [one for one in found if one.body is not None and _is_current(snapshot, one)]

    after, current = engine.store.read(changes)
    done = engine.store.reindex(_entries(engine, current))
    reached = progress._replace(after=min(after, progress.until), done=progress.done + done)
    text = msgspec.json.encode(reached).decode()
    engine.store.write(lambda unit: unit.set_note(_PROGRESS_NOTE, text))
    return reached


def _is_current(snapshot: Snapshot, version: Version) -> bool:
    newest = snapshot.current(version.type, version.id)
    return newest is not None and newest.version == version.version


def _entries(engine: Engine, versions: Sequence[Version]) -> Iterator[tuple[Version, Sequence[Entry]]]:
    for version in versions:
        yield version, engine.extractor.extract(decode(version.body or b"null"))
