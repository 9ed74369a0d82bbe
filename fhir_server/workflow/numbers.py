"""The number of a referral that a person can be told: nine digits, of which the last one checks the others.

The check digit is that of Damm (a quasigroup of order ten): it finds every single wrong digit and every two neighbours that
changed places, which is what goes wrong on the phone.
"""

import secrets
from collections.abc import Callable
from typing import Final

_TABLE: Final = (
    "0317598642",
    "7092154863",
    "4206871359",
    "1750983426",
    "6123045978",
    "3674209581",
    "5869720134",
    "8945362017",
    "9438617205",
    "2581436790",
)
_DIGITS: Final = 8
_GROUP: Final = 3
_FIRST: Final = 10 ** (_DIGITS - 1)


def check_digit(digits: str) -> str:
    """Return the digit that makes a text of digits a valid number when it is put behind it."""
    state = 0
    for digit in digits:
        state = int(_TABLE[state][int(digit)])
    return str(state)


def is_number(text: str) -> bool:
    """Tell whether a text is a referral number as it is stored: nine digits that belong together."""
    return len(text) == _DIGITS + 1 and text.isascii() and text.isdecimal() and check_digit(text) == "0"


def make_number(below: Callable[[int], int] = secrets.randbelow) -> str:
    """Return a number by chance, so that it tells neither how many referrals there are nor which is next."""
    digits = str(_FIRST + below(9 * _FIRST))
    return digits + check_digit(digits)


def spoken(number: str) -> str:
    """Return a number in groups of three, as it is read out; one that another system gave stays as it is."""
    if not is_number(number):
        return number
    return " ".join(number[start : start + _GROUP] for start in range(0, len(number), _GROUP))
