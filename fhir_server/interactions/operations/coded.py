"""The three ways in which an operation is given a code: code and system, Coding, CodeableConcept."""

from typing import NamedTuple

from fhir_server.interactions.operations.parameters import Inputs
from fhir_server.model.resource import Resource


class Coded(NamedTuple):
    """A code as it was sent; `system` is "" where none was, and carries a `|version` where one was."""

    system: str
    code: str
    display: str = ""


def coded(inputs: Inputs, version: str, *, system: str = "system", code: str = "code") -> tuple[Coded, ...]:
    """Return the codes that were sent: several only from a CodeableConcept. Raises Malformed unless they came in one way.

    `system`, `code` and `version` are the names of the parameters that hold these.
    """
    ways = inputs.given(code, *(name for name in ("coding", "codeableConcept") if name not in (system, code)))
    if len(ways) != 1:
        found = " and ".join(ways) or "none of them"
        raise inputs.refuse(f"send one of {code}, coding and codeableConcept; found {found}.", ways[0] if ways else "")
    way = ways[0]
    if way == code:
        named = inputs.canonical(system, version) if inputs.given(system) else ""
        return (Coded(named, inputs.text(code), inputs.text("display") if inputs.given("display") else ""),)
    sent = inputs.value(way)
    codings = (sent,) if way == "coding" else sent.get("coding", ())
    if not codings or not all("code" in one for one in codings):
        raise inputs.refuse(f"the {way} has no code.", way)
    return tuple(of_coding(one) for one in codings)


def of_coding(coding: Resource) -> Coded:
    """Read a Coding that has a code."""
    system = coding.get("system", "")
    if system and "version" in coding:
        system = f"{system}|{coding['version']}"
    return Coded(system, coding["code"], coding.get("display", ""))
