"""How the first conversation of a link worker may end: a volunteer role, an arrangement in a theme, or an onward referral."""

from typing import Final

from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource
from fhir_server.workflow.case import Case
from fhir_server.workflow.codes import SERVICE_TYPE, TASK_PARAMETER
from fhir_server.workflow.keys import sentence, violation
from fhir_server.workflow.links import codings, items

RESULT: Final = "intake-result"
"""Code of the Task.output that says what the conversation led to."""
VOLUNTEERING: Final = "volunteering"
THEMES: Final = (
    "nature",
    "movement",
    "culture",
    "body-and-mind",
    "eating",
    "discover-and-learn",
    "meeting-through-play",
)
"""The seven themes of Welzijn op Recept, codes of CodeSystem/service-type."""
_ENDS: Final = (VOLUNTEERING, *THEMES)


def intake_issues(case: Case) -> tuple[Issue, ...]:
    """Judge each new output that says how an intake ended; one in another code system is free."""
    if case.imported or case.before is None or case.before.get("output") == case.after.get("output"):
        return ()
    return tuple(
        violation("intake-result", text, f"Task.output[{index}]")
        for index, given in enumerate(items(case.after.get("output")))
        if (TASK_PARAMETER, RESULT) in set(codings(given.get("type"))) and (text := _problem(given, case))
    )


def _problem(given: Resource, case: Case) -> str:
    if "valueReference" in given:
        request = case.links.follow(given["valueReference"])
        onward = request is not None and any(
            case.links.key(one) == case.request_key for one in items(request.get("basedOn"))
        )
        text = f"An onward referral is a ServiceRequest here that is basedOn {case.request_key}. Name that one."
        return "" if onward else text
    wrong = [
        code
        for system, code in codings(given.get("valueCodeableConcept"))
        if system == SERVICE_TYPE and code not in _ENDS
    ]
    if wrong:
        return f"An intake does not end in {wrong[0]!r}. Use {sentence(_ENDS)}, or refer onward with valueReference."
    return ""
