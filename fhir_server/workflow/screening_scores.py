"""Scores: what calculatedExpression gives, whether what was sent agrees, and in which band a score lies.

Points of answers come from the questionnaire (ordinalValue of the answer option), never from the response.
"""

import copy
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from fhir_server.fhirpath.node import plain
from fhir_server.model.errors import RuleViolated, TooCostly
from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource
from fhir_server.workflow.codes import CANONICAL
from fhir_server.workflow.screening_expressions import ORDINAL, Workshop
from fhir_server.workflow.screening_flow import Flow, Given, everywhere, read_given, same, value_of
from fhir_server.workflow.screening_form import HL7, Form, Question, extension, extensions, fhirpath
from fhir_server.workflow.screening_values import answer_from

SCORE_BAND: Final = f"{CANONICAL}/StructureDefinition/score-band"
_MOST_CALCULATED: Final = 200
_ROUNDS: Final = 8
"""Scores may rest on scores; deeper than this they are taken to go round in a circle."""


class Band(NamedTuple):
    """A band of a score, bounds included; None is open."""

    low: Decimal | int | None
    high: Decimal | int | None
    meaning: Resource
    reassess: Resource | None

    def holds(self, value: Decimal | int) -> bool:
        """Tell whether a score lies in it."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def bands(question: Question) -> tuple[Band, ...]:
    """Return the bands in which the score of an item is read, in the order of the questionnaire."""
    found = extensions(question.raw, SCORE_BAND)
    return tuple(
        Band(extension(one, "low"), extension(one, "high"), extension(one, "meaning"), extension(one, "reassess"))
        for one in found
    )


def calculated(form: Form, response: Resource) -> Resource:
    """Return the response with every calculated value as the questionnaire gives it; the one that was sent stays as it is.

    Raises RuleViolated for an expression that cannot be evaluated or does not come to rest, TooCostly for endless ones.
    """
    questions = [one for one in form.questions.values() if one.calculated]
    if not questions:
        return response
    if len(questions) > _MOST_CALCULATED:
        raise TooCostly(
            f"The questionnaire calculates {len(questions)} items; {_MOST_CALCULATED} at most are taken.",
            key="form-expression-costly",
            expression=questions[_MOST_CALCULATED].place,
        )
    working = copy.deepcopy(response)
    for question in questions:
        for over in _holders(form, working, question):
            _set(over, question, [])
    pointed = _with_points(form, working)
    workshop = Workshop()
    for _ in range(_ROUNDS):
        changed = [_recalculated(form, working, question, workshop) for question in questions]  # all, also after one
        if not any(changed):
            break
    else:
        raise RuleViolated(
            "The calculated values rest on each other in a circle and never settle.",
            key="form-calculation-circle",
            expression=questions[0].place,
        )
    for answer, coding in pointed:
        answer["valueCoding"] = coding
    return working


def differing(form: Form, sent: Resource, right: Resource) -> Iterator[Issue]:
    """Yield an issue for each calculated value that was sent and is not what the questionnaire gives."""
    by_place = {
        _key(one): one for one in everywhere(read_given(form, right)) if one.question and one.question.calculated
    }
    for given in everywhere(read_given(form, sent)):
        if given.question is None or not given.question.calculated or not given.answers:
            continue
        other = by_place.get(_key(given))
        values = [value_of(answer) for answer in given.answers]
        wanted = [value_of(answer) for answer in other.answers] if other is not None else []
        if len(values) != len(wanted) or not all(same(*pair) for pair in zip(values, wanted, strict=True)):
            found, gives = (", ".join(_plain(value) for _, value in some) or "no value" for some in (values, wanted))
            text = f"{given.question.link_id!r} is calculated: the other answers give {gives}; found {found}. Leave it out or correct it."
            yield Issue("response-score-differs", "value", text, f"{given.path}.answer[0].value")


def variables_of(form: Form, question: Question | None, response: Resource, workshop: Workshop) -> dict[str, Any]:
    """Return the variables that an item sees: those of the questionnaire, then of the groups around it, then its own."""
    found: dict[str, Any] = {"questionnaire": form.questionnaire}
    owners: list[tuple[Resource, str]] = []
    one = question
    while one is not None:
        owners.insert(0, (one.raw, one.place))
        one = one.parent
    for owner, place in [(form.questionnaire, "Questionnaire"), *owners]:
        for variable in extensions(owner, HL7 + "variable"):
            expression = variable.get("valueExpression", {})
            if (text := fhirpath(expression)) and "name" in expression:
                nodes = workshop.nodes(text, response, found, place)
                found[expression["name"]] = nodes
    if question is not None:
        found["qitem"] = question.raw
    return found


def _recalculated(form: Form, response: Resource, question: Question, workshop: Workshop) -> bool:
    """Calculate an item wherever it stands; tell whether anything changed."""
    changed = False
    flow: Flow | None = None
    for over in _holders(form, response, question):
        flow = flow or Flow(form, _root(over))
        answers: list[Resource] = []
        if flow.enabled(question, over):
            variables = variables_of(form, question, response, workshop)
            nodes = workshop.nodes(question.calculated, response, variables, question.place)
            answers = [_answer(question, plain(node)) for node in nodes if node.value is not None]
        changed |= _set(over, question, answers)
    return changed


def _answer(question: Question, value: Any) -> Resource:
    found = answer_from(question, value)
    if found is not None:
        return found
    raise RuleViolated(
        f"The expression of {question.link_id!r} gives {_plain(value)!r}, which is no answer to a question of type {question.type}.",
        key="form-expression",
        code="processing",
        expression=question.place,
    )


def _holders(form: Form, response: Resource, question: Question) -> list[Given]:
    """Return the places of a response where an item belongs: below each occurrence of what is around it."""
    root = read_given(form, response)
    if question.parent is None:
        return [root]
    return root.by_id.get(question.parent.link_id, [])


def _root(given: Given) -> Given:
    while given.over is not None:
        given = given.over
    return given


def _set(over: Given, question: Question, answers: list[Resource]) -> bool:
    """Write the answers of an item into the response below `over`; tell whether they changed."""
    holder = over.raw
    if over.question is not None and over.question.type not in ("group", "display"):
        if not over.answers:
            return False
        holder = over.answers[0]
    items: list[Resource] = holder.get("item", [])
    present = next((item for item in items if item["linkId"] == question.link_id), None)
    before = [value_of(answer) for answer in present.get("answer", ())] if present is not None else []
    after = [value_of(answer) for answer in answers]
    if len(before) == len(after) and all(same(*pair) for pair in zip(before, after, strict=True)):
        return False
    if present is not None and not answers:
        items.remove(present)
        if not items:
            holder.pop("item", None)
    elif present is not None:
        present["answer"] = answers
    elif answers:
        later = _positions(over, question)
        place = next((index for index, item in enumerate(items) if item["linkId"] in later), len(items))
        text = {"text": question.raw["text"]} if "text" in question.raw else {}
        items.insert(place, {"linkId": question.link_id, **text, "answer": answers})
        holder["item"] = items
    return True


def _positions(over: Given, question: Question) -> set[str]:
    """Return the linkIds that stand after an item among its siblings."""
    return {one.question.link_id for one in over.below if one.question and one.question.position > question.position}


def _with_points(form: Form, response: Resource) -> list[tuple[Resource, Resource]]:
    """Give each chosen coding the points of its option; return the answers with what they held, to undo it."""
    undo = []
    for given in everywhere(read_given(form, response)):
        if given.question is None:
            continue
        for answer in given.answers:
            name, value = value_of(answer)
            if name == "valueCoding":
                undo.append((answer, value))
                points = _points(given.question, value)
                bare = {key: part for key, part in value.items() if key != "extension"}
                marked = {"extension": [{"url": ORDINAL, "valueDecimal": points}]} if points is not None else {}
                answer["valueCoding"] = {**marked, **bare}
    return undo


def _points(question: Question, coding: Resource) -> Any:
    for option in question.raw.get("answerOption", ()):
        if same(("valueCoding", coding), value_of(option)):
            found = extension(option, ORDINAL)
            return found if found is not None else extension(option.get("valueCoding", {}), ORDINAL)
    return None


def _key(given: Given) -> tuple[Any, ...]:
    """Return what tells an item from others of its name: the names around it and which occurrence each is."""
    steps: list[Any] = []
    one = given
    while one.over is not None:
        name = one.raw["linkId"]
        steps.append((name, [each for each in one.over.below if each.raw["linkId"] == name].index(one)))
        one = one.over
    return tuple(reversed(steps))


def _plain(value: Any) -> str:
    return str(value.get("code", value.get("value", "")) if isinstance(value, Mapping) else value)[:40]
