"""How the pages change a Task: the version that was looked at, what is set, and where one is led afterwards."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import Response

from fhir_server.http.pages.gate import refused
from fhir_server.http.pages.visit import Visit
from fhir_server.http.pages.words import REASON, concept, labels
from fhir_server.model.clock import render_instant
from fhir_server.model.errors import FhirError, Malformed, RuleViolated
from fhir_server.model.resource import Resource

LONGEST_WORDS: Final = 4000


def setting(name: str, value: Any) -> Resource:
    """Return the operation of a JSON Patch that sets an element."""
    return {"op": "add", "path": f"/{name}", "value": value}


def reference(visit: Visit) -> str:
    """Return the reference of the Task that the address names."""
    return f"Task/{visit.path('id')}"


async def read_kind(visit: Visit, fits: Callable[[Resource], bool]) -> Resource:
    """Return the Task that the address names. Raises RuleViolated for one of another kind than the form is made for."""
    task = await visit.fhir.read(reference(visit))
    if not fits(task):
        raise RuleViolated(visit.texts("task.other-kind"), key="form-field")
    return task


def version(visit: Visit) -> str:
    """Return the version that was looked at. Raises Malformed for a form that does not say it."""
    found = visit.form.one("version", 20)
    if not (found.isascii() and found.isdecimal()):
        raise Malformed("The form does not say which version it is about. Open the referral again.", key="form-field")
    return found


def now(visit: Visit) -> str:
    """Return the instant as FHIR writes it."""
    return render_instant(visit.site.engine.clock.now_ms())


def back(visit: Visit) -> str:
    """Return the address of the Task."""
    return f"/tasks/{visit.path('id')}"


def done(visit: Visit, what: str) -> Response:
    """Lead back to the Task, which says what was done."""
    return visit.see_other(f"{back(visit)}?done={what}")


async def ended(visit: Visit, status: str, what: str, code: str = "") -> Response:
    """End a Task with a coded reason, the one that was chosen where no `code` is given, and words."""
    words = visit.form.one("words", LONGEST_WORDS)
    known = labels(await visit.fhir.choices("status-reason"))
    code = code or visit.form.one("reason", 60)
    if code not in known:
        raise Malformed("Choose a reason from the list.", key="form-field")
    reason: Resource = concept(REASON, code, known[code]) | ({"text": words} if words else {})
    try:
        await visit.fhir.patch(
            reference(visit), version(visit), [setting("status", status), setting("statusReason", reason)]
        )
    except FhirError as error:
        return await refused(visit, error, back(visit))
    return done(visit, what)
