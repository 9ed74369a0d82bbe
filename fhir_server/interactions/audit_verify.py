"""Is the audit trail what the server wrote? Every edit, gap, reordering and cut that its chain, keys and seals show."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from fhir_server.interactions.audit import keys_of, read_record
from fhir_server.interactions.audit_seals import Seal, anchor_seal, holds, latest, stored_seals
from fhir_server.model.clock import render_instant
from fhir_server.store.port import AuditRecord, Snapshot

_BATCH: Final = 500


class Finding(NamedTuple):
    """What is wrong, and at which record."""

    number: int
    said: str


class Verdict(NamedTuple):
    """What a verification found; `sealed` is the newest record under a seal, `checked` how many there were."""

    findings: tuple[Finding, ...]
    checked: int
    first: int
    last: int
    sealed: int


def verify(snapshot: Snapshot, public: str, outside: Iterable[Seal] = (), limit: int = 100) -> Verdict:
    """Check the whole trail against its own chain, its keys, and all seals, those from `outside` of the store too.

    `public` is the public key of the seals. Stops after `limit` findings: one edit of a digest shows at every record after.
    """
    seals: dict[int, list[Seal]] = {}
    for seal in (*stored_seals(snapshot), *outside):
        seals.setdefault(seal.number, []).append(seal)
    findings = list(_seals_that_do_not_hold(seals, public))
    anchor = snapshot.audit_anchor()
    findings += _anchored(snapshot, public)
    number, digest, checked, sealed = anchor.number, anchor.digest, 0, 0
    while records := snapshot.audit(number, _BATCH):
        for record in records:
            found = list(_judged(snapshot, record, number, digest))
            for seal in seals.pop(record.number, ()):
                if seal.digest == record.digest.hex():
                    sealed = max(sealed, record.number)
                else:
                    found.append(Finding(record.number, "the record is not the one that was sealed"))
            findings += found
            number, digest, checked = record.number, record.digest, checked + 1
        if len(findings) >= limit:
            break
    else:
        findings += [
            Finding(at, f"a seal tells of record {at}, but the trail ends at {number}: its end was cut off")
            for at in sorted(seals)
            if at > number
        ]
        if checked and latest(snapshot) is None:
            findings.append(Finding(number, "the trail has no seal: a server seals it, or `fhir-server audit seal`"))
    return Verdict(tuple(findings[:limit]), checked, anchor.number + 1, number, sealed)


def _seals_that_do_not_hold(seals: dict[int, list[Seal]], public: str) -> Iterator[Finding]:
    for number, listed in list(seals.items()):
        for seal in listed:
            if not holds(seal, public):
                listed.remove(seal)
                yield Finding(number, "a seal was not made with the key of this store")


def _anchored(snapshot: Snapshot, public: str) -> Iterator[Finding]:
    """Check that what is gone from the start was taken away by retention."""
    anchor = snapshot.audit_anchor()
    if anchor.number == 0:
        return
    signed = anchor_seal(snapshot)
    if (
        signed is None
        or not holds(signed, public)
        or (signed.number, signed.digest) != (anchor.number, anchor.digest.hex())
    ):
        yield Finding(anchor.number, "records before this one are gone, but not by `fhir-server audit trim`")


def _judged(snapshot: Snapshot, record: AuditRecord, before: int, digest: bytes) -> Iterator[Finding]:
    number = record.number
    if number != before + 1:
        yield Finding(number, f"record {before + 1} is missing before it")
    if hashlib.sha256(digest + record.record).digest() != record.digest:
        yield Finding(number, "its digest does not follow from the record before and its content: an edit or a swap")
    try:
        entry = read_record(record.record)
    except msgspec.MsgspecError:
        yield Finding(number, "it is no record of this server")
        return
    if entry.recorded != render_instant(record.recorded):
        yield Finding(number, f"it says {entry.recorded}, but is filed under {render_instant(record.recorded)}")
    for key in keys_of(entry):
        if [one.number for one in snapshot.audit(number - 1, 1, (key,))] != [number]:
            yield Finding(number, f"it is no longer found by its key {key}")
