"""A response begun for a person: what is known already stands in it (SDC population, pure).

An item is filled by its initialExpression; else from earlier observations within its observationLinkPeriod; else from the
answers of the last time, when these are asked for; else by its initial values. Calculated values follow from the rest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fhir_server.fhirpath.node import plain
from fhir_server.model.errors import FhirError
from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource
from fhir_server.workflow.screening_expressions import Workshop
from fhir_server.workflow.screening_flow import Flow, everywhere, read_given, value_of
from fhir_server.workflow.screening_form import HL7, SDC, Form, Question, extension, fhirpath
from fhir_server.workflow.screening_scores import calculated
from fhir_server.workflow.screening_values import answer_from

_INITIAL: Final = SDC + "initialExpression"
_LINK: Final = SDC + "observationLinkPeriod"
_TRANSLATION: Final = HL7 + "translation"
_HEADER: Final = 500

Lookup = Callable[[Sequence[Resource], Resource], Resource | None]
"""(codes, Duration) → the newest Observation of the person with one of the codes that is not older, None when there is none."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a response is begun from: resources by the name of their variable, earlier observations, and earlier answers."""

    variables: Mapping[str, Any]
    observed: Lookup
    previous: Mapping[str, Sequence[Resource]]
    """linkId → answers of the last time."""
    language: str = ""


def populated(form: Form, begun: Resource, known: Known) -> tuple[Resource, list[Issue]]:
    """Return the response with what is known, and what could not be populated."""
    filler = _Filler(begun, known)
    items = filler.items(form, "")
    response = {**begun, **({"item": items} if items else {})}
    response = _enabled_only(form, response)
    try:
        return calculated(form, response), filler.issues
    except FhirError as error:
        told = (one._replace(severity="warning") for one in error.issues)
        return response, [*filler.issues, *told]


def earlier_answers(form: Form, response: Resource) -> dict[str, list[Resource]]:
    """Return by linkId the answers of an earlier response that may be taken over: not what is calculated or read-only."""
    found: dict[str, list[Resource]] = {}
    for given in everywhere(read_given(form, response)):
        question = given.question
        if question is not None and not question.calculated and not question.raw.get("readOnly") and given.answers:
            bare = [{name: value} for name, value in map(value_of, given.answers)]
            found.setdefault(question.link_id, bare)
    return found


def text_in(element: Resource, name: str, language: str) -> str:
    """Return a text of the questionnaire in a language, as the extension translation gives it, or else as it is."""
    for one in element.get(f"_{name}", {}).get("extension", ()):
        if one.get("url") == _TRANSLATION and language:
            parts = {part["url"]: part for part in one.get("extension", ())}
            if str(parts.get("lang", {}).get("valueCode", "")).partition("-")[0] == language:
                content = parts.get("content", {})
                return str(content.get("valueString", content.get("valueMarkdown", element.get(name, ""))))
    return str(element.get(name, ""))


def chosen_language(questionnaire: Resource, accept_language: str) -> str:
    """Return the language of a questionnaire's texts that an Accept-Language header asks for; "" for its own.

    Its languages are its own and those into which its title or first item is translated.
    """
    first: Resource = next(iter(questionnaire.get("item", ())), {})
    beside = [*questionnaire.get("_title", {}).get("extension", ()), *first.get("_text", {}).get("extension", ())]
    own = str(questionnaire.get("language", "")).partition("-")[0]
    offered = {
        own,
        *(str(extension(one, "lang")).partition("-")[0] for one in beside if one.get("url") == _TRANSLATION),
    }
    wanted: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept_language[:_HEADER].split(",")):
        tag, _, weight = part.partition(";")
        number = weight.strip().removeprefix("q=")
        quality = float(number) if number.replace(".", "", 1).isdecimal() else 1.0
        primary = tag.strip().lower().partition("-")[0]
        if primary in offered and quality > 0:
            wanted.append((-quality, place, primary))
    found = min(wanted)[2] if wanted else own
    return "" if found == own else found


class _Filler:
    def __init__(self, begun: Resource, known: Known) -> None:
        self._begun = begun
        self._known = known
        self._workshop = Workshop()
        self.issues: list[Issue] = []

    def items(self, form: Form, link_id: str) -> list[Resource]:
        """Return the items below one of the questionnaire that have something to say."""
        found = []
        for question in form.below.get(link_id, ()):
            item: Resource = {"linkId": question.link_id}
            if text := text_in(question.raw, "text", self._known.language):
                item["text"] = text
            below = self.items(form, question.link_id)
            if question.type == "group":
                item |= {"item": below} if below else {}
            elif question.type != "display" and not question.calculated:
                answers = self._answers(question)
                if answers:
                    item["answer"] = [{**answers[0], **({"item": below} if below else {})}, *answers[1:]]
            if "item" in item or "answer" in item:
                found.append(item)
        return found

    def _answers(self, question: Question) -> list[Resource]:
        found: list[Resource] = []
        for way in (self._by_expression, self._by_observation, self._by_last_time, self._by_initial):
            found = list(way(question))
            if found:
                break
        if len(found) > 1 and not question.repeats:
            self._tell(
                question,
                f"{len(found)} values were found for {question.link_id!r}, which takes one; the first is used.",
            )
        return found if question.repeats else found[:1]

    def _by_expression(self, question: Question) -> Iterator[Resource]:
        expression = extension(question.raw, _INITIAL)
        if expression is None:
            return
        text = fhirpath(expression)
        if not text:
            self._tell(question, f"The initial expression of {question.link_id!r} is not in FHIRPath; it was left out.")
            return
        try:
            nodes = self._workshop.nodes(text, self._begun, self._known.variables, question.place)
        except FhirError as error:
            self._tell(question, error.issues[0].diagnostics)
            return
        for node in nodes:
            yield from self._fitting(question, plain(node))

    def _by_observation(self, question: Question) -> Iterator[Resource]:
        period = extension(question.raw, _LINK)
        if period is None or not question.codes:
            return
        observation = self._known.observed(question.codes, period)
        if observation is not None:
            yield from self._fitting(question, value_of(observation)[1])

    def _by_last_time(self, question: Question) -> Iterator[Resource]:
        yield from self._known.previous.get(question.link_id, ())

    def _by_initial(self, question: Question) -> Iterator[Resource]:
        for initial in question.raw.get("initial", ()):
            name, value = value_of(initial)
            yield {name: value}
        for option in question.raw.get("answerOption", ()):
            if option.get("initialSelected") is True:
                name, value = value_of(option)
                kept = ("system", "version", "code", "display")
                bare = {key: part for key, part in value.items() if key in kept} if name == "valueCoding" else value
                yield {name: bare}

    def _fitting(self, question: Question, value: Any) -> Iterator[Resource]:
        if value is None:
            return
        answer = answer_from(question, value)
        if answer is None:
            kind = question.type
            self._tell(
                question,
                f"What is known for {question.link_id!r} is no answer to a question of type {kind}; it was left out.",
            )
        else:
            yield answer

    def _tell(self, question: Question, text: str) -> None:
        self.issues.append(Issue("populate-left-out", "incomplete", text, question.place, "warning"))


def _enabled_only(form: Form, response: Resource) -> Resource:
    """Return a response without the items that are not asked after its other answers."""
    root = read_given(form, response)
    flow = Flow(form, root)
    closed = {
        id(one.raw)
        for one in everywhere(root)
        if one.question is not None and one.over is not None and not flow.enabled(one.question, one.over)
    }
    return _without(response, closed) if closed else response


def _without(holder: Resource, closed: set[int]) -> Resource:
    kept = dict(holder)
    if "item" in kept:
        kept["item"] = [_without(one, closed) for one in holder["item"] if id(one) not in closed]
        kept["item"] = [one for one in kept["item"] if "item" in one or "answer" in one]
        if not kept["item"]:
            del kept["item"]
    if "answer" in kept:
        kept["answer"] = [_without(one, closed) for one in holder["answer"]]
    return kept
