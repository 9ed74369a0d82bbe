"""What becomes of resources that an earlier extraction of the same response made.

What has not changed is left alone. What a changed answer gives is amended, what no answer gives any more is entered in error, and what
people decided since (the status of a need, the steps of a task) stays.
"""

from collections.abc import Mapping
from typing import Any, Final

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
_AMENDED: Final = frozenset({"Observation", "RiskAssessment"})
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


def renewed(fresh: Resource, before: Resource) -> Resource | None:
    """Return what is to be stored over an earlier extraction, None when nothing changed."""
    kind = fresh["resourceType"]
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


def retired(before: Resource, wording: Wording) -> Resource | None:
    """Return a resource whose answer is gone, marked so; None when it is so already, or cannot be marked."""
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
    return None


def _revived(after: Resource, fresh: Resource) -> Resource:
    """Take back that a need was entered in error, when its answer is there again."""
    if fresh["resourceType"] == "Condition" and _verification(after) == "entered-in-error":
        return {**after, "clinicalStatus": fresh["clinicalStatus"], "verificationStatus": fresh["verificationStatus"]}
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
