"""Which characters a text that people read to each other does not hold: those that nobody sees and that change what is seen.

R4 lets a `string` hold every character from U+0020 up, tab, line feed and carriage return (datatypes.html#string), so plain
FHIR keeps them. In what claims a profile of ours they are refused: DEL and the C1 controls, and the controls that turn the
direction of what follows (U+202A to U+202E, U+2066 to U+2069), by which a name or a reason reads otherwise than it is
written. Marks of direction (U+200E, U+200F, U+061C), joiners and all kinds of space are part of how languages are written.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from fhir_server.model.codec import encode

_HIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_IN_BYTES: Final = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]")
"""The same in UTF-8; the controls below U+0020 are faults of R4 and found before."""


def hidden_character(text: str) -> str:
    """Return the first character of a text that is refused, as `U+202E`; "" when all of it may stand."""
    found = _HIDDEN.search(text)
    return f"U+{ord(found[0]):04X}" if found else ""


def hidden_characters(resource: Any) -> list[tuple[str, str]]:
    """Return where texts of a resource hold such a character, as `(.name[0].text, U+202E)`."""
    body = encode(resource)
    if (body.isascii() and b"\x7f" not in body) or _IN_BYTES.search(body) is None:
        return []
    return list(_within(resource, ""))


def _within(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if found := hidden_character(value):
            yield path, found
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _within(member, f"{path}.{name.removeprefix('_')}")
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _within(member, f"{path}[{index}]")
