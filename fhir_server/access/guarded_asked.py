"""What an interaction asks of the scopes of a token: its letter, and the type that it is on."""

from collections.abc import Mapping
from typing import Final, NamedTuple, Self

LETTERS: Final[Mapping[str, str]] = {
    "read": "r", "vread": "r", "history-instance": "r", "history-type": "s", "history-system": "s",
    "search-type": "s", "search-system": "s", "search-compartment": "s", "everything": "r",
    "create": "c", "update": "u", "patch": "u", "delete": "d",
}  # fmt: skip
"""Interaction → the letter of a scope that permits it; what is not here (an operation) is bounded by what it reads."""


class Asked(NamedTuple):
    """The letters of a scope that permit an interaction, and the type that it is on, "" for several."""

    letters: str = "rs"
    type: str = ""

    @classmethod
    def by(cls, code: str, resource_type: str) -> Self:
        """Return what an interaction asks."""
        letter = LETTERS.get(code, "")
        return cls(letter if letter in ("r", "s") else "rs", resource_type)


ANYTHING: Final = Asked()
