"""A Questionnaire, read once into what its answers are judged by. Pure: no store, no clock.

A Form is refused (RuleViolated, each fault with its place in the Questionnaire) when it has more than MOST_ITEMS items, one linkId twice,
a condition on a question that it lacks, or conditions that go round in a circle.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final

from fhir_server.model.errors import RuleViolated, TooCostly
from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource

SDC: Final = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
HL7: Final = "http://hl7.org/fhir/StructureDefinition/"
MOST_ITEMS: Final = 2_000
"""Items of a questionnaire, and of a response."""


@dataclass(frozen=True, slots=True)
class Question:
    """One item: `place` is its expression in the Questionnaire, `position` its place among its siblings."""

    raw: Resource
    link_id: str
    type: str
    place: str
    position: int
    parent: "Question | None"

    @property
    def required(self) -> bool:
        """Whether it must be answered while it is enabled."""
        return self.raw.get("required") is True

    @property
    def repeats(self) -> bool:
        """Whether it may have several answers (a question) or occur several times (a group)."""
        return self.raw.get("repeats") is True

    @property
    def calculated(self) -> str:
        """The FHIRPath by which its answer comes about, "" when a person answers."""
        return fhirpath(extension(self.raw, SDC + "calculatedExpression"))

    @property
    def codes(self) -> tuple[Resource, ...]:
        """What is asked, as codings."""
        return tuple(self.raw.get("code", ()))

    def inherited(self, url: str) -> Any:
        """Return the value of an extension of the item or else of the nearest group around it, None when none has it."""
        one: Question | None = self
        while one is not None:
            found = extension(one.raw, url)
            if found is not None:
                return found
            one = one.parent
        return None


@dataclass(frozen=True, slots=True)
class Form:
    """A questionnaire whose items can be asked by linkId, in the order of the questionnaire."""

    questionnaire: Resource
    questions: Mapping[str, Question]
    below: Mapping[str, tuple[Question, ...]]
    """linkId → items within it; "" → the items of the questionnaire."""
    order: tuple[str, ...]
    """The linkIds, each after those that its conditions and its group rest on."""

    @property
    def canonical(self) -> str:
        """`url|version`, as a response names the questionnaire."""
        url, version = self.questionnaire.get("url", ""), self.questionnaire.get("version", "")
        return f"{url}|{version}" if url and version else str(url)

    def near(self, link_id: str) -> str:
        """Return a hint at the linkId that was meant, "" when none is like it."""
        found = get_close_matches(link_id[:60], self.questions, 1)
        return f" Did you mean {found[0]!r}?" if found else ""


def read_form(questionnaire: Resource) -> Form:
    """Read a Questionnaire that is valid R4. Raises TooCostly for too many items, RuleViolated for what cannot be followed."""
    questions: dict[str, Question] = {}
    below: dict[str, tuple[Question, ...]] = {}
    issues: list[Issue] = []
    for question in _items(questionnaire, "Questionnaire", None):
        if question.link_id in questions:
            text = f"The linkId {question.link_id!r} is used twice. Give each item its own."
            issues.append(Issue("form-link-id-twice", "duplicate", text, f"{question.place}.linkId"))
        questions[question.link_id] = question
        over = question.parent.link_id if question.parent is not None else ""
        below[over] = (*below.get(over, ()), question)
        if len(questions) > MOST_ITEMS:
            raise TooCostly(
                f"The questionnaire has more than {MOST_ITEMS} items. Split it.",
                key="too-many-items",
                expression="Questionnaire.item",
            )
    issues += _unknown_conditions(questions)
    order: tuple[str, ...] = ()
    if not issues:
        order, issues = _in_order(questions)
    if issues:
        raise RuleViolated(issues=issues)
    return Form(questionnaire, MappingProxyType(questions), MappingProxyType(below), order)


def extension(element: Resource, url: str) -> Any:
    """Return the value of the first extension with a URL (its parts, where it has no value), None when there is none."""
    for one in element.get("extension", ()):
        if one.get("url") == url:
            return next((one[name] for name in one if name.startswith("value")), one.get("extension"))
    return None


def extensions(element: Resource, url: str) -> list[Resource]:
    """Return all extensions with a URL."""
    return [one for one in element.get("extension", ()) if one.get("url") == url]


def fhirpath(expression: Any) -> str:
    """Return the text of an Expression in FHIRPath, "" for anything else."""
    if not isinstance(expression, dict) or expression.get("language") != "text/fhirpath":
        return ""
    return str(expression.get("expression", ""))


def _items(holder: Resource, place: str, parent: Question | None) -> Iterator[Question]:
    for position, raw in enumerate(holder.get("item", ())):
        here = f"{place}.item[{position}]"
        question = Question(raw, raw["linkId"], raw["type"], here, position, parent)
        yield question
        yield from _items(raw, here, question)


def _unknown_conditions(questions: Mapping[str, Question]) -> Iterator[Issue]:
    for question in questions.values():
        if extension(question.raw, SDC + "enableWhenExpression") is not None:
            text = "enableWhenExpression is not followed here. Write the condition as enableWhen."
            yield Issue("form-condition-kind", "not-supported", text, f"{question.place}.extension")
        for index, condition in enumerate(question.raw.get("enableWhen", ())):
            if condition["question"] not in questions:
                text = f"There is no item {condition['question']!r} to depend on. Name the linkId of a question."
                yield Issue(
                    "form-condition-unknown", "not-found", text, f"{question.place}.enableWhen[{index}].question"
                )


def _in_order(questions: Mapping[str, Question]) -> tuple[tuple[str, ...], list[Issue]]:
    """Return the linkIds, each after those that it depends on by conditions and groups; or an issue for the first circle."""
    settled: dict[str, None] = {}
    for start in questions:
        path: dict[str, None] = {}
        waiting: list[tuple[str, bool]] = [(start, False)]
        while waiting:
            name, left = waiting.pop()
            if left:
                path.pop(name, None)
                settled[name] = None
            elif name in path:
                way = " → ".join((*list(path)[list(path).index(name) :], name))
                text = f"The conditions go round in a circle: {way}. Leave one of them out."
                place = f"{questions[name].place}.enableWhen"
                return (), [Issue("form-condition-circle", "business-rule", text, place)]
            elif name not in settled:
                path[name] = None
                waiting.append((name, True))
                waiting.extend((target, False) for target in _needs(questions[name]))
    return tuple(settled), []


def _needs(question: Question) -> Iterator[str]:
    for condition in question.raw.get("enableWhen", ()):
        yield condition["question"]
    if question.parent is not None:
        yield question.parent.link_id
