"""QuestionnaireResponse/$extract: from answers to needs, scores, a risk class and what is to be done (SDC; docs/screening.md).

The answer is a transaction Bundle that the caller may look at and post. With `store=true` the server carries it out in the same unit of
work. What one response gives has a lasting identity, so extracting it again updates and never doubles.
"""

from collections.abc import Mapping
from functools import cache, partial
from typing import Final, NamedTuple

from fhir_server.interactions.bundle.plan import plan
from fhir_server.interactions.bundle.transaction import transaction
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading, Writing
from fhir_server.interactions.operations.extract_defined import defined_before
from fhir_server.interactions.operations.extract_earlier import (
    Sent,
    earlier,
    fulfilled_tasks,
    provenance_of,
    sent_response,
)
from fhir_server.interactions.operations.parameters import Inputs, read_inputs
from fhir_server.interactions.operations.questionnaire_for import find_definition, form_for, require_answers
from fhir_server.interactions.request import Kind, Place, Request, Result
from fhir_server.interactions.routing import Interaction
from fhir_server.interactions.unit import Unit
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import decode_stored, encode
from fhir_server.model.errors import Gone, Malformed, NotFound, RuleViolated
from fhir_server.model.resource import Resource
from fhir_server.store.port import Snapshot
from fhir_server.workflow.screening_answers import WHOLE
from fhir_server.workflow.screening_bundle import entries, extracted
from fhir_server.workflow.screening_extraction import Extracted

DEFINITION: Final = "https://w3id.org/social-referral/OperationDefinition/questionnaire-response-extract"


def extract(engine: Engine, request: Request, place: Place) -> Operation:
    """Return, or carry out, the transaction that a response gives rise to."""
    inputs = read_inputs(engine, request, DEFINITION)
    sent = inputs.value("questionnaire-response")
    if place.id and sent is not None:
        raise inputs.refuse("the response is named by the URL; send none.", "questionnaire-response")
    if not place.id and sent is None:
        raise inputs.refuse("send the response, or call it on QuestionnaireResponse/[id].", "questionnaire-response")
    if not inputs.flag("store"):
        return Reading(
            lambda snapshot: Result(Kind.OK, encode(_bundle(engine, request, inputs, place, snapshot))), heavy=True
        )
    if request.method == "GET":
        raise Malformed("store=true changes resources: send it by POST.", key="operation-input", code="not-supported")

    def work(unit: Unit) -> Result:
        bundle = _bundle(engine, request, inputs, place, unit.view)
        return transaction(unit, request, plan(engine, request, bundle))

    return Writing(work, heavy=True)


class Gathered(NamedTuple):
    """What a response gives rise to: the entries of the transaction that stores it, what it holds, and by URN what was made before."""

    entries: tuple[Resource, ...]
    found: tuple[Extracted, ...]
    known: Mapping[str, Resource]


def gathered(
    engine: Engine,
    snapshot: Snapshot,
    sent: Sent,
    questionnaire: Resource | None = None,
    request: Request | None = None,
) -> Gathered:
    """Return what a response gives rise to; a `questionnaire` that was sent along is preferred.

    The `request` is who asks for what the conditions of a questionnaire find; without it the transaction finds it.

    Raises RuleViolated for a response that is not final, or does not answer its questionnaire.
    """
    response = sent.response
    if response["status"] not in WHOLE:
        raise RuleViolated(
            f"The response is {response['status']!r}; completed and amended ones are extracted. Complete it first; $validate tells "
            "what is missing.",
            key="extract-not-final",
            expression="QuestionnaireResponse.status",
        )
    form = form_for(engine, snapshot, response, questionnaire)
    right = require_answers(engine, snapshot, form, response)
    definitions = cache(partial(find_definition, engine, snapshot))
    source, found = extracted(form, right, sent.basis, sent.reference, engine.rulebook.wording, definitions)
    known = earlier(snapshot, sent, found)
    defined_before(engine, snapshot, request, found, known)
    now = render_instant(engine.clock.now_ms())
    listed = [
        *sent.entries,
        *entries(source, found, known, provenance_of(snapshot, sent), now),
        *fulfilled_tasks(snapshot, source, found, now),
    ]
    return Gathered(tuple(listed), tuple(found), known)


def _bundle(engine: Engine, request: Request, inputs: Inputs, place: Place, snapshot: Snapshot) -> Resource:
    sent = _sent(inputs, place, snapshot)
    listed = list(gathered(engine, snapshot, sent, inputs.value("questionnaire"), request).entries)
    return {"resourceType": "Bundle", "type": "transaction", **({"entry": listed} if listed else {})}


def _sent(inputs: Inputs, place: Place, snapshot: Snapshot) -> Sent:
    if not place.id:
        return sent_response(snapshot, inputs.value("questionnaire-response"))
    current = snapshot.current(place.type, place.id)
    if current is None:
        raise NotFound(f"There is no {place.type}/{place.id} here.")
    if current.body is None:
        raise Gone(f"{place.type}/{place.id} was deleted.")
    return Sent.stored(decode_stored(current.body))


EXTRACT: Final[tuple[Interaction, ...]] = (
    Interaction("POST", "type/$extract", "extract", "type", extract, DEFINITION, ("QuestionnaireResponse",)),
    *(
        Interaction(method, "type/id/$extract", "extract", "instance", extract, DEFINITION, ("QuestionnaireResponse",))
        for method in ("GET", "POST")
    ),
)
