"""Partial hand-over: Tasks that are part of another Task."""

from collections.abc import Iterator
from typing import Final

from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource
from fhir_server.workflow.case import Case, is_aside
from fhir_server.workflow.codes import TASK_ENDED
from fhir_server.workflow.keys import refusal, violation

MAX_DEPTH: Final = 5
"""How many Tasks a chain of partOf may hold, the first one included."""
_TAKEN: Final = frozenset({"accepted", "in-progress", "on-hold"})


def open_parts(case: Case, key: str) -> tuple[Resource, ...]:
    """Return the Tasks that are part of the Task at `key` and have not ended."""
    return tuple(part for part in case.links.parts_of(key) if part.get("status") not in TASK_ENDED)


def completion_issues(case: Case) -> tuple[Issue, ...]:
    """Return an issue when a Task is completed while parts of it are open."""
    if case.status != "completed" or case.status_before == "completed" or case.imported:
        return ()
    parts = tuple(part for part in open_parts(case, case.key) if not is_aside(part))
    if not parts:
        return ()
    names = ", ".join(f"Task/{part['id']} ({part.get('status')})" for part in parts)
    text = f"Parts of this Task are still open: {names}. Wait until they have ended, or cancel them first."
    return (violation("subtask-open", text, "Task.status"),)


def part_issues(case: Case) -> tuple[Issue, ...]:
    """Judge `partOf` of a Task that gets it; raises Forbidden when someone else than the parent's owner hands over."""
    if "partOf" not in case.after or (
        case.before is not None and _parents(case.before, case) == _parents(case.after, case)
    ):
        return ()
    return tuple(_part_issues(case))


def _part_issues(case: Case) -> Iterator[Issue]:
    for index, key in enumerate(_parents(case.after, case)):
        expression = f"Task.partOf[{index}]"
        if problem := _chain_problem(case, key):
            yield violation("subtask-cycle", f"{problem} Hand over from a Task nearer to the first one.", expression)
            return
        parent = case.links.get(key)
        if parent is None or case.imported:
            continue
        if "operator" not in case.principal.roles:
            _require_owner(case, parent, expression)
        if parent.get("status") not in _TAKEN:
            yield violation(
                "subtask-parent",
                f"{key} is {parent.get('status')}; a part can be handed over once it is accepted and until it has ended.",
                expression,
            )
        if case.links.key(parent.get("for")) != case.subject:
            yield violation(
                "subtask-parent", f"A part is for the same person as {key}. Set for to the same.", "Task.for"
            )
        if not _same_referral(case, parent):
            yield violation(
                "subtask-parent",
                f"A part has the focus of {key}, or a ServiceRequest that is based on it. Set focus to one of these.",
                "Task.focus",
            )


def _require_owner(case: Case, parent: Resource, expression: str) -> None:
    if case.acting_for and case.acting_for in case.links.organizations(parent.get("owner")):
        return
    text = (
        f"Task/{parent['id']} is handed over in part by its owner only. Act for the organisation that owns it, or refer "
        "the person with a ServiceRequest of your own."
    )
    raise refusal("subtask-actor", text, expression)


def _same_referral(case: Case, parent: Resource) -> bool:
    links, focus = case.links, case.after.get("focus")
    above = links.key(parent.get("focus"))
    if links.key(focus) == above:
        return True
    request = links.follow(focus)
    return request is not None and any(links.key(basis) == above for basis in request.get("basedOn", ()))


def _chain_problem(case: Case, first: str) -> str:
    """Walk up every chain of partOf from a parent; return what is wrong, "" when the chains end in time."""
    level, depth = {first}, 1
    while level:
        depth += 1
        if case.key in level:
            return "This Task would be part of itself."
        if depth > MAX_DEPTH:
            return f"This would be the part of a part at more than {MAX_DEPTH} levels."
        above = [case.links.get(key) for key in sorted(level)]
        level = {key for task in above if task is not None for key in _parents(task, case)}
    return ""


def _parents(task: Resource, case: Case) -> tuple[str, ...]:
    return tuple(case.links.key(reference) for reference in task.get("partOf", ()))
