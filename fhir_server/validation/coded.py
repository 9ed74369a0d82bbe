"""Bindings of profiles to value sets (R4 terminologies.html#binding)."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from fhir_server.validation.checks import Place, fail
from fhir_server.validation.finding import Check, Findings, Scope
from fhir_server.validation.wording import Said, say

LISTED: Final = 12
"""So many codes of a value set are listed in a message."""


class ValueSet(NamedTuple):
    """A value set, ready to be asked: all its (system, code) pairs, or else a question to the terminology."""

    url: str
    members: frozenset[tuple[str, str]] | None
    ask: Callable[[str, str], bool | None]

    def has(self, system: str, code: str) -> bool | None:
        """Tell whether it has a code; None where that cannot be told. A code without system is looked for in all."""
        if self.members is None:
            return self.ask(system, code)
        return (system, code) in self.members if system else any(code == own for _, own in self.members)

    @property
    def listing(self) -> Said | str:
        """Its codes for a message, when they are few."""
        codes = sorted({code for _, code in self.members or ()})
        return say("hint.allowed", codes=", ".join(codes)) if 0 < len(codes) <= LISTED else ""


def binding_check(place: Place, value_set: ValueSet, *, required: bool) -> Check:
    """A binding: `required` refuses what is not in the value set, otherwise (extensible) it is a warning.

    Takes a code, uri or string, a Coding or Quantity, or a CodeableConcept.
    """
    members = value_set.members

    def check(value: Any, _scope: Scope) -> Findings:
        pairs = codes_of(value)
        if members is not None and any(pair in members for pair in pairs):
            return None
        verdicts = [value_set.has(*pair) for pair in pairs]
        if True in verdicts or not (pairs or required):
            return None
        found = ", ".join(f"{system}|{code}".lstrip("|") for system, code in pairs[:3])[:200] or say("only-text")
        if None in verdicts:
            said = say("profile-binding.unknown", found=found, valueset=value_set.url)
            return fail("binding-unchecked", "code-invalid", said, severity="warning")
        template = "profile-binding" if required else "extensible-binding"
        said = say(
            template, path=place.path, valueset=value_set.url, profile=place.profile, found=found,
            allowed=value_set.listing,
        )  # fmt: skip
        return fail(template, "code-invalid", said, severity="error" if required else "warning")

    return check


def codes_of(value: Any) -> list[tuple[str, str]]:
    """Return the (system, code) pairs of a coded value; the system is "" where none is stated."""
    if isinstance(value, str):
        return [("", value)]
    if not isinstance(value, dict):
        return []
    codings = value.get("coding")
    listed = codings if isinstance(codings, list) else [value]
    return [(str(one.get("system", "")), str(one["code"])) for one in listed if isinstance(one, dict) and "code" in one]
