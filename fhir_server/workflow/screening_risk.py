"""The risk class of a person as a RiskAssessment with the rule named, and the Task to ask again on a date."""

from calendar import monthrange
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any, Final

from fhir_server.model.resource import Resource
from fhir_server.model.temporal import parse_temporal
from fhir_server.workflow.codes import CANONICAL
from fhir_server.workflow.screening_extraction import Extracted, Source, identified, place_key, refers_to
from fhir_server.workflow.screening_flow import Given, value_of
from fhir_server.workflow.screening_form import Question, extension
from fhir_server.workflow.screening_observations import SCORE_RULE, meaning_of
from fhir_server.workflow.screening_scores import Band

RISK: Final = f"{CANONICAL}/StructureDefinition/risk-assessment"
TASK_KIND: Final = f"{CANONICAL}/CodeSystem/task-kind"
RE_EVALUATION: Final = "re-evaluation"
RE_EVALUATION_PROFILE: Final = f"{CANONICAL}/StructureDefinition/re-evaluation-task"
QUESTIONNAIRE_INPUT: Final = {"system": "http://hl7.org/fhir/uv/sdc/CodeSystem/temp", "code": "questionnaire"}
RESPONSE_OUTPUT: Final = {"system": "http://hl7.org/fhir/uv/sdc/CodeSystem/temp", "code": "questionnaire-response"}
_DIMENSION: Final = f"{CANONICAL}/StructureDefinition/vulnerability-dimension"
_ASKING_DAYS: Final = 30
"""Days within which the person is asked again, from the date on."""
_DAYS: Final = {"d": 1, "wk": 7}
_MONTHS: Final = {"mo": 1, "a": 12}
_YEAR: Final = 12
_DAY_LENGTH: Final = 10


def assessments(source: Source, found: Sequence[Extracted]) -> Iterator[Extracted]:
    """Yield a RiskAssessment, and a Task where its band says how long it holds, for each item that assesses a risk."""
    for given in source.answered():
        question = given.question
        if question is None or extension(question.raw, RISK) is not True:
            continue
        for answer in given.answers[:1]:
            band = meaning_of(question, value_of(answer)[1])
            if band is not None:
                yield from _assessed(source, given, question, band, found)


def _assessed(
    source: Source, given: Given, question: Question, band: Band, found: Sequence[Extracted]
) -> Iterator[Extracted]:
    urn = source.urn(f"risk/{place_key(given)}")
    basis = [one.urn for one in found if one.link_id == question.link_id or _of_dimension(one.resource)]
    resource: Resource = {"resourceType": "RiskAssessment", **identified(source, urn), "status": "final"}
    rule = extension(question.raw, SCORE_RULE)
    if rule is not None:
        resource["method"] = {"coding": [rule]}
    if question.codes:
        resource["code"] = {"coding": list(question.codes)}
    resource["occurrenceDateTime"] = source.authored
    if refers_to(source.author, "Practitioner", "PractitionerRole", "Device"):
        resource["performer"] = source.author
    resource["basis"] = [{"reference": source.reference}, *({"reference": one} for one in basis)]
    resource["prediction"] = [{"qualitativeRisk": band.meaning}]
    yield Extracted(urn, resource, question.link_id)
    due = due_date(source.authored, band.reassess) if band.reassess is not None else None
    if due is not None:
        task_urn = source.urn(f"re-evaluation/{place_key(given)}")
        yield Extracted(task_urn, _task(source, task_urn, urn, due), question.link_id)


def _of_dimension(resource: Resource) -> bool:
    return any(one.get("url") == _DIMENSION for one in resource.get("extension", ()))


def _task(source: Source, urn: str, focus: str, due: date) -> Resource:
    common = identified(source, urn)
    task: Resource = {
        "resourceType": "Task",
        "meta": {"profile": [RE_EVALUATION_PROFILE]},
        "identifier": common["identifier"],
        "status": "requested",
        "intent": "plan",
        "code": source.wording.concept(TASK_KIND, RE_EVALUATION),
        "focus": {"reference": focus},
        "for": common["subject"],
        "authoredOn": source.authored,
    }
    author = source.author
    if refers_to(author, "Practitioner", "PractitionerRole", "Organization", "Patient", "RelatedPerson", "Device"):
        task["requester"] = author
    if refers_to(author, "Practitioner", "PractitionerRole", "Organization"):
        task["owner"] = author
    last = due + timedelta(days=_ASKING_DAYS)
    task["restriction"] = {"period": {"start": due.isoformat(), "end": last.isoformat()}}
    if source.form.canonical:
        task["input"] = [{"type": {"coding": [QUESTIONNAIRE_INPUT]}, "valueCanonical": source.form.canonical}]
    return task


def fulfilled(task: Resource, source: Source, now: str) -> Resource | None:
    """Return an open Task to ask again as these newer answers to its questionnaire complete it, None when they do not."""
    canonicals = [str(one.get("valueCanonical", "")).partition("|")[0] for one in task.get("input", ())]
    asked = source.form.canonical.partition("|")[0]
    authored = task.get("authoredOn")
    if asked not in canonicals or not authored or parse_temporal(authored).hi > parse_temporal(source.authored).lo:
        return None
    output = {"type": {"coding": [RESPONSE_OUTPUT]}, "valueReference": {"reference": source.reference}}
    return {**task, "status": "completed", "lastModified": now, "output": [*task.get("output", ()), output]}


def due_date(authored: str, term: Resource) -> date | None:
    """Return the day on which a term from the day of the answers ends; None for a term or a day that is not whole."""
    number: Any = term.get("value")
    code = term.get("code", term.get("unit", ""))
    if len(authored) < _DAY_LENGTH or number is None or number != int(number):
        return None
    start = date.fromisoformat(authored[:_DAY_LENGTH])
    if code in _DAYS:
        return start + timedelta(days=int(number) * _DAYS[code])
    if code not in _MONTHS:
        return None
    months = start.month - 1 + int(number) * _MONTHS[code]
    year, month = start.year + months // _YEAR, months % _YEAR + 1
    return date(year, month, min(start.day, monthrange(year, month)[1]))
