"""$refer: a whole referral in one call, or nothing of it (OperationDefinition refer).

The short form is composed into the same transaction Bundle that a vendor could send itself; both then pass the one write
path, its validation and the rules of the workflow. A refusal points at the parameter that was at fault.
"""

from functools import partial
from typing import Final

from fhir_server.interactions.bundle.plan import plan
from fhir_server.interactions.bundle.transaction import transaction
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Writing
from fhir_server.interactions.operations.parameters import answer, out
from fhir_server.interactions.operations.refer_answers import stored_answers
from fhir_server.interactions.operations.refer_asked import DEFINITION, Asked, check, read_asked
from fhir_server.interactions.operations.refer_composed import Composed, alone, of_bundle, of_parameters
from fhir_server.interactions.operations.refer_told import told
from fhir_server.interactions.request import Place, Request, Result
from fhir_server.interactions.routing import Interaction
from fhir_server.interactions.unit import Unit
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import Conflict, FhirError, Malformed, RuleViolated
from fhir_server.model.issue import Issue, operation_outcome
from fhir_server.model.resource import Resource
from fhir_server.search.query import Query, RefersTo, SortKey, TokenIs
from fhir_server.workflow.codes import REFERRAL_NUMBER
from fhir_server.workflow.duplicates import repeated
from fhir_server.workflow.links import Links, items
from fhir_server.workflow.numbers import spoken

_LIGHT: Final = 40
_OTHERS: Final = 200


def refer(engine: Engine, request: Request, place: Place) -> Operation:
    """Make a whole referral. What is wrong with the parameters alone is told before anything is done."""
    del place
    asked = read_asked(engine, request)
    sent = asked.one("bundle")
    if sent is None:
        check(asked)
    elif others := [name for name in asked.values if name != "bundle"]:
        raise Malformed(
            f"A bundle holds the whole referral; leave {others[0]} out.",
            key="refer-input",
            expression=asked.place(others[0]),
        )
    heavy = "response" in asked.values or (sent is not None and len(items(sent.get("entry"))) > _LIGHT)
    return Writing(partial(_work, engine, request, asked), heavy=heavy)


def _work(engine: Engine, request: Request, asked: Asked, unit: Unit) -> Result:
    own = _own_identifier(asked)
    if own is not None:
        alone(unit, f"{own['system']}|{own['value']}")
        rows = unit.view.search(Query("ServiceRequest", TokenIs("identifier", own["system"], own["value"]), limit=2))
        if len(rows) == 1:
            text = "This referral was sent before; nothing was made twice. This is how it is now."
            known = Issue("referral-known", "informational", text, severity="information")
            return _answer(unit, asked, decode_stored(rows[0].version.body or b"null"), (known,))
    composed = of_bundle(asked, unit) if asked.one("bundle") is not None else of_parameters(request, asked, unit)
    try:
        made = _transact(engine, request, composed.bundle, unit)
    except FhirError as error:
        error.issues = tuple(one._replace(expression=composed.told(one.expression)) for one in error.issues)
        raise
    _refuse_repetition(unit, made, composed)
    return _answer(unit, asked, made, (*composed.notes, *told(unit, asked, made, composed.patient)))


def _transact(engine: Engine, request: Request, bundle: Resource, unit: Unit) -> Resource:
    entries = plan(engine, request._replace(query=(), returns="minimal"), bundle)
    if broken := engine.validator.claims(bundle):
        raise RuleViolated(issues=broken)
    transaction(unit, request._replace(query=(), returns="minimal"), entries)
    key = next(key for key, one in unit.pending.items() if one["resourceType"] == "ServiceRequest")
    made = unit.get(key)
    if made is None:
        raise Conflict("The referral was removed by its own transaction.", key="refer-input")
    return made


def _own_identifier(asked: Asked) -> Resource | None:
    """Return the caller's own number for the referral: the parameter, or the first one of the request in a Bundle."""
    if asked.one("bundle") is None:
        own: Resource | None = asked.one("identifier")
        return own
    for entry in items(asked.one("bundle").get("entry")):
        resource = entry.get("resource") or {}
        if resource.get("resourceType") == "ServiceRequest":
            named = (one for one in items(resource.get("identifier")) if one.get("system") and one.get("value"))
            return next(named, None)
    return None


def _refuse_repetition(unit: Unit, made: Resource, composed: Composed) -> None:
    links = Links(unit, unit.engine.own_base, unit.engine.rulebook.governs)
    subject = links.key(made.get("subject"))
    rows = unit.view.search(
        Query("ServiceRequest", RefersTo("subject", subject), (SortKey("_lastUpdated", True),), _OTHERS)
    )
    others = [decode_stored(row.version.body) for row in rows if row.version.body is not None]
    again = repeated(made, [one for one in others if unit.engine.rulebook.governs(one)], links)
    if again is None:
        return
    number = number_of(again.request)
    since = str((again.task or again.request).get("authoredOn", ""))[:10]
    text = (
        f"{subject} was referred for this before, and that is open: ServiceRequest/{again.request['id']}"
        f"{f', number {spoken(number)}' if number else ''}, since {since}. Nothing was sent. Ask there how it goes, or withdraw "
        "that one first."
    )
    place = composed.told("Bundle")
    raise Conflict(text, key="referral-duplicate", code="duplicate", expression=place)


def number_of(request: Resource) -> str:
    """Return the number of a referral, "" when it has none."""
    return next(
        (str(one.get("value", "")) for one in items(request.get("identifier")) if one.get("system") == REFERRAL_NUMBER),
        "",
    )


def _answer(unit: Unit, asked: Asked, request: Resource, notes: tuple[Issue, ...]) -> Result:
    """Tell the referral as the caller sees it after all rules have done their part."""
    links = Links(unit, unit.engine.own_base, unit.engine.rulebook.governs)
    number = number_of(request)
    rows = unit.view.search(
        Query("Task", RefersTo("focus", f"ServiceRequest/{request['id']}"), (SortKey("_lastUpdated"),), _OTHERS)
    )
    consents = [one for one in items(request.get("supportingInfo")) if links.key(one).startswith("Consent/")]
    outputs = [
        out("reference-number", "String", number) if number else {},
        out("spoken", "String", spoken(number)) if number else {},
        {"name": "request", "resource": request},
        *(
            {"name": "task", "resource": decode_stored(row.version.body)}
            for row in rows
            if row.version.body is not None
        ),
        out("patient", "Reference", request["subject"]),
        *(out("consent", "Reference", one) for one in consents),
        *(out("response", "Reference", one) for one in stored_answers(unit, asked, request)),
        {"name": "outcome", "resource": operation_outcome(notes)} if notes else {},
    ]
    return answer(one for one in outputs if one)


REFER: Final = (Interaction("POST", "$refer", "refer", "system", refer, DEFINITION),)
