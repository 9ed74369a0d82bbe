"""The steps of the work on a referral (Task.businessStatus), and in which states of the Task each may be set."""

from collections.abc import Mapping
from typing import Final

from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource
from fhir_server.workflow.case import Case
from fhir_server.workflow.codes import BUSINESS_STATUS
from fhir_server.workflow.keys import sentence, violation
from fhir_server.workflow.links import codings

_TAKEN: Final = ("accepted", "in-progress", "on-hold")

STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "awaiting-contact": ("requested", "received", "accepted"),
    "contact-attempted": _TAKEN,
    "contacted": _TAKEN,
    "appointment-planned": _TAKEN,
    "no-show": _TAKEN,
    "intake-done": (*_TAKEN, "completed"),
    "waitlisted": ("received", "accepted", "on-hold"),
    "awaiting-information": ("received", *_TAKEN),
    "support-started": ("in-progress", "on-hold"),
    "handed-over": (*_TAKEN, "completed"),
    "cancellation-requested": ("requested", "received", *_TAKEN, "cancelled"),
    "support-ended": ("in-progress", "completed"),
}
"""Step → the states of the Task in which it may be set. A step may stay when the state moves on: it is what was last known."""


def step_of(task: Resource) -> str:
    """Return the step of a Task in our code system, "" when it has none."""
    return next(iter(_steps(task)), "")


def _steps(task: Resource) -> tuple[str, ...]:
    found = (code for system, code in codings(task.get("businessStatus")) if system == BUSINESS_STATUS)
    return tuple(dict.fromkeys(found))


def step_issues(case: Case) -> tuple[Issue, ...]:
    """Return an issue when a Task gets a step that does not exist, or not in its state; other code systems are free."""
    if case.imported or (
        case.before is not None and case.before.get("businessStatus") == case.after.get("businessStatus")
    ):
        return ()
    steps = _steps(case.after)
    if not steps:
        return ()
    step = next((one for one in steps if one not in STEPS), steps[0])
    states = STEPS.get(step)
    if len(steps) > 1 and states is not None:
        text = (
            f"A Task has one step at a time; this one has {sentence(steps, 'and')}. Keep the one that it reached last."
        )
    elif states is None:
        text = f"{step!r} is no step of {BUSINESS_STATUS}. Use {sentence(tuple(STEPS))}."
    elif case.status not in states:
        fitting = tuple(name for name, where in STEPS.items() if case.status in where)
        text = (
            f"The step {step} is set while a Task is {sentence(states)}; this one is {case.status}. "
            f"While it is {case.status}, the step may be {sentence(fitting) or 'none'}."
        )
    else:
        return ()
    return (violation("task-step", text, "Task.businessStatus"),)
