"""What a profile says of the resources that a Reference points at (R4 elementdefinition.html, targetProfile)."""

from collections.abc import Mapping
from typing import Any

from fhir_server.model.reference import parse_reference
from fhir_server.validation.checks import Place, fail
from fhir_server.validation.finding import Check, Findings, Scope, shown
from fhir_server.validation.wording import say


def target_check(place: Place, types: frozenset[str], profiles: Mapping[str, tuple[str, Check]]) -> Check:
    """Check what a Reference points at: its type, and where the resource is at hand, one of the profiles asked of it.

    `profiles` maps canonicals of ours to their type and check; they are asked only of resources that are contained in
    the same resource or stand in the same Bundle.
    """

    def check(value: Any, scope: Scope) -> Findings:
        text = value.get("reference") if type(value) is dict else None
        if type(text) is not str:
            return _stated(value, place, types)
        kind = text.partition("/")[0]
        if kind not in types:
            kind = target_type(text, scope)
            if kind and kind not in types:
                said = say(
                    "profile-target", text=shown(text), kind=kind, profile=place.profile, path=place.path,
                    targets=", ".join(sorted(types)),
                )  # fmt: skip
                return fail("profile-target", "value", said, ".reference")
        return _target_profile(text, profiles, scope) if profiles else None

    return check


def _stated(value: Any, place: Place, types: frozenset[str]) -> Findings:
    stated = value.get("type") if type(value) is dict else None
    if type(stated) is not str or ":" in stated or stated in types:
        return None
    said = say(
        "profile-target", text="type", kind=stated, profile=place.profile, path=place.path,
        targets=", ".join(sorted(types)),
    )  # fmt: skip
    return fail("profile-target", "value", said, ".type")


def target_type(text: str, scope: Scope) -> str:
    """Return the type of the resource that a reference points at, "" where it cannot be told."""
    parsed = parse_reference(text)
    if parsed.kind == "urn":
        return scope.entries.get(text, "")
    if parsed.kind == "fragment":
        return scope.contained.get(parsed.text[1:], "")
    return parsed.type if parsed.kind != "other" else text.partition("?")[0] if "?" in text and ":" not in text else ""


def resolved(text: str, scope: Scope) -> dict[str, Any] | None:
    """Return the resource that a reference names, where it is contained or stands in the same Bundle."""
    if text.startswith("#"):
        listed = scope.root.get("contained")
        for item in listed if isinstance(listed, list) else ():
            if isinstance(item, dict) and item.get("id") == text[1:]:
                return item
        return None
    outer = scope.outer
    while outer is not None:
        entries = outer.root.get("entry")
        for entry in entries if isinstance(entries, list) else ():
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if isinstance(resource, dict) and (
                entry.get("fullUrl") == text or f"{resource.get('resourceType')}/{resource.get('id')}" == text
            ):
                return resource
        outer = outer.outer
    return None


def _target_profile(text: str, profiles: Mapping[str, tuple[str, Check]], scope: Scope) -> Findings:
    resource = resolved(text, scope)
    if resource is None:
        return None
    asked = {url: check for url, (kind, check) in profiles.items() if kind == resource.get("resourceType")}
    reason: Any = ""
    for check in asked.values():
        faults = [fault for fault in check(resource, scope) or () if fault.severity == "error"]
        if not faults:
            return None
        reason = reason or faults[0].text
    if not asked:
        return None
    said = say("profile-target.profile", text=shown(text), targets=", ".join(asked), reason=reason)
    return fail("profile-target", "value", said, ".reference")
