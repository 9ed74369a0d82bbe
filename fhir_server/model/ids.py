"""Identity as a collaborator, so that tests can count."""

import secrets
from typing import Protocol


class IdSource(Protocol):
    """A source of new logical ids."""

    def new_id(self) -> str:
        """Return an id that no other resource has (R4: 1 to 64 of `[A-Za-z0-9-.]`)."""
        ...


class RandomIds:
    """Random ids of 26 characters: 128 bits in base 32, lower case, so that they survive case-folding systems."""

    _alphabet = "abcdefghijklmnopqrstuvwxyz234567"

    def new_id(self) -> str:
        """Return 128 random bits as 26 characters."""
        number = secrets.randbits(128)
        return "".join(self._alphabet[(number >> shift) & 31] for shift in range(0, 130, 5))
