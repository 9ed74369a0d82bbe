"""Which questionnaire a response or a request means, and whether a response answers it.

The questionnaire is what is stored here under its canonical; without a version, the active one with the highest version. A
response may bring its own as a contained resource (`#id`).
"""

from functools import cache, partial
from typing import Final

from fhir_server.artifacts.catalog import version_key
from fhir_server.interactions.context import Engine
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import NotFound, NotSupported, RuleViolated, TooCostly
from fhir_server.model.issue import Issue, has_errors
from fhir_server.model.resource import Resource
from fhir_server.search.query import And, Node, Query, SortKey, TextMode, TokenIs, UriIs
from fhir_server.store.port import Snapshot
from fhir_server.terminology.value_sets import index
from fhir_server.workflow.screening_answers import check_answers, require_bounded
from fhir_server.workflow.screening_bundle import extracted
from fhir_server.workflow.screening_definitions_plan import read_plan
from fhir_server.workflow.screening_form import Form, read_form
from fhir_server.workflow.screening_scores import calculated, differing
from fhir_server.workflow.screening_values import Membership

_SAME_URL: Final = 50
"""Stored questionnaires with one URL that are looked at."""


def find_questionnaire(engine: Engine, snapshot: Snapshot, canonical: str) -> Resource | None:
    """Return the questionnaire of a canonical, None when there is none here that the caller sees."""
    url, _, version = canonical.partition("|")
    if not url:
        return None
    where: list[Node] = [UriIs("url", TextMode.EXACT, url)]
    if version:
        where.append(TokenIs("version", None, version))
    rows = snapshot.search(Query("Questionnaire", And(tuple(where)), (SortKey("_lastUpdated"),), _SAME_URL))
    found: list[Resource] = [decode_stored(row.version.body) for row in rows if row.version.body is not None]
    if found:
        return max(found, key=lambda one: (one["status"] == "active", version_key(str(one.get("version", "")))))
    return engine.catalog.get("Questionnaire", canonical)


def find_definition(engine: Engine, snapshot: Snapshot, canonical: str) -> Resource | None:
    """Return the StructureDefinition of a canonical: one of ours, or one that is stored here and that the caller sees."""
    own = engine.catalog.get("StructureDefinition", canonical)
    url, _, version = canonical.partition("|")
    if own is not None or not url:
        return own
    where: list[Node] = [UriIs("url", TextMode.EXACT, url)]
    if version:
        where.append(TokenIs("version", None, version))
    rows = snapshot.search(Query("StructureDefinition", And(tuple(where)), (SortKey("_lastUpdated"),), _SAME_URL))
    found: list[Resource] = [decode_stored(row.version.body) for row in rows if row.version.body is not None]
    return max(found, key=lambda one: version_key(str(one.get("version", "")))) if found else None


def questionnaire_of(engine: Engine, snapshot: Snapshot, response: Resource) -> Resource:
    """Return the questionnaire that a response names. Raises RuleViolated when it names none, or one that is not known."""
    canonical = str(response.get("questionnaire", ""))
    found: Resource | None
    if canonical.startswith("#"):
        contained = (one for one in response.get("contained", ()) if one.get("id") == canonical[1:])
        found = next((one for one in contained if one["resourceType"] == "Questionnaire"), None)
    else:
        found = find_questionnaire(engine, snapshot, canonical)
    if found is not None:
        return found
    said = (
        f"There is no questionnaire {canonical[:200]!r} here." if canonical else "The response names no questionnaire."
    )
    raise RuleViolated(
        f"{said} Store the questionnaire first, or put it in 'contained' and name it as '#' and its id.",
        key="unknown-questionnaire",
        code="not-found",
        expression="QuestionnaireResponse.questionnaire" if canonical else "QuestionnaireResponse",
    )


def judged(engine: Engine, snapshot: Snapshot, form: Form, response: Resource) -> tuple[Resource, list[Issue]]:
    """Return a response with its values calculated, and all that is wrong with it.

    Where an answer is wrong, what cannot be calculated of it is a consequence: the answer is told, and nothing is calculated.
    """
    issues = check_answers(form, response, membership(engine, snapshot, form))
    try:
        right = calculated(form, response)
    except (RuleViolated, TooCostly):
        if has_errors(issues):
            return response, issues
        raise
    issues += differing(form, response, right)
    return right, issues


def require_answers(engine: Engine, snapshot: Snapshot, form: Form, response: Resource) -> Resource:
    """Return a response with its values calculated. Raises RuleViolated with all errors when it does not answer the form."""
    right, issues = judged(engine, snapshot, form, response)
    if has_errors(issues):
        raise RuleViolated(issues=[one for one in issues if one.severity == "error"])
    return right


def form_for(engine: Engine, snapshot: Snapshot, response: Resource, given: Resource | None = None) -> Form:
    """Return the form that a response answers; `given` is a questionnaire that was sent along."""
    require_bounded(response)
    return read_form(given if given is not None else questionnaire_of(engine, snapshot, response))


def response_issues(engine: Engine, snapshot: Snapshot, response: Resource) -> list[Issue]:
    """Return what is to be said of a response that is valid R4, for $validate; a warning when its questionnaire is unknown."""
    try:
        form = form_for(engine, snapshot, response)
        return judged(engine, snapshot, form, response)[1]
    except (RuleViolated, TooCostly) as error:
        if error.issues[0].key == "unknown-questionnaire":
            return [issue._replace(severity="warning") for issue in error.issues]
        return list(error.issues)


def questionnaire_issues(engine: Engine, snapshot: Snapshot, questionnaire: Resource) -> list[Issue]:
    """Return what $extract would refuse in the definitions of a questionnaire that is valid R4."""
    try:
        read_plan(read_form(questionnaire), cache(partial(find_definition, engine, snapshot)))
    except (RuleViolated, TooCostly) as error:
        return [one for one in error.issues if one.key in ("form-definition", "form-extraction-kind")]
    return []


def needs_of(engine: Engine, snapshot: Snapshot, response: Resource) -> list[Resource]:
    """Return the codes of the needs (Conditions) that a response gives rise to, as CodeableConcepts, also one in progress.

    Raises RuleViolated where its answers are wrong; what is still missing is no obstacle.
    """
    form = form_for(engine, snapshot, response)
    right = require_answers(engine, snapshot, form, {**response, "status": "in-progress"})
    stand_in = {"subject": {"display": "-"}, "authored": render_instant(engine.clock.now_ms())}
    known = cache(partial(find_definition, engine, snapshot))
    found = extracted(form, {**stand_in, **right}, "-", "urn:uuid:0", definitions=known)[1]
    return [one.resource.get("code", {}) for one in found if one.resource["resourceType"] == "Condition"]


def membership(engine: Engine, snapshot: Snapshot, form: Form) -> Membership:
    """Return how a coding is looked up in a value set: one contained in the questionnaire, or one known here."""
    terminology = engine.terminology.on(snapshot, committed=False)
    contained = {f"#{one.get('id')}": one for one in form.questionnaire.get("contained", ())}

    def belongs(value_set: str, coding: Resource) -> bool | None:
        try:
            listed = index(contained[value_set]) if value_set in contained else value_set
            return terminology.validate_code(coding.get("system"), str(coding.get("code", "")), listed).result
        except (NotFound, NotSupported, TooCostly):
            return None

    return belongs
