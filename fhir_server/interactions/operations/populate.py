"""Questionnaire/$populate: a response begun with what is known of the person (SDC; docs/screening.md).

Whatever could not be populated is told in `issues`; the response is in progress and is not stored.
"""

from typing import Any, Final

from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.operations.parameters import Inputs, answer, read_inputs
from fhir_server.interactions.operations.populate_known import last_answers, observed
from fhir_server.interactions.operations.questionnaire_for import find_questionnaire
from fhir_server.interactions.request import Place, Request, Result
from fhir_server.interactions.routing import Interaction, Level
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import Gone, NotFound
from fhir_server.model.issue import Issue, operation_outcome
from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import Resource
from fhir_server.store.port import Snapshot
from fhir_server.workflow.screening_form import SDC, Form, extensions, read_form
from fhir_server.workflow.screening_populate import Known, chosen_language, populated

DEFINITION: Final = "https://w3id.org/social-referral/OperationDefinition/questionnaire-populate"
_LAUNCH: Final = SDC + "launchContext"


def populate(engine: Engine, request: Request, place: Place) -> Operation:
    """Return a response in progress, and what could not be populated."""
    inputs = read_inputs(engine, request, DEFINITION)
    subject = _subject(inputs)

    def work(snapshot: Snapshot) -> Result:
        form = read_form(_questionnaire(engine, inputs, place, snapshot))
        language = chosen_language(form.questionnaire, request.languages)
        variables, issues = _variables(inputs, snapshot, subject, form)
        now = engine.clock.now_ms()
        begun = _begun(form, inputs, subject, render_instant(now), language)
        variables["subject"] = subject
        previous = last_answers(snapshot, form, subject) if inputs.flag("previous") else {}
        if inputs.flag("previous") and not previous:
            text = "There is no earlier completed response of this person to this questionnaire."
            issues.append(Issue("populate-left-out", "not-found", text, "Questionnaire", "information"))
        known = Known(variables, lambda codes, term: observed(snapshot, subject, codes, term, now), previous, language)
        response, more = populated(form, begun, known)
        parameters: list[Resource] = [{"name": "response", "resource": response}]
        if issues or more:
            parameters.append({"name": "issues", "resource": operation_outcome([*issues, *more])})
        return answer(parameters)

    return Reading(work, heavy=True)


def _subject(inputs: Inputs) -> Resource:
    given: Any = inputs.value("subject")
    if given is None and inputs.given("subject-id"):
        given = {"reference": inputs.text("subject-id")}
    if given is None:
        raise inputs.refuse("say whom the response is about: subject, or subject-id in a URL.", "subject")
    subject: Resource = given
    if "reference" in subject and parse_reference(subject["reference"]).kind not in ("relative", "absolute", "urn"):
        raise inputs.refuse(f"{str(subject['reference'])[:80]!r} names no resource; send Patient/[id].", "subject")
    return subject


def _questionnaire(engine: Engine, inputs: Inputs, place: Place, snapshot: Snapshot) -> Resource:
    ways = inputs.given("questionnaire", "canonical")
    if len(ways) + bool(place.id) != 1:
        raise inputs.refuse("name one questionnaire: by its id in the path, by canonical, or send it.", "questionnaire")
    if ways == ["questionnaire"]:
        sent: Resource = inputs.value("questionnaire")
        return sent
    if ways == ["canonical"]:
        found = find_questionnaire(engine, snapshot, inputs.text("canonical"))
        if found is None:
            raise NotFound(
                f"There is no questionnaire {inputs.text('canonical')[:200]!r} here.",
                key="unknown-questionnaire",
                expression=inputs.where("canonical"),
            )
        return found
    current = snapshot.current(place.type, place.id)
    if current is None:
        raise NotFound(f"There is no {place.type}/{place.id} here.")
    if current.body is None:
        raise Gone(f"{place.type}/{place.id} was deleted.")
    stored: Resource = decode_stored(current.body)
    return stored


def _begun(form: Form, inputs: Inputs, subject: Resource, now: str, language: str) -> Resource:
    begun: Resource = {"resourceType": "QuestionnaireResponse"}
    shown = language or str(form.questionnaire.get("language", ""))
    if shown:
        begun["language"] = shown
    if form.canonical:
        begun["questionnaire"] = form.canonical
    begun |= {"status": "in-progress", "subject": subject, "authored": now}
    author = inputs.value("author")
    return {**begun, "author": author} if author is not None else begun


def _variables(inputs: Inputs, snapshot: Snapshot, subject: Resource, form: Form) -> tuple[dict[str, Any], list[Issue]]:
    """Return the launch context by name, and what of it is not known."""
    issues: list[Issue] = []
    found: dict[str, Any] = {}
    given: dict[str, Resource] = {}
    for parts in inputs.values("context"):
        by_name = {part["name"]: part for part in parts}
        content = by_name.get("content", {})
        name = str(next((v for k, v in by_name.get("name", {}).items() if k.startswith("value")), ""))
        if "resource" in content:
            found[name] = content["resource"]
        elif "valueReference" in content:
            given[name] = content["valueReference"]
        else:
            raise inputs.refuse("a context has a name, and as content a Reference or a resource.", "context")
    declared = [_named(one) for one in extensions(form.questionnaire, _LAUNCH)]
    if "patient" not in found:
        given.setdefault("patient", subject)
    for name, reference in given.items():
        resource = _looked_up(snapshot, reference)
        if resource is not None:
            found[name] = resource
        else:
            text = f"%{name}: {str(reference.get('reference', 'a logical reference'))[:80]} is not stored here."
            issues.append(Issue("populate-context", "not-found", text, "Questionnaire", "warning"))
    for name in declared:
        if name and name not in found:
            found[name] = []
            if name not in given:
                text = f"The questionnaire starts from %{name}; it was not sent as context."
                issues.append(Issue("populate-context", "required", text, "Questionnaire", "warning"))
    return found, issues


def _named(launch: Resource) -> str:
    parts = {part["url"]: part for part in launch.get("extension", ())}
    return str(parts.get("name", {}).get("valueCoding", {}).get("code", ""))


def _looked_up(snapshot: Snapshot, reference: Resource) -> Resource | None:
    parsed = parse_reference(str(reference.get("reference", "")))
    if parsed.kind != "relative":
        return None
    current = snapshot.current(parsed.type, parsed.id)
    if current is None or current.body is None:
        return None
    found: Resource = decode_stored(current.body)
    return found


_ROWS: Final[tuple[tuple[str, Level], ...]] = (("type/$populate", "type"), ("type/id/$populate", "instance"))
POPULATE: Final[tuple[Interaction, ...]] = tuple(
    Interaction(method, shape, "populate", level, populate, DEFINITION, ("Questionnaire",))
    for shape, level in _ROWS
    for method in ("GET", "POST")
)
