"""Whether a store agrees with itself, as far as the port lets one see: for any make of store."""

import hashlib
from collections.abc import Iterator

from fhir_server.store.port import Snapshot, Store

_PAGE = 1_000
_MOST = 20


def faults(store: Store) -> list[str]:
    """Return what is wrong with the change feed and the audit trail, the first of it; [] when all is well."""
    return store.read(lambda snapshot: [*_few(_feed(snapshot)), *_few(_audit(snapshot))])


def _few(found: Iterator[str]) -> list[str]:
    return [fault for fault, _ in zip(found, range(_MOST), strict=False)]


def _feed(snapshot: Snapshot) -> Iterator[str]:
    """Each number follows the last, each version of a resource the one before, and time never goes back."""
    last, time = 0, 0
    newest: dict[tuple[str, str], int] = {}
    while page := snapshot.changes(last, _PAGE):
        for version in page:
            if version.sequence != last + 1:
                yield f"change {last + 1} is missing: {version.sequence} follows {last}"
            if version.last_updated < time:
                yield f"change {version.sequence} is older than the one before"
            name = (version.type, version.id)
            if version.version != newest.get(name, 0) + 1:
                yield f"{version.type}/{version.id}: version {version.version} follows {newest.get(name, 0)}"
            newest[name], last, time = version.version, version.sequence, version.last_updated
    if last != snapshot.last_sequence():
        yield f"the store counts {snapshot.last_sequence()} changes, and {last} are there"


def _audit(snapshot: Snapshot) -> Iterator[str]:
    anchor = snapshot.audit_anchor()
    number, digest = anchor.number, anchor.digest
    while records := snapshot.audit(number, _PAGE):
        for record in records:
            number, digest = number + 1, hashlib.sha256(digest + record.record).digest()
            if (record.number, record.digest) != (number, digest):
                yield f"audit record {record.number} does not follow from the one before"
                number, digest = record.number, record.digest
