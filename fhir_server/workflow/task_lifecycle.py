"""The life of a Task: its state table, and what a Task must hold in the state that it reaches.

Sources of the rows: Gravity (SDOH Clinical Care, referral Task), NL (generic functions, workflow), BSeR (harmonised
states), R4 (Task state machine). Left out on purpose: requested or received → completed (NL), because a receiver that
did not accept has not yet seen whom it could have helped; accepted → rejected (BSeR), which is `failed` or `cancelled`
here, so that a referrer can tell a refusal from a broken promise.
"""

from typing import Final

from fhir_server.model.issue import Issue
from fhir_server.workflow.case import Case, is_follow_up, is_signal
from fhir_server.workflow.codes import REQUEST_STOPPED, STATUS_REASON, STATUS_REASONS, TASK_STATUSES, Actor
from fhir_server.workflow.keys import sentence, violation
from fhir_server.workflow.lifecycle import Need, Row, StateTable
from fhir_server.workflow.links import codings

_TAKER: Final[tuple[Actor, ...]] = ("owner", "claimant")
_BOTH: Final[tuple[Actor, ...]] = ("requester", "owner", "person", "platform")
_SENDER: Final[tuple[Actor, ...]] = ("requester", "person", "platform")
_HOLDER: Final[tuple[Actor, ...]] = ("owner", "platform")
_REASON: Final[tuple[Need, ...]] = ("statusReason",)
_ACTIVE: Final[tuple[Need, ...]] = ("active ServiceRequest",)
_FEEDBACK: Final[tuple[Need, ...]] = ("output",)

TASK_TABLE: Final = StateTable(
    "Task",
    (
        Row("draft", "requested", ("requester",), _ACTIVE, "Gravity"),
        Row("draft", "cancelled", _SENDER, _REASON, "R4"),
        Row("requested", "received", _TAKER, _ACTIVE, "NL, BSeR"),
        Row("requested", "accepted", _TAKER, _ACTIVE, "Gravity, NL"),
        Row("requested", "in-progress", _TAKER, _ACTIVE, "NL"),
        Row("requested", "rejected", ("owner",), _REASON, "Gravity, NL"),
        Row("requested", "cancelled", _BOTH, _REASON, "Gravity, NL"),
        Row("received", "accepted", ("owner",), _ACTIVE, "NL, BSeR"),
        Row("received", "in-progress", ("owner",), _ACTIVE, "NL, BSeR"),
        Row("received", "rejected", ("owner",), _REASON, "NL, BSeR"),
        Row("received", "cancelled", _BOTH, _REASON, "NL"),
        Row("ready", "in-progress", ("owner",), _ACTIVE, "Gravity"),
        Row("ready", "cancelled", _BOTH, _REASON, "R4"),
        Row("accepted", "in-progress", ("owner",), _ACTIVE, "Gravity, NL, BSeR"),
        Row("accepted", "on-hold", _HOLDER, _REASON, "Gravity"),
        Row("accepted", "completed", _HOLDER, _FEEDBACK, "Gravity, NL, BSeR"),
        Row("accepted", "failed", ("owner",), _REASON, "Gravity"),
        Row("accepted", "cancelled", _BOTH, _REASON, "Gravity, NL"),
        Row("in-progress", "on-hold", _HOLDER, _REASON, "Gravity, NL"),
        Row("in-progress", "completed", _HOLDER, _FEEDBACK, "Gravity, NL, BSeR"),
        Row("in-progress", "failed", ("owner",), _REASON, "Gravity, NL"),
        Row("in-progress", "cancelled", _BOTH, _REASON, "Gravity"),
        Row("on-hold", "in-progress", ("owner",), _ACTIVE, "Gravity, NL"),
        Row("on-hold", "completed", _HOLDER, _FEEDBACK, "Gravity"),
        Row("on-hold", "failed", ("owner",), _REASON, "Gravity"),
        Row("on-hold", "cancelled", _BOTH, _REASON, "Gravity"),
        *(
            Row(status, "entered-in-error", ("requester", "platform"), (), "Gravity")
            for status in TASK_STATUSES
            if status != "entered-in-error"
        ),
    ),
    "task-transition",
    "task-actor",
)
_NEEDS: Final = {row.target: row.needs for row in TASK_TABLE.rows}
_LIVE: Final = frozenset(row.target for row in TASK_TABLE.rows if row.needs == _ACTIVE)


def transitions() -> tuple[Row, ...]:
    """Return the rows of the state table of a governed Task."""
    return TASK_TABLE.rows


def state_issues(case: Case) -> tuple[Issue, ...]:
    """Return what is missing for the state that the Task has, and every unknown coded reason."""
    needs, task, issues = _NEEDS.get(case.status, ()), case.after, []
    reason = task.get("statusReason")
    if not case.imported:
        if "statusReason" in needs and not _says_something(reason):
            issues.append(
                violation(
                    "task-status-reason",
                    f"A Task that is {case.status} says why. Add statusReason with a code of {STATUS_REASON} "
                    f"({sentence(tuple(STATUS_REASONS))}) or a text.",
                    "Task.statusReason",
                )
            )
        if "output" in needs and not task.get("output"):
            issues.append(
                violation(
                    "task-feedback",
                    "A Task is completed with feedback. Add at least one output: what was done (a Procedure), "
                    "an observation, or a text.",
                    "Task.output",
                )
            )
    issues += [
        violation(
            "task-status-reason-code",
            f"{code!r} is not a reason of {STATUS_REASON}. Use {sentence(tuple(STATUS_REASONS))}.",
            f"Task.statusReason.coding[{index}].code",
        )
        for index, (system, code) in enumerate(codings(reason))
        if system == STATUS_REASON and code not in STATUS_REASONS
    ]
    return tuple(issues)


def request_issues(case: Case) -> tuple[Issue, ...]:
    """Return an issue when a Task is sent, claimed or taken up although its ServiceRequest is not active."""
    moved = case.status != case.status_before or _owner_changed(case)
    if case.imported or not moved or case.status not in _LIVE:
        return ()
    request = case.request
    if request is None or request.get("status") == "active":
        return ()
    if is_follow_up(case.after) and request.get("status") not in REQUEST_STOPPED:
        return ()
    if is_signal(case.after) and request.get("status") == "draft":
        return ()
    text = (
        f"The ServiceRequest of this Task is {request.get('status', 'without status')}; a Task becomes {case.status} only "
        "while it is active. Ask the requester to activate it, or leave the Task as it is."
    )
    return (violation("request-not-active", text, "Task.status"),)


def _owner_changed(case: Case) -> bool:
    before = case.before.get("owner") if case.before is not None else None
    return case.links.key(before) != case.links.key(case.after.get("owner"))


def _says_something(concept: object) -> bool:
    if not isinstance(concept, dict):
        return False
    return bool(str(concept.get("text", "")).strip()) or any(code for _, code in codings(concept))
