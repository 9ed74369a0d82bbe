"""`Task?overdue=true`: whose person should have been contacted by now, and was not. Computed when it is asked, from what is indexed.

The parameter has no expression: it is the term (`Task.restriction.period`) against the present, the state and the step.
"""

from typing import Final

from fhir_server.search.query import And, DateCompare, Node, Not, Or, Prefix, TokenIs
from fhir_server.search.refusals import bad_value, unsupported_modifier

CODE: Final = "overdue"
TYPE: Final = "Task"
URL: Final = "https://w3id.org/social-referral/SearchParameter/Task-overdue"
WAITING: Final = ("requested", "received", "ready", "accepted")
"""The states of a Task in which the term for contacting the person runs."""
STEPS: Final = "https://w3id.org/social-referral/CodeSystem/business-status"
REACHED: Final = ("contacted", "appointment-planned", "no-show", "intake-done", "support-started", "support-ended")
"""The steps (Task.businessStatus) after which the person has been contacted, so that the term no longer runs."""


def overdue(value: str, modifier: str, full_name: str, now_us: int) -> Node:
    """Read a value of the parameter. Raises NotOffered for a modifier, Malformed for anything but true and false."""
    if modifier:
        raise unsupported_modifier(full_name, modifier, ())
    if value not in ("true", "false"):
        raise bad_value("search-bad-boolean", full_name, value, "true or false")
    return overdue_at(now_us) if value == "true" else Not(overdue_at(now_us))


def overdue_at(now_us: int) -> Node:
    """Return the condition that a Task is overdue at an instant (microseconds since the epoch)."""
    waits = Or(tuple(TokenIs("status", None, status) for status in WAITING))
    reached = Or(tuple(TokenIs("business-status", STEPS, step) for step in REACHED))
    return And((DateCompare("due", Prefix.EB, now_us, now_us), waits, Not(reached)))
