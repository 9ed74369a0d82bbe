"""Whether a QuestionnaireResponse answers its Questionnaire (R4 questionnaireresponse.html, section Notes).

A response that is completed or amended must be whole; of one in progress, what is missing or stands at a question that is not
enabled is a warning. What was answered must be right in both.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from fhir_server.model.errors import TooCostly
from fhir_server.model.issue import Issue, Severity
from fhir_server.model.resource import Resource
from fhir_server.workflow.screening_flow import Flow, Given, read_given, value_of
from fhir_server.workflow.screening_form import HL7, MOST_ITEMS, Form, Question, extension
from fhir_server.workflow.screening_values import Membership, check_value

WHOLE: Final = frozenset({"completed", "amended"})
"""Statuses of a response that is final."""
_MOST_COMPARED: Final = 5_000
"""linkIds that unknown ones of one response are compared with; after that they are told without what is near."""


def check_answers(form: Form, response: Resource, belongs: Membership) -> list[Issue]:
    """Return what is wrong with a response that is valid R4, in its order. Raises TooCostly for too many items.

    Calculated values are judged apart (`screening_scores`).
    """
    require_bounded(response)
    root = read_given(form, response)
    checker = _Checker(form, Flow(form, root), belongs, whole=response.get("status") in WHOLE)
    return [*_subject(form, response), *checker.children(root, "")]


def require_bounded(response: Resource) -> None:
    """Raise TooCostly for a response of more items than a questionnaire may have."""
    count, waiting = 0, [response]
    while waiting:
        holder = waiting.pop()
        below = [*holder.get("item", ()), *holder.get("answer", ())]
        count += len(holder.get("item", ()))
        if count > MOST_ITEMS:
            raise TooCostly(
                f"The response has more than {MOST_ITEMS} items. No questionnaire is as long; send one response at a time.",
                key="too-many-items",
                expression="QuestionnaireResponse.item",
            )
        waiting += below


def _subject(form: Form, response: Resource) -> Iterator[Issue]:
    wanted: Sequence[str] = form.questionnaire.get("subjectType", ())
    if not wanted:
        return
    subject = response.get("subject")
    if subject is None:
        text = f"The questionnaire is about a {' or '.join(wanted)}; the response names nobody. Add its subject."
        yield Issue("response-subject", "required", text, "QuestionnaireResponse")
        return
    kind = subject.get("type") or str(subject.get("reference", "")).rpartition("/")[0].rpartition("/")[2]
    if kind and kind not in wanted and not str(subject.get("reference", "")).startswith(("urn:", "#")):
        text = f"The questionnaire is about a {' or '.join(wanted)}; the subject is a {kind}."
        yield Issue("response-subject", "value", text, "QuestionnaireResponse.subject")


class _Checker:
    def __init__(self, form: Form, flow: Flow, belongs: Membership, *, whole: bool) -> None:
        self._form = form
        self._flow = flow
        self._belongs = belongs
        self._lacking: Severity = "error" if whole else "warning"
        self._compared = 0

    def children(self, over: Given, link_id: str) -> Iterator[Issue]:
        """Yield what is wrong below one item of the response."""
        asked = {one.link_id: one for one in self._form.below.get(link_id, ())}
        seen: dict[str, list[Given]] = {}
        latest = -1
        for given in over.below:
            question = asked.get(given.raw["linkId"])
            if question is None:
                yield self._strange(given, link_id)
                continue
            if question.position < latest:
                text = f"{question.link_id!r} comes too late: items stand in the order of the questionnaire."
                yield Issue("response-order", "structure", text, given.path)
            latest = max(latest, question.position)
            seen.setdefault(question.link_id, []).append(given)
            yield from self._item(question, given, over)
        for question in asked.values():
            yield from self._presence(question, seen.get(question.link_id, []), over)

    def _strange(self, given: Given, link_id: str) -> Issue:
        name = given.raw["linkId"]
        where = f"{given.path}.linkId"
        question = self._form.questions.get(name)
        if question is None:
            text = f"The questionnaire has no item {name[:60]!r}.{self._near(name)}"
            return Issue("response-unknown-item", "not-found", text, where)
        home = f"within {question.parent.link_id!r}" if question.parent is not None else "at the top"
        text = f"The item {name!r} stands {home}, not {f'within {link_id!r}' if link_id else 'at the top'}."
        return Issue("response-misplaced-item", "structure", text, where)

    def _near(self, name: str) -> str:
        """Return what was meant, as long as looking for it is quick."""
        self._compared += len(self._form.questions)
        return self._form.near(name) if self._compared <= _MOST_COMPARED else ""

    def _item(self, question: Question, given: Given, over: Given) -> Iterator[Issue]:
        answers = given.raw.get("answer", ())
        if (answers or given.below) and not self._flow.enabled(question, over):
            text = f"{question.link_id!r} is not asked after the other answers (enableWhen), and has an answer. Leave it out."
            yield Issue("response-not-enabled", "business-rule", text, given.path, self._lacking)
        if question.type in ("group", "display"):
            if answers:
                text = f"{question.link_id!r} is a {question.type}: it has no answer."
                yield Issue("response-answered-group", "structure", text, f"{given.path}.answer")
        elif given.raw.get("item"):
            text = f"What is asked within the question {question.link_id!r} stands below its answer (answer.item)."
            yield Issue("response-misplaced-item", "structure", text, f"{given.path}.item")
        if len(answers) > 1 and not question.repeats:
            text = f"{question.link_id!r} takes one answer; found {len(answers)}."
            yield Issue("response-too-many", "structure", text, f"{given.path}.answer[1]")
        for index, answer in enumerate(answers):
            if value_of(answer)[0] and question.type not in ("group", "display"):
                yield from check_value(question, answer, f"{given.path}.answer[{index}]", self._belongs)
        yield from self.children(given, question.link_id)

    def _presence(self, question: Question, found: list[Given], over: Given) -> Iterator[Issue]:
        grouped = question.type == "group" and question.repeats
        if len(found) > 1 and not grouped:
            hint = " Put all answers into one item." if question.repeats else ""
            text = f"{question.link_id!r} stands here {len(found)} times.{hint}"
            yield Issue("response-too-many", "structure", text, found[1].path)
        count = len(found) if grouped else sum(len(one.answers) for one in found)
        if question.type == "group" and not grouped:
            count = sum(1 for one in found if one.below)
        most = extension(question.raw, HL7 + "questionnaire-maxOccurs")
        if most is not None and count > most:
            text = f"{question.link_id!r} takes at most {most} answers; found {count}."
            yield Issue("response-too-many", "structure", text, found[0].path)
        least = extension(question.raw, HL7 + "questionnaire-minOccurs") or 1
        if question.type == "display" or not question.required or question.calculated or count >= least:
            if not found and question.type == "group" and not question.repeats:
                yield from self._absent(question, over)
            return
        if self._flow.enabled(question, over):
            text = f"{question.link_id!r} must be answered" + (f" {least} times; found {count}." if least > 1 else ".")
            where = found[0].path if found else over.path
            yield Issue("response-incomplete", "required", text, where, self._lacking)

    def _absent(self, group: Question, over: Given) -> Iterator[Issue]:
        """Yield what is required within a group that is not there at all."""
        empty = Given({}, over.path, group, over)
        if self._flow.enabled(group, over):
            yield from self.children(empty, group.link_id)
