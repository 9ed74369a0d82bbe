"""A store as one caller sees it: what an operation gets that opens its units of work itself.

Reading is guarded whoever asks. A unit of work is given as it is, since the rules of a write look at everything: whoever
writes on behalf of the caller makes an `interactions.unit.Unit` of it, which guards what the caller sees and changes.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from fhir_server.search.values import Entry
from fhir_server.store.concepts import ConceptRow, Edition, EditionHead
from fhir_server.store.port import Snapshot, Store, UnitOfWork, Version

T = TypeVar("T")
Guard = Callable[[Snapshot], Snapshot]


class GuardedStore:
    """See `store.port.Store` for what each method promises."""

    def __init__(self, store: Store, guard: Guard) -> None:
        """`guard` turns a snapshot into what the caller sees of it."""
        self._store = store
        self._guard = guard

    def read(self, work: Callable[[Snapshot], T], *, once: bool = False) -> T:
        """Run `work` on what the caller sees of one snapshot."""
        return self._store.read(lambda snapshot: work(self._guard(snapshot)), once=once)

    def write(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` in a unit of work, unguarded."""
        return self._store.write(work)

    def read_async(self, work: Callable[[Snapshot], T], *, heavy: bool = False, once: bool = False) -> Awaitable[T]:
        """As `read`, for an event loop."""
        return self._store.read_async(lambda snapshot: work(self._guard(snapshot)), heavy=heavy, once=once)

    def write_async(self, work: Callable[[UnitOfWork], T], *, heavy: bool = False) -> Awaitable[T]:
        """As `write`, for an event loop."""
        return self._store.write_async(work, heavy=heavy)

    def run_async(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run `work` in a thread of the store's."""
        return self._store.run_async(work)

    def reindex(self, items: Iterable[tuple[Version, Sequence[Entry]]]) -> int:
        """Replace index entries, which tells nothing."""
        return self._store.reindex(items)

    def load_concepts(self, head: EditionHead, batches: Iterable[Sequence[ConceptRow]]) -> Edition:
        """Load a code system, which is public."""
        return self._store.load_concepts(head, batches)

    def remove_concepts(self, system: str, version: str) -> bool:
        """Remove a loaded code system."""
        return self._store.remove_concepts(system, version)

    def close(self) -> None:
        """Close the store."""
        self._store.close()
