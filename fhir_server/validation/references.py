"""Literal references and their types (https://hl7.org/fhir/R4/references.html#literal).

What can be judged without a store: the syntax, that the type exists, that the element may point at that type, and that
a fragment names a contained resource. A URL that does not look RESTful is accepted: R4 allows any.
"""

from typing import Any

from fhir_server.artifacts.r4 import is_resource_type, resource_types
from fhir_server.model.reference import ID_PATTERN, ParsedReference, parse_reference
from fhir_server.validation.finding import Check, Finding, Findings, Scope, merged, one, shown
from fhir_server.validation.wording import say

_STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"


def reference_check(targets: tuple[str, ...], plain: Check) -> Check:
    """Return the check of a Reference element that may point at `targets` (empty: any resource type)."""
    allowed = frozenset(targets) or resource_types()
    fits = ID_PATTERN.fullmatch

    def check(value: Any, scope: Scope) -> Findings:
        if type(value) is not dict:
            return plain(value, scope)
        if len(value) == 1:  # nothing but a relative reference: by far the most frequent kind
            text = value.get("reference")
            if type(text) is str:
                head, _, tail = text.partition("/")
                if head in allowed and fits(tail):
                    return None
        found = plain(value, scope)
        text = value.get("reference")
        if type(text) is str and text:
            head, _, tail = text.partition("/")
            if not (head in allowed and fits(tail)):
                found = merged(found, _literal(text, targets, scope))
        if "type" in value:
            found = merged(found, _typed(value, targets))
        return found

    return check


def _literal(text: str, targets: tuple[str, ...], scope: Scope) -> Findings:
    parsed = parse_reference(text)
    if parsed.kind == "urn" and any(map(str.isspace, text)):
        return _spaced(text)
    if parsed.kind == "fragment":
        return _fragment(parsed, targets, scope)
    if parsed.kind == "other":
        return _other(text)
    kind = scope.entries.get(text, "") if parsed.kind == "urn" else parsed.type
    if not kind or (parsed.kind == "absolute" and not is_resource_type(kind)):
        return None
    if not is_resource_type(kind):
        message = say("reference-type-unknown", text=shown(text), kind=shown(kind))
        return one("reference-type-unknown", "value", message, ".reference")
    return _target(kind, targets, text)


def _target(kind: str, targets: tuple[str, ...], text: str) -> Findings:
    if not targets or kind in targets:
        return None
    message = say("reference-target", text=shown(text), kind=kind, targets=", ".join(targets))
    return one("reference-target", "value", message, ".reference")


def _fragment(parsed: ParsedReference, targets: tuple[str, ...], scope: Scope) -> Findings:
    name = parsed.text[1:]
    if not name:
        return None  # the resource that contains this one
    kind = scope.contained.get(name)
    if kind is None:
        return one("ref-1", "invariant", say("ref-1", text=shown(parsed.text)))
    return _target(kind, targets, parsed.text) if is_resource_type(kind) else None  # else it is reported there


def _other(text: str) -> Findings:
    scheme = text.partition(":")[0]
    if ":" in text and scheme.isascii() and scheme.replace("+", "").replace("-", "").replace(".", "").isalnum():
        return _spaced(text) if any(map(str.isspace, text)) else None
    return one("reference-syntax", "value", say("reference-syntax", text=shown(text)), ".reference")


def _spaced(text: str) -> Findings:
    return one("reference-syntax", "value", say("reference-syntax.space", text=shown(text)), ".reference")


def _typed(value: dict[str, Any], targets: tuple[str, ...]) -> Findings:
    stated = value["type"]
    if not isinstance(stated, str) or (":" in stated and not stated.startswith(_STRUCTURE)):
        return None  # a logical model, or a fault that is reported elsewhere
    kind = stated.removeprefix(_STRUCTURE)
    if not is_resource_type(kind):
        text = say("reference-type-unknown.stated", text=shown(stated))
        return one("reference-type-unknown", "value", text, ".type")
    found: Findings = None
    reference = value.get("reference")
    parsed = parse_reference(reference) if isinstance(reference, str) else None
    if parsed and is_resource_type(parsed.type) and parsed.type != kind:
        message = say("reference-type-mismatch", stated=kind, kind=parsed.type)
        found = [Finding(".type", "reference-type-mismatch", "value", message)]
    elif targets and kind not in targets:
        message = say("reference-target.stated", kind=kind, targets=", ".join(targets))
        found = [Finding(".type", "reference-target", "value", message)]
    return found
