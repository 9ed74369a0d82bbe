"""The decorator: a store like any other, around a store that never sees a national number in clear."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from fhir_server.search.values import Entry
from fhir_server.store.port import Snapshot, Store, UnitOfWork, Version
from fhir_server.store.sealed.keyring import Keyring, MasterKeys
from fhir_server.store.sealed.numbers import NationalNumbers
from fhir_server.store.sealed.passing import PassingLoader
from fhir_server.store.sealed.views import SealedSnapshot, SealedUnit, Sealing

T = TypeVar("T")


class SealedStore(PassingLoader):
    """See `store.port.Store` for what each method promises."""

    def __init__(self, inner: Store, masters: MasterKeys, numbers: NationalNumbers) -> None:
        """Open the keys of the store. Raises Unavailable when no master key fits; the caller then closes `inner`."""
        super().__init__(inner)
        self.inner = inner
        self.masters = masters
        self.keyring = Keyring.open(inner, masters)
        self.numbers = numbers
        self._sealing = Sealing(self.keyring, numbers)

    def seal(self, clear: bytes, place: str) -> bytes:
        """Seal a text for a place, for what the store keeps as it is (audit records)."""
        return self.keyring.seal(clear, place)

    def unseal(self, text: bytes, place: str) -> bytes:
        """Return what `seal` was given."""
        return self.inner.read(lambda snapshot: self.keyring.unseal(text, place, snapshot))

    def read(self, work: Callable[[Snapshot], T], *, once: bool = False) -> T:
        """Run `work` on one consistent snapshot, in the calling thread."""
        sealing = self._sealing
        return self.inner.read(lambda snapshot: work(SealedSnapshot(snapshot, sealing)), once=once)

    def write(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` in a unit of work and commit durably before returning."""
        return self.inner.write(self._clear(work))

    def read_async(self, work: Callable[[Snapshot], T], *, heavy: bool = False, once: bool = False) -> Awaitable[T]:
        """As `read`, for an event loop."""
        sealing = self._sealing
        return self.inner.read_async(lambda snapshot: work(SealedSnapshot(snapshot, sealing)), heavy=heavy, once=once)

    def write_async(self, work: Callable[[UnitOfWork], T], *, heavy: bool = False) -> Awaitable[T]:
        """As `write`, for an event loop."""
        return self.inner.write_async(self._clear(work), heavy=heavy)

    def run_async(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run `work`, which calls `read` and `write` itself, in a thread of the store's."""
        return self.inner.run_async(work)

    def reindex(self, items: Iterable[tuple[Version, Sequence[Entry]]]) -> int:
        """Replace the index entries of versions that are still current; return how many were."""
        index = self._sealing.index
        return self.inner.reindex((version, index(version.body or b"", entries)) for version, entries in items)

    def close(self) -> None:
        """Finish what runs and release every file or connection."""
        self.inner.close()

    def _clear(self, work: Callable[[UnitOfWork], T]) -> Callable[[UnitOfWork], T]:
        sealing = self._sealing
        return lambda unit: work(SealedUnit(unit, sealing))
