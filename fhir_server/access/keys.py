"""The keys of this server: a folder with the private keys that sign its tokens, and one secret.

A file `signing-<created>-<kid>.pem` is one key on P-256 (PKCS 8), its date in milliseconds since the epoch. The newest
signs. An older one is taken for `OVERLAP` after the next was made, which is longer than any token lives. All processes of
one server see the same folder, so that a rotation needs no restart.
"""

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from fhir_server.model.clock import Clock

OVERLAP: Final = 3_600_000
"""Milliseconds that a replaced key is still taken; the longest life of a token is as long."""
_SECRET: Final = "server.secret"  # noqa: S105  # the name of a file
_NONCE: Final = 12
_SECRET_BYTES: Final = 32


class KeysUnusable(ValueError):
    """The folder of keys is absent, empty, damaged or open to others; the text says what to do."""


class SigningKey(NamedTuple):
    """One private key of ours."""

    kid: str
    created: int
    """Milliseconds since the epoch."""
    private: ECKey


class KeyFolder:
    """The folder of keys; what is read from it is kept until the folder changes."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._seen = -1
        self._all: tuple[SigningKey, ...] = ()

    def keys(self) -> tuple[SigningKey, ...]:
        """Return the keys that are taken now, newest first: the first one signs. Raises KeysUnusable."""
        try:
            changed = self.path.stat().st_mtime_ns
        except OSError as error:
            raise KeysUnusable(
                f"{self.path} is no folder. `fhir-server key rotate` makes it with a first key."
            ) from error
        if changed != self._seen:
            self._all = self._read()
            self._seen = changed
        taken = in_use(self._all, self._clock.now_ms())
        if not taken:
            raise KeysUnusable(f"{self.path} holds no signing key. `fhir-server key rotate` makes one.")
        return taken

    def every_key(self) -> tuple[SigningKey, ...]:
        """Return all keys of the folder, newest first, also those that are not taken any more."""
        return self._read() if self.path.is_dir() else ()

    def rotate(self) -> SigningKey:
        """Make a key that signs from now on, with the folder and the secret where absent; remove what is not taken."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self.path / _SECRET).exists():
            self._write(_SECRET, secrets.token_hex(_SECRET_BYTES).encode())
        now = self._clock.now_ms()
        private = ec.generate_private_key(ec.SECP256R1())
        kid = secrets.token_hex(8)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._write(_file_name(now, kid), pem)
        kept = {key.kid for key in in_use(self._read(), now)}
        for key in self._read():
            if key.kid not in kept:
                (self.path / _file_name(key.created, key.kid)).unlink(missing_ok=True)
        return SigningKey(kid, now, ECKey.import_key(pem, {"kid": kid}))

    def secret(self) -> bytes:
        """Return the 32 bytes from which other keys are derived. Raises KeysUnusable."""
        path = self.path / _SECRET
        try:
            _private(path)
            found = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except (OSError, ValueError) as error:
            raise KeysUnusable(f"{path} cannot be used ({error}). `fhir-server key rotate` makes it.") from error
        if len(found) != _SECRET_BYTES:
            raise KeysUnusable(f"{path} holds {len(found)} bytes; 64 hexadecimal digits are wanted.")
        return found

    def _write(self, name: str, content: bytes) -> None:
        draft = self.path / f".{name}.{os.getpid()}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        with suppress(FileExistsError):  # another process was first: its file counts
            (self.path / name).hardlink_to(draft)
        draft.unlink()

    def _read(self) -> tuple[SigningKey, ...]:
        found = []
        for path in self.path.glob("signing-*.pem"):
            _, created, kid = path.stem.split("-", 2) if path.stem.count("-") == 2 else ("", "", "")  # noqa: PLR2004  # two parts
            try:
                _private(path)
                found.append(SigningKey(kid, int(created), ECKey.import_key(path.read_bytes(), {"kid": kid})))
            except FileNotFoundError:  # a rotation removed it meanwhile
                continue
            except (OSError, ValueError, JoseError) as error:
                raise KeysUnusable(f"{path} cannot be used: {error}.") from error
        return tuple(sorted(found, key=lambda key: (key.created, key.kid), reverse=True))


def in_use(keys: Sequence[SigningKey], now: int) -> tuple[SigningKey, ...]:
    """Return the newest key, and those that were replaced less than `OVERLAP` ago."""
    return tuple(key for at, key in enumerate(keys) if at == 0 or keys[at - 1].created + OVERLAP > now)


class Box:
    """Seals small secrets before they are stored (AES-256-GCM with a key that is derived for one purpose)."""

    def __init__(self, secret: bytes, purpose: str) -> None:
        self._cipher = AESGCM(derived(secret, purpose))

    def seal(self, content: bytes, bound_to: str) -> str:
        """Seal bytes; they open only together with `bound_to`, so that one record cannot be put in place of another."""
        nonce = secrets.token_bytes(_NONCE)
        return (nonce + self._cipher.encrypt(nonce, content, bound_to.encode())).hex()

    def open(self, sealed: str, bound_to: str) -> bytes:
        """Open what was sealed. Raises cryptography.exceptions.InvalidTag for anything else."""
        raw = bytes.fromhex(sealed)
        return self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], bound_to.encode())


def derived(secret: bytes, purpose: str) -> bytes:
    """Derive a key of 32 bytes for one purpose from the server's secret (HKDF-SHA-256)."""
    return HKDF(hashes.SHA256(), 32, None, purpose.encode()).derive(secret)


def _file_name(created: int, kid: str) -> str:
    return f"signing-{created}-{kid}.pem"


def _private(path: Path) -> None:
    """Raise ValueError when others than the owner may read a file."""
    mode = path.stat().st_mode & 0o077
    if mode:
        raise ValueError(f"others may read it; chmod 600 {path}")
