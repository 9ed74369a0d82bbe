"""National identifiers: their form and their check digits (be-core's invariants; the facts are in the NamingSystems).

A NamingSystem states the form of its values with our extension `identifier-rule`. Its preferred uri is the official system,
its other uris are old forms that still occur. The form is an error only for the official system and only on the types
that the rule names; old forms and check digits give warnings, since published test numbers fail them. A value that is
pseudonymised is not judged.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from fhir_server.artifacts.source import canonical_of
from fhir_server.model.resource import Resource
from fhir_server.validation.checks import fail
from fhir_server.validation.differential import UnenforceableConstruct
from fhir_server.validation.finding import Findings, below, merged, shown
from fhir_server.validation.wording import say

RULE: Final = "https://w3id.org/social-referral/StructureDefinition/identifier-rule"
_PSEUDONYM: Final = "https://www.ehealth.fgov.be/standards/fhir/infsec/StructureDefinition/be-ext-pseudonymization"
_SSIN_BODY, _CBE_BODY, _BSN_LENGTH = 9, 8, 9


class IdentifierRule(NamedTuple):
    """What is known of the identifiers of one system; `enforced` are the types where a wrong form is an error."""

    name: str
    official: str
    form: re.Pattern[str]
    described: str
    checksum: Callable[[str], bool] | None
    enforced: frozenset[str]


def ssin_holds(digits: str) -> bool:
    """Tell whether the check digits of a Belgian SSIN or BIS number hold; of those born from 2000 on a 2 stands before."""
    body, check = digits[:_SSIN_BODY], int(digits[_SSIN_BODY:])
    return check in (97 - int(body) % 97, 97 - int("2" + body) % 97)


def cbe_holds(digits: str) -> bool:
    """Tell whether the check digits of a Belgian enterprise number hold."""
    return int(digits[_CBE_BODY:]) == 97 - int(digits[:_CBE_BODY]) % 97


def bsn_holds(digits: str) -> bool:
    """Tell whether a Dutch BSN passes the eleven test."""
    weights = (*range(_BSN_LENGTH, 1, -1), -1)
    return bool(sum(weight * int(digit) for weight, digit in zip(weights, digits, strict=True)) % 11 == 0)


CHECKSUMS: Final[Mapping[str, Callable[[str], bool]]] = MappingProxyType(
    {"ssin": ssin_holds, "cbe": cbe_holds, "eleven-test": bsn_holds}
)


class Identifiers:
    """The rules of all systems that have one, by every uri that names them."""

    def __init__(self, naming_systems: Iterable[Resource]) -> None:
        """Read the NamingSystems. Raises UnenforceableConstruct for a rule that cannot be used."""
        self._rules: dict[str, IdentifierRule] = {}
        for resource in naming_systems:
            rule = _read(resource)
            if rule is not None:
                for one in resource["uniqueId"]:
                    if one["type"] != "other":
                        self._rules[one["value"] if one["type"] != "oid" else f"urn:oid:{one['value']}"] = rule

    def check(self, kind: str, resource: dict[str, Any]) -> Findings:
        """Judge `identifier` of a resource; identifiers in references and elsewhere are not judged."""
        listed = resource.get("identifier")
        found: Findings = None
        for index, identifier in enumerate(listed if type(listed) is list else ()):
            system = identifier.get("system") if type(identifier) is dict else None
            rule = self._rules.get(system) if type(system) is str else None
            if rule is not None and (fault := _judged(rule, kind, identifier)):
                found = merged(found, below(f".identifier[{index}]", fault))
        return found


def _judged(rule: IdentifierRule, kind: str, identifier: dict[str, Any]) -> Findings:
    found: Findings = None
    official = identifier["system"] == rule.official
    if not official:
        text = say("identifier-alias", found=identifier["system"], name=rule.name, official=rule.official)
        found = fail("identifier-alias", "value", text, ".system", "information")
    value = identifier.get("value")
    if type(value) is not str or _pseudonymised(identifier):
        return found
    if rule.form.fullmatch(value) is None:
        text = say("identifier-format", value=shown(value), name=rule.name, rule=rule.described)
        severe = official and kind in rule.enforced
        found = merged(found, fail("identifier-format", "value", text, ".value", "error" if severe else "warning"))
    elif rule.checksum is not None and not rule.checksum(value):
        text = say("identifier-checksum", value=shown(value), name=rule.name)
        found = merged(found, fail("identifier-checksum", "value", text, ".value", "warning"))
    return found


def _pseudonymised(identifier: dict[str, Any]) -> bool:
    beside = identifier.get("_value")
    listed = beside.get("extension") if isinstance(beside, dict) else None
    return any(isinstance(one, dict) and one.get("url") == _PSEUDONYM for one in listed or ())


def _read(resource: Resource) -> IdentifierRule | None:
    for extension in resource.get("extension", ()):
        if extension["url"] != RULE:
            continue
        parts: dict[str, list[str]] = {}
        for part in extension["extension"]:
            text = part.get("valueString") or part.get("valueCode")
            parts.setdefault(part["url"], []).append(str(text))
        checksum = parts.get("checksum", [""])[0]
        if checksum and checksum not in CHECKSUMS:
            reason = f"there is no checksum {checksum!r}; there are {', '.join(CHECKSUMS)}."
            raise UnenforceableConstruct(canonical_of(resource), "NamingSystem.extension", reason)
        return IdentifierRule(
            str(resource["name"]),
            canonical_of(resource),
            _compiled(resource, parts["form"][0]),
            parts["description"][0],
            CHECKSUMS.get(checksum),
            frozenset(parts.get("enforcedOn", ())),
        )
    return None


def _compiled(resource: Resource, form: str) -> re.Pattern[str]:
    try:
        return re.compile(form, re.ASCII)
    except re.error as error:
        reason = f"{form!r} is no regular expression: {error}."
        raise UnenforceableConstruct(canonical_of(resource), "NamingSystem.extension", reason) from error
