"""Definition-based extraction (SDC 4.0): answers go into the elements that the definitions of their items name.

`definitionExtract` on an item makes a resource for each time the item stands in the response (on the questionnaire: one, always);
`item.definition` and `definitionExtractValue` fill it. `extractAllocateId` gives an id that lasts as what is extracted does.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fhir_server.artifacts import r4
from fhir_server.fhirpath import Node
from fhir_server.fhirpath.node import plain
from fhir_server.model.errors import RuleViolated
from fhir_server.model.resource import Resource
from fhir_server.workflow.screening_definitions_cells import Cell, complete
from fhir_server.workflow.screening_definitions_contexts import Context, kind_of, refuse
from fhir_server.workflow.screening_definitions_path import Step
from fhir_server.workflow.screening_definitions_plan import ItemPlan, Plan, Write
from fhir_server.workflow.screening_definitions_values import Value, fitted
from fhir_server.workflow.screening_expressions import Workshop
from fhir_server.workflow.screening_extraction import URI_SYSTEM, Extracted, Source, Update, answer_key, place_key
from fhir_server.workflow.screening_flow import Given, value_of
from fhir_server.workflow.screening_form import HL7, extension
from fhir_server.workflow.screening_kept import resolved
from fhir_server.workflow.screening_scores import variables_of

_NOTHING = ItemPlan()


@dataclass(slots=True, eq=False)
class _Making:
    """A resource that is being filled. `given` is the item that makes it, `around` the JSON that its expressions start from."""

    context: Context
    urn: str
    given: Given
    around: Resource
    answer: str
    variables: Mapping[str, Any]
    cell: Cell = field(default_factory=Cell)


@dataclass(slots=True, eq=False)
class _Live:
    """A resource as the items at one place see it: the elements that the groups around are, and the repetitions made there."""

    making: _Making
    bases: Mapping[str, Cell]
    cells: dict[tuple[int, str, int, int], Cell] = field(default_factory=dict)

    def holder(self, write: Write, spread: str, number: int) -> Cell:
        """Return the object in which a write puts its value; of the element `spread` the repetition `number`."""
        cell = self.bases[write.base]
        for step in write.way[:-1]:
            if not step.many:
                cell = cell.child(step)
                continue
            key = (id(cell), step.key, write.slots.get(step.key, 0), number if step.key == spread else 0)
            known = self.cells.get(key)
            if known is None:
                known = self.cells[key] = cell.child(step, new=True)
            cell = known
        return cell


_Env = Mapping[int, _Live]


class _Here(NamedTuple):
    """One occurrence of an item: the answers that it is about, and the JSON that its expressions start from."""

    given: Given
    answers: Sequence[tuple[int, Resource]]
    below: Sequence[Given]
    around: Resource
    variables: Mapping[str, Any]


class Definitions:
    """Carries out the plan of a questionnaire on one response."""

    def __init__(self, source: Source, plan: Plan) -> None:
        self._source = source
        self._plan = plan
        self._workshop = Workshop()
        self._stand_in = "" if "id" in source.response else source.urn("not-stored-yet").removeprefix("urn:uuid:")
        self._asked = source.response if not self._stand_in else {**source.response, "id": self._stand_in}
        self._made: list[_Making] = []

    def extracted(self) -> Iterator[Extracted]:
        """Yield every resource that the definitions give, in the order of the response."""
        if not self._plan.contexts:
            return
        self._item(self._source.root, {}, {})
        for one in self._made:
            yield self._finished(one)

    def _item(self, given: Given, env: _Env, names: Mapping[str, Any]) -> None:
        question = given.question
        item = self._plan.items.get(question.link_id if question is not None else "", _NOTHING)
        for here in self._occurrences(given, item, names):
            inner = dict(env)
            if item.apart:
                inner = {number: _Live(one.making, one.bases) for number, one in env.items()}
            for context in item.opens:
                inner[context.number] = self._opened(context, here)
            link = inner[item.opens[0].number].making.urn if item.opens else ""
            self._write(item, here, inner, link)
            for one in here.below:
                if self._answered(one):
                    self._item(one, inner, {key: here.variables[key] for key in (*names, *item.names)})

    def _occurrences(self, given: Given, item: ItemPlan, names: Mapping[str, Any]) -> Iterator[_Here]:
        answers = [(index, answer) for index, answer in enumerate(given.raw.get("answer", ())) if value_of(answer)[0]]
        question = given.question
        several = question is not None and question.repeats and question.type != "group"
        each = several and bool(item.apart or item.opens)
        for some in [[one] for one in answers] if each else [answers]:
            below = given.below
            if each:
                start = f"{given.path}.answer[{some[0][0]}]."
                below = [one for one in below if one.path.startswith(start)]
            around = {**given.raw, "answer": [some[0][1]]} if each else given.raw
            known = variables_of(self._source.form, question, self._asked, self._workshop)
            suffix = f"/{answer_key(given, some[0][1])}" if each else ""
            own = {name: self._source.urn(f"allocated/{name}/{place_key(given)}{suffix}") for name in item.names}
            yield _Here(given, some, below, around, {**known, **names, **own})

    def _answered(self, given: Given) -> bool:
        """Tell whether an item, or one below it, is asked and has an answer."""
        if given.question is None or given.over is None or not self._source.flow.enabled(given.question, given.over):
            return False
        return bool(given.answers) or any(map(self._answered, given.below))

    def _opened(self, context: Context, here: _Here) -> _Live:
        """Begin a resource: its identity is that of the place of the item, or an id that was allocated for it."""
        question = here.given.question
        several = question is not None and question.repeats and question.type != "group"
        answer = answer_key(here.given, here.answers[0][1]) if several else ""
        canonical = context.way.canonical.partition("|")[0]
        urn = self._source.urn(f"definition/{canonical}/{place_key(here.given)}/{answer}")
        while any(one.urn == urn for one in self._made):
            urn = self._source.urn(f"{urn}/again")
        named = self._text(context.full_url, context, here.around, here.variables)
        if named:
            if named not in here.variables.values():
                text = "definitionExtract with a fullUrl that extractAllocateId did not allocate is not offered: identities are given by the server."
                raise refuse(text, context.place)
            urn = named
            if any(one.urn == urn for one in self._made):
                raise refuse(
                    f"Two resources with the fullUrl {urn!r}. Allocate an id where each is made.", context.place
                )
        making = _Making(context, urn, here.given, here.around, answer, here.variables)
        self._made.append(making)
        return _Live(making, {"": making.cell})

    def _write(self, item: ItemPlan, here: _Here, env: dict[int, _Live], link: str) -> None:
        own, spread, count = item.own, "", 1
        if own is not None:
            live = env[own.context]
            cell: Cell | None = None
            if here.given.question is not None and here.given.question.type == "group" and not own.link:
                cell = live.holder(own, "", 0).child(own.target.leaf, new=own.target.leaf.many)
            else:
                values = [(Value({"reference": link}, "Reference"), own.place)] if own.link else _answers(here)
                if len(values) > 1 and not own.target.leaf.facts.many:
                    spread, count = _spread(own, here), len(values)
                for number, (value, place) in enumerate(values):
                    written = fitted(value, own.target.leaf, place, "The answer")
                    cell = live.holder(own, spread, number).put(own.target.leaf, written, place)
            if item.binds and cell is not None:
                env[own.context] = _Live(live.making, {**live.bases, own.target.id: cell})
        for told in item.told:
            values = self._told(told, here)
            if len(values) > 1 and not told.target.leaf.facts.many:
                raise _several(told, len(values))
            times = count if any(step.key == spread for step in told.way[:-1]) else 1
            for number in range(times):
                for value, place in values:
                    written = fitted(value, told.target.leaf, place, "The value")
                    env[told.context].holder(told, spread, number).put(told.target.leaf, written, place)

    def _told(self, told: Write, here: _Here) -> list[tuple[Value, str]]:
        if told.value is not None:
            return [(told.value, told.place)]
        nodes = self._nodes(told.expression, told.place, here.around, here.variables)
        return [(Value(plain(one), _typed(one)), told.place) for one in nodes if one.value is not None]

    def _nodes(self, expression: str, place: str, around: Resource, variables: Mapping[str, Any]) -> list[Node]:
        context = None if around is self._source.response else Node(around, "QuestionnaireResponse.item")
        return self._workshop.nodes(expression, self._asked, variables, place, context=context)

    def _text(self, expression: str, context: Context, around: Resource, variables: Mapping[str, Any]) -> str:
        """Return what an expression of definitionExtract gives as text, "" for nothing."""
        if not expression:
            return ""
        found = [
            plain(one) for one in self._nodes(expression, context.place, around, variables) if one.value is not None
        ]
        return str(found[0]) if found else ""

    def _referred(self, resource: Resource, context: Context) -> Resource:
        """Return a resource whose references to a response that is stored along are those of the transaction."""
        if not self._stand_in:
            return resource
        named = f"QuestionnaireResponse/{self._stand_in}"
        found: Resource = resolved(resource, {named: self._source.reference})
        if self._stand_in in json.dumps(found, default=str):
            raise RuleViolated(
                "An expression writes the id of the response, which has none yet. Store the response first, and extract from it by its id.",
                key="extract-lacks",
                code="required",
                expression=context.place,
            )
        return found

    def _finished(self, one: _Making) -> Extracted:
        """Return a resource with what its profile fixes, its claim and its identity."""
        context = one.context
        complete(one.cell, context.way, context.place)
        filled = one.cell.json()
        resource: Resource = self._referred({"resourceType": context.way.type, **filled}, context)
        if context.profile:
            meta = resource.get("meta", {})
            resource["meta"] = {**meta, "profile": list(dict.fromkeys([*meta.get("profile", ()), context.profile]))}
        if "id" not in resource:
            resource["identifier"] = _identified(resource, one.urn, context)
        link_id = one.given.question.link_id if one.given.question is not None else ""
        condition = self._text(context.if_none_exist, context, one.around, one.variables)
        version = self._text(context.if_match, context, one.around, one.variables)
        if version and "id" not in resource:
            raise refuse(
                f"definitionExtract with ifMatch needs an id to update: an item with the definition {context.way.type}.id.",
                context.place,
            )
        if condition and "id" in resource:
            raise refuse(
                "definitionExtract with ifNoneExist creates; an id was given, which updates. Leave out one.",
                context.place,
            )
        update = Update(self._plan.decides(context), condition, version, context.place)
        return Extracted(one.urn, resource, link_id, one.answer, update)


def _answers(here: _Here) -> list[tuple[Value, str]]:
    question = here.given.question
    unit = extension(question.raw, HL7 + "questionnaire-unit") if question is not None else None
    about = (
        {"unit": unit.get("display", unit.get("code", "")), **{k: unit[k] for k in ("system", "code") if k in unit}}
        if unit
        else None
    )
    found = []
    for index, answer in here.answers:
        name, value = value_of(answer)
        found.append((Value(value, kind_of(name), about), f"{here.given.path}.answer[{index}].value"))
    return found


def _typed(node: Node) -> str:
    """Return the type of what an expression gives where it is one of FHIR that elements have, "" otherwise."""
    return node.type if "." not in node.type and (r4.is_primitive(node.type) or r4.structure(node.type)) else ""


def _spread(own: Write, here: _Here) -> str:
    """Return the element that repeats with each of several answers to one question."""
    step: Step | None = next((one for one in reversed(own.way[:-1]) if one.many), None)
    if step is not None:
        return step.key
    index = here.answers[1][0]
    raise RuleViolated(
        f"{own.target.id} takes one value; found {len(here.answers)} answers.",
        key="extract-type",
        code="structure",
        expression=f"{here.given.path}.answer[{index}].value",
    )


def _several(told: Write, count: int) -> RuleViolated:
    return RuleViolated(
        f"The expression gives {count} values; {told.target.id} takes one. End it with first(), or choose.",
        key="extract-type",
        code="structure",
        expression=told.place,
    )


def _identified(resource: Resource, urn: str, context: Context) -> Any:
    own = {"system": URI_SYSTEM, "value": urn}
    given = resource.get("identifier", [])
    if isinstance(given, list):
        facts = r4.child(context.way.type, "identifier")
        return [*given, own] if facts is not None and facts.many else own
    text = f"Extraction of a {context.way.type} with an identifier is not offered: it has but one, by which an extraction finds it again."
    raise refuse(text, context.place)
