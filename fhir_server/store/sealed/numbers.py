"""National numbers of persons: where they stand in a body, and how they are kept out of an index.

A body that mentions a system of such numbers is sealed whole, so that the number is nowhere in it, whatever element holds
it. A number is a value of such a system with at least `FEWEST_DIGITS` digits: what has fewer identifies nobody.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from fhir_server.model.codec import decode
from fhir_server.model.errors import FhirError

FEWEST_DIGITS: Final = 6
_SOCIAL_BENEFICIARY: Final = "SB"
_IDENTIFIER_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
_BETWEEN: Final = r"[^0-9a-z]{0,3}"
"""What people write between the digits of a number."""


def is_number(value: str) -> bool:
    """Tell whether a value may be a number that identifies a person."""
    return len(value) >= FEWEST_DIGITS and sum(map(str.isdigit, value)) >= FEWEST_DIGITS


class NationalNumbers:
    """The systems of national numbers, by every uri that names them. Immutable."""

    def __init__(self, systems: Iterable[str]) -> None:
        self.systems = frozenset(systems)
        self._named = tuple(sorted(system.encode() for system in self.systems))

    @classmethod
    def of(cls, naming_systems: Iterable[dict[str, Any]]) -> "NationalNumbers":
        """Take the NamingSystems whose type is Social Beneficiary Identifier (v2-0203 `SB`), all their uris included."""
        return cls(
            f"urn:oid:{one['value']}" if one["type"] == "oid" else one["value"]
            for resource in naming_systems
            if _is_social(resource)
            for one in resource["uniqueId"]
        )

    def mentioned(self, raw: bytes) -> bool:
        """Tell whether bytes name a system of national numbers: a look at the bytes, without reading them."""
        return any(name in raw for name in self._named)

    def within(self, raw: bytes) -> frozenset[str]:
        """Return the numbers in a JSON document: values beside one of the systems, at any depth."""
        try:
            return frozenset(self._values(decode(raw)))
        except FhirError:  # no JSON: it is sealed all the same
            return frozenset()

    def _values(self, element: Any) -> Iterator[str]:
        waiting = [element]
        while waiting:
            one = waiting.pop()
            if isinstance(one, list):
                waiting.extend(one)
            elif isinstance(one, dict):
                waiting.extend(one.values())
                system = one.get("system")
                if isinstance(system, str) and system in self.systems:
                    values = (one.get("value"), one.get("code"))
                    yield from (value for value in values if isinstance(value, str) and is_number(value))


class Mask:
    """Takes given numbers out of texts, however their digits are set apart."""

    def __init__(self, numbers: frozenset[str]) -> None:
        self.numbers = numbers
        digits = {"".join(filter(str.isdigit, number)) for number in numbers}
        spread = [_BETWEEN.join(text) for text in sorted(digits, key=len, reverse=True)]
        self._pattern = re.compile("|".join(spread), re.IGNORECASE)

    def hidden(self, text: str) -> str:
        """Return the text without the numbers; the same object when none is in it."""
        return self._pattern.sub("", text) if self._pattern.search(text) else text


def _is_social(resource: dict[str, Any]) -> bool:
    codings = resource.get("type", {}).get("coding", ())
    return any(one.get("system") == _IDENTIFIER_TYPES and one.get("code") == _SOCIAL_BENEFICIARY for one in codings)
