"""The keys of a store: envelope encryption with AES-256-GCM.

Data keys seal bodies; the search key makes the tokens by which a number is found; the audit key signs the trail. They lie
in the store as records, each wrapped by a master key that does not: it comes from a file or the environment. A sealed
text is `0x01`, the number of its data key (4 bytes), a nonce (12 bytes), and the ciphertext with its tag, bound to the
place where it lies. JSON never begins with 0x01, so one byte tells what is sealed.
"""

import hashlib
import hmac
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fhir_server.model.errors import Unavailable
from fhir_server.store.port import Snapshot, Store, UnitOfWork

SEALED: Final = b"\x01"
KIND: Final = "sealing-key"
"""The kind of the records that hold the wrapped keys."""
KEY_BYTES: Final = 32
_NUMBER_BYTES, _NONCE_BYTES = 4, 12
_START: Final = 1 + _NUMBER_BYTES + _NONCE_BYTES
_REFRESH_SECONDS: Final = 20.0
"""How long a process may go on sealing with a data key after another process made a newer one."""
_MANY: Final = 10_000


Use = Literal["data", "search", "audit"]


class MasterKeys(NamedTuple):
    """Where the master keys come from; asked again for every key that is opened, so that a rotation needs no restart."""

    given: Callable[[], Sequence[bytes]]
    """Gives the keys, 32 bytes each: the first wraps, all open."""
    make: Callable[[], None] = lambda: None
    """Makes the first key when there is none; called for a store that holds no keys yet."""


class WrappedKey(NamedTuple):
    """A key as it lies in the store."""

    use: Use
    number: int
    """Counts the data keys from 1; the newest seals."""
    master: str
    """Fingerprint of the master key that wraps it."""
    wrapped: bytes
    made: int
    """Milliseconds since the epoch."""


def fingerprint(master: bytes) -> str:
    """Return the name by which a master key may be told to people: it says nothing of the key."""
    return hashlib.sha256(b"fhir-server master key " + master).hexdigest()[:12]


class Keyring:
    """The keys of one store, open in this process. Safe to share between threads."""

    def __init__(self, masters: MasterKeys, wrapped: Sequence[WrappedKey]) -> None:
        """Open the keys. Raises Unavailable when none of the master keys fits."""
        self._masters = masters
        self._data: dict[int, AESGCM] = {}
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self.active = 0
        self._search = b""
        self._audit = b""
        for key in wrapped:
            self._take(key)

    @classmethod
    def open(cls, store: Store, masters: MasterKeys) -> "Keyring":
        """Open the keys of a store; a store without any gets them. Raises Unavailable when no master key fits."""
        found = store.read(stored_keys)
        if not found:
            masters.make()
        return cls(masters, found or store.write(lambda unit: _first_keys(unit, masters)))

    @property
    def audit_seed(self) -> bytes:
        """The secret of the Ed25519 key that signs the audit trail, 32 bytes."""
        return self._audit

    def token(self, value: str) -> str:
        """Return the text under which a number is indexed: a keyed hash, equal for equal numbers."""
        return "~" + hmac.digest(self._search, b"number " + value.encode(), "sha256")[:16].hex()

    def seal(self, clear: bytes, place: str) -> bytes:
        """Encrypt a text that will lie at a place (`Patient/7/2`)."""
        nonce = os.urandom(_NONCE_BYTES)
        head = SEALED + self.active.to_bytes(_NUMBER_BYTES, "big") + nonce
        return head + self._data[self.active].encrypt(nonce, clear, head[:-_NONCE_BYTES] + place.encode())

    def unseal(self, text: bytes, place: str, snapshot: Snapshot | None = None) -> bytes:
        """Decrypt a text from its place; a data key that another process made is read from the snapshot.

        Raises Unavailable when its key is missing, or when it was altered or moved.
        """
        number = int.from_bytes(text[1 : 1 + _NUMBER_BYTES], "big")
        cipher = self._data.get(number) or self._fetched(number, snapshot)
        bound = text[: 1 + _NUMBER_BYTES] + place.encode()
        try:
            return cipher.decrypt(text[1 + _NUMBER_BYTES : _START], text[_START:], bound)
        except InvalidTag as error:
            raise Unavailable(f"{place} cannot be unsealed: its stored bytes were altered or moved.") from error

    def refresh(self, snapshot: Snapshot) -> None:
        """Look now and then for a newer data key, so that a rotation reaches every process that writes."""
        now = time.monotonic()
        if now - self._looked < _REFRESH_SECONDS:
            return
        self._looked = now
        for key in stored_keys(snapshot):
            if key.use == "data" and key.number not in self._data:
                self._take(key)

    def _fetched(self, number: int, snapshot: Snapshot | None) -> AESGCM:
        record = snapshot.record(KIND, data_key(number)) if snapshot is not None else None
        if record is None:
            raise Unavailable(f"Data key {number} is not in the store: what it sealed cannot be read.")
        self._take(msgspec.json.decode(record.body, type=WrappedKey))
        return self._data[number]

    def _take(self, key: WrappedKey) -> None:
        plain = unwrap(key, self._masters)
        with self._lock:
            if key.use == "data":
                self._data[key.number] = AESGCM(plain)
                self.active = max(self.active, key.number)
            elif key.use == "search":
                self._search = plain
            else:
                self._audit = plain


def stored_keys(snapshot: Snapshot) -> list[WrappedKey]:
    """Return the keys of a store as they are wrapped."""
    return [msgspec.json.decode(record.body, type=WrappedKey) for record in snapshot.records(KIND, limit=_MANY)]


def data_key(number: int) -> str:
    """Return the record key of a data key."""
    return f"data-{number:08d}"


def wrap(plain: bytes, use: Use, number: int, master: bytes, made: int) -> WrappedKey:
    """Encrypt a key with a master key."""
    nonce = os.urandom(_NONCE_BYTES)
    wrapped = nonce + AESGCM(master).encrypt(nonce, plain, f"{use} {number}".encode())
    return WrappedKey(use, number, fingerprint(master), wrapped, made)


def unwrap(key: WrappedKey, masters: MasterKeys) -> bytes:
    """Decrypt a key. Raises Unavailable, naming the master key that is wanted, when it is not among those given."""
    given = {fingerprint(master): master for master in masters.given()}
    master = given.get(key.master)
    if master is None:
        raise Unavailable(
            f"This store is sealed with the master key {key.master}, but the setting master_key (or master_key_file) "
            f"gives {', '.join(given) or 'none'}. Give the key that the store was sealed with."
        )
    try:
        nonce, text = key.wrapped[:_NONCE_BYTES], key.wrapped[_NONCE_BYTES:]
        return AESGCM(master).decrypt(nonce, text, f"{key.use} {key.number}".encode())
    except InvalidTag as error:
        raise Unavailable(
            f"The {key.use} key {key.number} of this store was altered. Restore it from a backup."
        ) from error


def keep(unit: UnitOfWork, key: WrappedKey) -> None:
    """Write a wrapped key into the store."""
    name = data_key(key.number) if key.use == "data" else key.use
    unit.set_record(KIND, name, msgspec.json.encode(key))


def _first_keys(unit: UnitOfWork, masters: MasterKeys) -> list[WrappedKey]:
    if found := stored_keys(unit):  # another process was first
        return found
    given = masters.given()
    if not given:
        raise Unavailable("There is no master key. Set master_key or master_key_file.")
    uses: tuple[Use, ...] = ("data", "search", "audit")
    made = [wrap(os.urandom(KEY_BYTES), use, int(use == "data"), given[0], unit.last_updated) for use in uses]
    for key in made:
        keep(unit, key)
    return made
