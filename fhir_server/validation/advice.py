"""Remarks that $validate makes beside faults: what R4 allows and what is still probably wrong."""

from collections.abc import Callable
from typing import Any

from fhir_server.validation.checks import fail
from fhir_server.validation.finding import Check, Findings, Scope, merged, shown
from fhir_server.validation.wording import say

HasCode = Callable[[str, str], bool | None]
"""(system, code) → whether the code system has it; None where the system is not known whole."""


def advised(item: Check, remark: Callable[[dict[str, Any]], Findings]) -> Check:
    """Return the check of an element with a remark on each."""

    def check(value: Any, scope: Scope) -> Findings:
        found = item(value, scope)
        return merged(found, remark(value)) if type(value) is dict else found

    return check


def unknown_code(coding: dict[str, Any], has_code: HasCode) -> Findings:
    """Warn of a code that its code system, known here whole, does not have."""
    system, code = coding.get("system"), coding.get("code")
    if not (type(system) is str and type(code) is str) or has_code(system, code) is not False:
        return None
    said = say("unknown-code", code=shown(code), system=shown(system))
    return fail("unknown-code", "code-invalid", said, ".code", "warning")


def relative_system(identifier: dict[str, Any]) -> Findings:
    """Warn of a system that is no absolute URI: nobody else can tell what it means."""
    system = identifier.get("system")
    if type(system) is not str or not system or ":" in system:
        return None
    return fail("identifier-system", "value", say("identifier-system", system=shown(system)), ".system", "warning")
