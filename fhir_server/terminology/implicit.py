"""Value sets that nobody wrote: those that SNOMED CT's URIs mean (R4 snomedct.html#implicit), and `CodeSystem.valueSet`."""

import re
from typing import Any, Final
from urllib.parse import unquote

from fhir_server.model.errors import NotSupported
from fhir_server.terminology.value_sets import ValueSetIndex, index

SNOMED: Final = "http://snomed.info/sct"
_ECL: Final = re.compile(r"\s*(<<|<|)\s*(\d{6,18})\s*(?:\|[^|]*\|\s*)?")
_OPERATORS: Final = {"<<": "is-a", "<": "descendent-of", "": "="}


def snomed_value_set(canonical: str) -> ValueSetIndex | None:
    """Return the value set that a URI of SNOMED CT means, None for any other URI.

    `?fhir_vs` is all of it, `?fhir_vs=isa/X` X and what is below, `?fhir_vs=ecl/E` an expression of one concept: X, <X or
    <<X, or * for all. Raises NotSupported for other expressions and for reference sets.
    """
    base, mark, asked = canonical.partition("?fhir_vs")
    if not mark or not (base == SNOMED or base.startswith(f"{SNOMED}/")):
        return None
    rules: list[dict[str, str]] = []
    kind, _, value = asked.removeprefix("=").partition("/")
    if asked and kind == "isa":
        rules.append(_rule("is-a", _concept(value, canonical)))
    elif asked and kind == "ecl":
        rules += _expression(unquote(value), canonical)
    elif asked:
        raise _refused(canonical, "reference sets are not loaded")
    include: dict[str, Any] = {"system": SNOMED}
    if base != SNOMED:
        include["version"] = base
    if rules:
        include["filter"] = rules
    return index({"url": canonical, "name": "SNOMED CT", "status": "active", "compose": {"include": [include]}})


def whole_value_set(canonical: str, system: str, version: str) -> ValueSetIndex:
    """Return the value set of all codes of a code system."""
    include = {"system": system, "version": version} if version else {"system": system}
    return index({"url": canonical, "status": "active", "compose": {"include": [include]}})


def _expression(text: str, canonical: str) -> list[dict[str, str]]:
    if text.strip() == "*":
        return []
    found = _ECL.fullmatch(text)
    if found is None:
        raise _refused(canonical, f"the expression {text[:100]!r} is not one concept with <, << or nothing before it")
    return [_rule(_OPERATORS[found[1]], found[2])]


def _concept(text: str, canonical: str) -> str:
    if not (text.isascii() and text.isdigit()):
        raise _refused(canonical, f"{text[:40]!r} is no SNOMED CT identifier")
    return text


def _rule(operator: str, code: str) -> dict[str, str]:
    return {"property": "concept", "op": operator, "value": code}


def _refused(canonical: str, why: str) -> NotSupported:
    return NotSupported(
        f"The value set {canonical[:200]} cannot be evaluated: {why}. Supported are ?fhir_vs, ?fhir_vs=isa/X, and "
        "?fhir_vs=ecl/ with X, <X, <<X or *.",
        key="value-set-unsupported",
    )
