"""$break-the-glass: in an emergency an organisation opens the record of one person, for a while, and says why.

The caller states the purpose BTG and a reason (`X-Purpose-Of-Use`, or in the token). What it then sees it sees only while
it states them. The person finds a Communication that says who looked and why; the event `glass-broken` goes to the privacy
contact; the audit trail has both.
"""

from typing import Final

from fhir_server.access.glass import BREAKS, break_glass
from fhir_server.artifacts.source import BASE
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Writing
from fhir_server.interactions.operations.parameters import answer, out, read_inputs
from fhir_server.interactions.request import Place, Request, Result
from fhir_server.interactions.routing import Interaction
from fhir_server.interactions.unit import Unit
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import encode
from fhir_server.model.errors import Forbidden, NotFound
from fhir_server.model.resource import Resource
from fhir_server.search.query import Query, TokenIs

DEFINITION: Final = f"{BASE}/OperationDefinition/break-the-glass"
TOPIC: Final = "glass-broken"


def break_the_glass(engine: Engine, request: Request, place: Place) -> Operation:  # noqa: ARG001  # the shape of every handler
    """Open the record of the person with an identifier, `system|value`. Raises NotFound unless exactly one has it."""
    inputs = read_inputs(engine, request, DEFINITION)
    principal = request.principal
    if not engine.access.enforced or not engine.limits.glass_minutes:
        raise Forbidden("Nobody may break the glass here (setting glass_minutes).", key="glass-off")
    if principal.purpose != BREAKS or not principal.reason or not principal.organization:
        raise Forbidden(
            'Say why, for an organisation: send the header X-Purpose-Of-Use: BTG; reason="…" with the request.',
            key="glass-reason",
        )
    system, _, value = inputs.text("identifier").rpartition("|")

    def work(unit: Unit) -> Result:
        rows = unit.uow.search(Query("Patient", TokenIs("identifier", system or None, value), limit=2))
        if len(rows) != 1:
            raise NotFound("Not exactly one person here has this identifier.", key="not-found")
        patient = f"Patient/{rows[0].version.id}"
        until = unit.uow.last_updated + engine.limits.glass_minutes * 60_000
        break_glass(unit.uow, principal, patient, until)
        told = _told(patient, principal.organization, principal.reason, render_instant(unit.uow.last_updated))
        unit.by_server({**told, "topic": engine.rulebook.wording.sentence("text", "record-opened")})
        unit.uow.emit(TOPIC, encode({"focus": patient, "at": render_instant(unit.uow.last_updated)}))
        return answer((out("patient", "String", patient), out("until", "Instant", render_instant(until))))

    return Writing(work)


def _told(patient: str, organization: str, reason: str, now: str) -> Resource:
    """Return what the person finds: who looked, when and why."""
    return {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": patient},
        "recipient": [{"reference": patient}],
        "sent": now,
        "sender": {"reference": organization},
        "payload": [{"contentString": reason}],
    }


BREAK_THE_GLASS: Final = (
    Interaction("POST", "type/$break-the-glass", "break-the-glass", "type", break_the_glass, DEFINITION, ("Patient",)),
)
