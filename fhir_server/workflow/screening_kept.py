"""What becomes of resources that an earlier extraction of the same response made.

What has not changed is left alone. What a changed answer gives is amended, what no answer gives any more is entered in error, and what
people decided since (the status of a need, the steps of a task) stays.
"""

from collections.abc import Mapping
from typing import Any, Final

from fhir_server.artifacts import r4
from fhir_server.model.resource import Resource
from fhir_server.workflow.codes import STATUS_REASON, TASK_ENDED
from fhir_server.workflow.screening_extraction import URI_SYSTEM
from fhir_server.workflow.wording import Wording

_SERVER: Final = ("versionId", "lastUpdated")
_OURS: Final = {
    "Condition": ("extension", "category", "code", "evidence", "recordedDate"),
    "Task": ("restriction", "input"),
}
"""Type → elements that the answers decide; all others belong to who works with the resource."""
_PEOPLES: Final = {
    "Condition": frozenset({"clinicalStatus", "verificationStatus", "abatement", "note"}),
    "Task": frozenset({"status", "statusReason", "businessStatus", "owner", "note", "output"}),
}
"""Type → elements that are people's once the resource is made, whatever a definition fills."""
_AMENDED: Final = frozenset({"Observation", "RiskAssessment"})
_STATUSES: Final = ("clinicalStatus", "verificationStatus")
_VERIFICATION: Final = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def urn_of(resource: Resource) -> str:
    """Return the identity that an extraction gave a resource, "" when none did."""
    listed = resource.get("identifier", ())
    found = (
        one.get("value", "")
        for one in ([listed] if isinstance(listed, dict) else listed)
        if one.get("system") == URI_SYSTEM
    )
    return next((str(value) for value in found if str(value).startswith("urn:uuid:")), "")


def resolved(element: Any, names: Mapping[str, str]) -> Any:
    """Return an element in which each reference by a URN of `names` (URN → `Type/id`) is a literal one."""
    if isinstance(element, dict):
        found = {name: resolved(value, names) for name, value in element.items()}
        if isinstance(found.get("reference"), str):
            found["reference"] = names.get(found["reference"], found["reference"])
        return found
    return [resolved(value, names) for value in element] if isinstance(element, list) else element


def renewed(fresh: Resource, before: Resource, decides: frozenset[str] | None = None) -> Resource | None:
    """Return what is to be stored over an earlier extraction, None when nothing changed.

    `decides` are the elements that the answers decide where a definition says so, None where the type does.
    """
    kind = fresh["resourceType"]
    if decides is not None:
        return _defined(fresh, before, decides)
    if kind in _OURS:
        after = _revived({**before, **{name: fresh[name] for name in _OURS[kind] if name in fresh}}, fresh)
        if kind == "Task" and before["status"] != "requested":
            return None
        for name in _OURS[kind]:
            if name not in fresh:
                after.pop(name, None)
        return _unless_same(after, before)
    after = {**fresh, "id": before["id"], "meta": _meta(fresh, before)}
    if kind not in _AMENDED:
        return _unless_same(after, before)
    after["status"] = before["status"]
    if before["status"] != "entered-in-error" and _unless_same(after, before) is None:
        return None
    after["status"] = "amended"
    return after


def _defined(fresh: Resource, before: Resource, decides: frozenset[str]) -> Resource | None:
    """Return a resource in which the answers decide what the questionnaire fills, but for what people decide of its type."""
    kind = fresh["resourceType"]
    if kind == "Task" and before["status"] != "requested":
        return None
    mine = {
        form for stem in decides - _PEOPLES.get(kind, frozenset()) - {"id", "meta"} for form, _ in _forms(kind, stem)
    }
    kept = {name: value for name, value in before.items() if name.removeprefix("_") not in mine}
    given = {name: value for name, value in fresh.items() if name.removeprefix("_") in mine}
    after = {**fresh, **kept, **given, "meta": _meta(fresh, before)}
    if "id" in fresh and "identifier" in before and "identifier" not in mine:
        after["identifier"] = before["identifier"]
    after = _revived(after, fresh)
    if kind not in _AMENDED or "id" in fresh:
        return _unless_same(after, before)
    after["status"] = before["status"]
    if before["status"] != "entered-in-error" and _unless_same(after, before) is None:
        return None
    return {**after, "status": "amended"}


def _forms(kind: str, stem: str) -> tuple[tuple[str, str], ...]:
    facts = r4.child(kind, stem)
    return facts.json_names if facts is not None else ()


def retired(before: Resource, wording: Wording) -> Resource | None:
    """Return a resource whose answer is gone, marked so; None when it is so already, or cannot be marked.

    A type with the status entered-in-error gets it, one that has only `active` is no longer so.
    """
    kind = before["resourceType"]
    if kind in _AMENDED:
        return None if before["status"] == "entered-in-error" else {**before, "status": "entered-in-error"}
    if kind == "Condition":
        if _verification(before) == "entered-in-error":
            return None
        kept = {name: value for name, value in before.items() if name != "clinicalStatus"}
        return {**kept, "verificationStatus": _concept("entered-in-error")}
    if kind == "Task" and before["status"] not in TASK_ENDED:
        reason = {**wording.concept(STATUS_REASON, "other"), **wording.sentence("text", "answers-changed")}
        return {**before, "status": "cancelled", "statusReason": reason}
    return _marked(before) if kind != "Task" else None


def _marked(before: Resource) -> Resource | None:
    kind = before["resourceType"]
    status, active = r4.child(kind, "status"), r4.child(kind, "active")
    if status is not None and status.binding is not None and "entered-in-error" in status.binding.codes:
        return None if before.get("status") == "entered-in-error" else {**before, "status": "entered-in-error"}
    if active is not None and active.types == ("boolean",) and before.get("active") is not False:
        return {**before, "active": False}
    return None


def _revived(after: Resource, fresh: Resource) -> Resource:
    """Take back that a need was entered in error, when its answer is there again."""
    if fresh["resourceType"] == "Condition" and _verification(after) == "entered-in-error":
        kept = {name: value for name, value in after.items() if name not in _STATUSES}
        return {**kept, **{name: fresh[name] for name in _STATUSES if name in fresh}}
    return after


def _verification(condition: Resource) -> str:
    codings = condition.get("verificationStatus", {}).get("coding", ())
    return next((str(one.get("code")) for one in codings if one.get("system") == _VERIFICATION), "")


def _concept(code: str) -> Resource:
    return {"coding": [{"system": _VERIFICATION, "code": code}]}


def _meta(fresh: Resource, before: Resource) -> Resource:
    kept = before.get("meta", {})
    return {**kept, **({"profile": fresh["meta"]["profile"]} if "meta" in fresh else {})}


def _unless_same(after: Resource, before: Resource) -> Resource | None:
    return None if _bare(after) == _bare(before) else after


def _bare(resource: Resource) -> Resource:
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in _SERVER}
    return {**resource, "meta": meta}
