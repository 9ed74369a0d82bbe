"""Required bindings (https://hl7.org/fhir/R4/terminologies.html#required) on code, Coding and CodeableConcept.

Most value sets of R4 are small and enumerated in the table of facts. Those that are not enumerable have a rule here:
mime types, languages and currencies by their grammar or list, units by their system. `UNCHECKED` names the rest.
"""

import re
from collections.abc import Callable
from typing import Any

from fhir_server.artifacts.r4 import Binding
from fhir_server.validation.finding import Check, Findings, Scope, merged, one, shown
from fhir_server.validation.wording import say

_VALUESET = "http://hl7.org/fhir/ValueSet/"
_UCUM = "http://unitsofmeasure.org"
UNCHECKED = {"http://loinc.org/vs/LL379-9": "a LOINC answer list; its codes are not part of the specification"}
"""Required value sets that no rule here can judge, with the reason."""

_LISTED = 12
"""Value sets up to this size are listed whole in the message."""
_FORMATS = frozenset({"xml", "json", "ttl", "html"})
"""Abbreviations that R4 http.html#mime-type allows beside mime types (CapabilityStatement.format)."""
_MIME = re.compile(r"[A-Za-z0-9!#$&^_.+\-]+/[A-Za-z0-9!#$&^_.+\-*]+(?:\s?;\s?.+)?")
_LANGUAGE = re.compile(r"(?:[A-Za-z]{2,8}|[xXiI])(?:-[A-Za-z0-9]{1,8})*")
_CURRENCIES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE "
    "CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GGP GHS GIP GMD GNF "
    "GTQ GYD HKD HNL HRK HTG HUF IDR ILS IMP INR IQD IRR ISK JEP JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP "
    "LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK "
    "PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SPL SRD SSP STN SVC SYP SZL THB TJS TMT "
    "TND TOP TRY TTD TVD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VEF VES VND VUV WST XAF XAG XAU XBA XBB XBC XBD XCD "
    "XDR XOF XPD XPF XPT XSU XTS XUA XXX YER ZAR ZMW ZWL"
)


def _is_mime_type(code: str) -> bool:
    return code in _FORMATS or _MIME.fullmatch(code) is not None


def _is_language(code: str) -> bool:
    return _LANGUAGE.fullmatch(code) is not None


def _is_currency(code: str) -> bool:
    return len(code) == len("EUR") and code in _CURRENCIES.split()


_GRAMMARS: dict[str, tuple[Callable[[str], bool], str]] = {
    _VALUESET + "mimetypes": (_is_mime_type, "grammar.mimetypes"),
    _VALUESET + "all-languages": (_is_language, "grammar.all-languages"),
    _VALUESET + "currencies": (_is_currency, "grammar.currencies"),
}


def code_check(binding: Binding, plain: Check) -> Check:
    """Return the check of a `code` element: one look in the set, and explanations only where it is not in it."""
    codes = binding.codes
    if not codes:
        return _grammar_check(binding, plain)

    def check(value: Any, scope: Scope) -> Findings:
        if type(value) is str and value in codes:
            return None
        return plain(value, scope) or _not_in(codes, value, binding.valueset, scope)

    return check


def _grammar_check(binding: Binding, plain: Check) -> Check:
    if binding.valueset not in _GRAMMARS:
        return plain
    fits, wanted = _GRAMMARS[binding.valueset]

    def check(value: Any, scope: Scope) -> Findings:
        fault = plain(value, scope)
        if fault or fits(value):
            return fault
        text = say("required-binding.grammar", value=shown(value), wanted=say(wanted), valueset=binding.valueset)
        return one("required-binding", "code-invalid", text)

    return check


def _not_in(codes: frozenset[str], value: str, valueset: str, scope: Scope) -> Findings:
    if len(codes) <= _LISTED:
        allowed = say("hint.allowed", codes=", ".join(sorted(codes)))
    else:
        near = scope.near(value, codes)
        allowed = say("hint.near", near=near) if near else say("hint.size", count=len(codes))
    text = say("required-binding", value=shown(value), valueset=valueset, allowed=allowed)
    return one("required-binding", "code-invalid", text)


def coded_check(binding: Binding, kind: str, plain: Check) -> Check:
    """Return the check of a `Coding` or `CodeableConcept` element: one coding must be from the value set."""
    systems = dict(binding.systems)
    if binding.valueset == _VALUESET + "ucum-units":
        systems = {_UCUM: frozenset()}
    if not systems:
        return plain

    def belongs(coding: Any) -> bool:
        if not isinstance(coding, dict):
            return True  # its shape is reported elsewhere
        codes = systems.get(str(coding.get("system")))
        return codes is not None and (not codes or coding.get("code") in codes)

    def check(value: Any, scope: Scope) -> Findings:
        fault = plain(value, scope)
        if fault and any(one.severity == "error" for one in fault):
            return fault
        codings = value.get("coding", ()) if kind == "CodeableConcept" else (value,)
        if any(map(belongs, codings)) or ("extension" in value and not codings):
            return fault
        found = ", ".join(f"{coding.get('system', '')}|{coding.get('code', '')}" for coding in codings[:3])[
            :200
        ] or say("only-text")
        text = say("required-binding.coded", valueset=binding.valueset, found=found, allowed=_choices(systems))
        return merged(fault, one("required-binding", "code-invalid", text))

    return check


def _choices(systems: dict[str, frozenset[str]]) -> str:
    listed = (f"{system}: {', '.join(sorted(codes)[:_LISTED]) or '*'}" for system, codes in systems.items())
    return say("hint.allowed", codes="; ".join(listed))
