"""Seals on the audit trail: what its newest record was at a moment, signed with a key that is not in the trail.

The chain of digests shows an edit to who has the digests from before; a seal is that. Whoever can write the database can
make a new chain, but not a seal that fits it. The newest seal replaces the one before; one for every `APART` records
stays. A seal that is also written outside of the database (a file, the log) shows when the newest records were cut off.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from fhir_server.store.port import Snapshot, UnitOfWork

KIND: Final = "audit-seal"
LATEST: Final = "latest"
ANCHOR: Final = "anchor"
APART: Final = 1000
_MANY: Final = 1_000


class Seal(NamedTuple):
    """A record of the trail as it was: `digest` and `signature` in hexadecimal digits, `at` in milliseconds."""

    number: int
    digest: str
    at: int
    signature: str


class Signer:
    """Makes and judges seals."""

    def __init__(self, seed: bytes) -> None:
        """Take the 32 secret bytes of an Ed25519 key."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public(self) -> str:
        """The public key, 64 hexadecimal digits: with it anybody can judge a seal."""
        return self._key.public_key().public_bytes_raw().hex()

    def seal(self, number: int, digest: bytes, at: int) -> Seal:
        """Sign a record of the trail."""
        return Seal(number, digest.hex(), at, self._key.sign(_signed(number, digest.hex(), at)).hex())


def holds(seal: Seal, public: str) -> bool:
    """Tell whether a seal was made with the key."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(bytes.fromhex(seal.signature), _signed(seal.number, seal.digest, seal.at))
    except (InvalidSignature, ValueError):
        return False
    return True


def seal_trail(uow: UnitOfWork, signer: Signer) -> Seal | None:
    """Seal the newest record of the trail, and the anchor; None when the newest is sealed already."""
    last = latest(uow)
    after = last.number - 1 if last is not None else uow.audit_anchor().number
    tail = None
    while records := uow.audit(after, _MANY):
        tail, after = records[-1], records[-1].number
    if tail is None or (last is not None and tail.number == last.number):
        return None
    seal = signer.seal(tail.number, tail.digest, uow.last_updated)
    uow.set_record(KIND, LATEST, msgspec.json.encode(seal))
    if last is None or tail.number // APART != last.number // APART:
        uow.set_record(KIND, f"{tail.number:016d}", msgspec.json.encode(seal))
    return seal


def seal_anchor(uow: UnitOfWork, signer: Signer) -> None:
    """Sign where the trail starts, after retention took records away; seals of what is gone go too."""
    anchor = uow.audit_anchor()
    uow.set_record(KIND, ANCHOR, msgspec.json.encode(signer.seal(anchor.number, anchor.digest, uow.last_updated)))
    for record in uow.records(KIND, limit=_MANY):
        if record.key.isdecimal() and int(record.key) <= anchor.number:
            uow.remove_record(KIND, record.key)


def latest(snapshot: Snapshot) -> Seal | None:
    """Return the newest seal."""
    record = snapshot.record(KIND, LATEST)
    return None if record is None else msgspec.json.decode(record.body, type=Seal)


def anchor_seal(snapshot: Snapshot) -> Seal | None:
    """Return the signature on the start of the trail."""
    record = snapshot.record(KIND, ANCHOR)
    return None if record is None else msgspec.json.decode(record.body, type=Seal)


def stored_seals(snapshot: Snapshot) -> list[Seal]:
    """Return the seals on records that are kept in the store."""
    found, after = [], ""
    while records := snapshot.records(KIND, after, _MANY):
        found += [msgspec.json.decode(one.body, type=Seal) for one in records if one.key != ANCHOR]
        after = records[-1].key
    return found


def read_lines(lines: Iterable[str]) -> list[Seal]:
    """Read seals that `as_line` wrote. Raises ValueError for a line that is none."""
    found = []
    for line in lines:
        if line.strip():
            number, digest, at, signature = line.split()
            found.append(Seal(int(number), digest, int(at), signature))
    return found


def as_line(seal: Seal) -> str:
    """Write a seal as a line of text."""
    return f"{seal.number} {seal.digest} {seal.at} {seal.signature}"


def _signed(number: int, digest: str, at: int) -> bytes:
    return f"fhir-server audit seal {number} {digest} {at}".encode()
