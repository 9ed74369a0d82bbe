"""When to try again: soon at first, then ever later, never all at the same moment."""

from collections.abc import Callable
from typing import Final

FIRST_MS: Final = 1_000
LONGEST_MS: Final = 3_600_000


def wait_ms(attempts: int, chance: Callable[[], float], asked_seconds: float = 0.0) -> int:
    """Return how long to wait after so many failed attempts; never shorter than the receiver asked.

    Doubles from a second to an hour, of which a random part of up to a half is taken off (`chance` gives 0 to 1).
    """
    whole = min(FIRST_MS << min(attempts - 1, 20), LONGEST_MS)
    return max(int(whole * (1 - chance() / 2)), int(asked_seconds * 1000))
