"""What a questionnaire says of definition-based extraction, read once: which items make resources, and which elements they fill.

All that is not carried out is refused here, before any answer is looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from fhir_server.artifacts import r4
from fhir_server.model.errors import RuleViolated, TooCostly
from fhir_server.model.resource import Resource
from fhir_server.workflow.screening_definitions_contexts import (
    Context,
    allocated_names,
    contexts_of,
    refuse,
    told_values,
)
from fhir_server.workflow.screening_definitions_path import Step, Target
from fhir_server.workflow.screening_definitions_profile import Definitions
from fhir_server.workflow.screening_definitions_slots import Table
from fhir_server.workflow.screening_definitions_values import Value
from fhir_server.workflow.screening_form import Form, Question

_MOST_CONTEXTS: Final = 200
"""definitionExtracts of one questionnaire."""


class Write(NamedTuple):
    """A value that goes into an element: a fixed `value`, what an `expression` gives, the resource made here (`link`), or the answers.

    `base` is the id of the element around, `slots` tells which repetition of each repeating element on the way it fills.
    """

    context: int
    target: Target
    place: str
    value: Value | None = None
    expression: str = ""
    link: bool = False
    base: str = ""
    slots: Mapping[str, int] = {}

    @property
    def way(self) -> tuple[Step, ...]:
        """The steps from the element around."""
        return tuple(step for step in self.target.steps if not self.base or step.key.startswith(f"{self.base}."))


@dataclass(frozen=True, slots=True)
class ItemPlan:
    """What one item does: the resources it makes, the element it is (`own`), the values it states (`told`), the ids it allocates.

    `binds`: what is within fills the element that the item is. `apart`: each occurrence, or answer, fills repetitions of its own.
    """

    opens: tuple[Context, ...] = ()
    own: Write | None = None
    told: tuple[Write, ...] = ()
    names: tuple[str, ...] = ()
    binds: bool = False
    apart: bool = False


class Plan(NamedTuple):
    """linkId ("" for the questionnaire) → what the item does; `contexts` is empty when nothing is extracted by definition."""

    items: Mapping[str, ItemPlan]
    contexts: tuple[Context, ...]

    def decides(self, context: Context) -> frozenset[str]:
        """Return the names, without type, of the elements of a resource that this questionnaire fills."""
        writes = (one for item in self.items.values() for one in (item.own, *item.told))
        return frozenset(
            one.target.steps[0].stem for one in writes if one is not None and one.context == context.number
        )


@dataclass(slots=True, eq=False)
class _Frame:
    """A resource that is being filled: the elements that the groups around are, and the repetitions known there."""

    context: Context
    bases: tuple[str, ...] = ()
    table: Table = field(default_factory=lambda: Table({}))

    def placed(self, writes: Sequence[Write], place: str, *, alone: bool = False) -> list[Write]:
        """Return what one item writes, with where it goes."""
        based = [
            one._replace(
                base=max((key for key in self.bases if one.target.id.startswith(f"{key}.")), key=len, default="")
            )
            for one in writes
        ]
        slots = dict(self.table.assign([one.way for one in based], place, alone=alone))
        return [one._replace(slots=slots) for one in based]


_Frames = tuple[_Frame, ...]


def read_plan(form: Form, definitions: Definitions) -> Plan:
    """Read a questionnaire. Raises RuleViolated, with its place, for what is not offered or leads nowhere."""
    reader = _Reader(form, definitions)
    reader.read(None, form.questionnaire, "Questionnaire", ())
    reader.require_all_meant()
    return Plan(reader.items if reader.contexts else {}, tuple(reader.contexts))


class _Reader:
    def __init__(self, form: Form, definitions: Definitions) -> None:
        self._form = form
        self._definitions = definitions
        self._within: list[tuple[_Frame, _Frame, str]] = []
        self._elsewhere: list[tuple[str, str]] = []
        self.items: dict[str, ItemPlan] = {}
        self.contexts: list[Context] = []

    def read(self, question: Question | None, raw: Resource, place: str, around: _Frames) -> None:
        """Read an item and all below it."""
        opened = contexts_of(raw, place, len(self.contexts), self._definitions)
        if opened and question is not None and question.type == "display":
            raise refuse("A display has no answer, so nothing is made of it.", opened[0].place)
        self.contexts += opened
        if len(self.contexts) > _MOST_CONTEXTS:
            text = f"The questionnaire makes more than {_MOST_CONTEXTS} kinds of resources by definition. Split it."
            raise TooCostly(text, key="too-many-items", expression=place)
        frames = (*(_Frame(one) for one in opened), *around)
        link_id = question.link_id if question is not None else ""
        below = self._form.below.get(link_id, ())
        told = [(self._frame(one.definition, one.place, frames, told=True), one) for one in told_values(raw, place)]
        told_writes = [
            (
                frame,
                Write(
                    frame.context.number,
                    frame.context.way.target(one.definition, one.place),
                    one.place,
                    one.value,
                    one.expression,
                ),
            )
            for frame, one in told
            if frame is not None
        ]
        own = self._own(question, frames, opened) if question is not None else None
        binds = own is not None and _binds(question, own[1], bool(below), [write for _, write in told_writes])
        apart = _apart(question, binds=binds, splits=bool(below or opened))
        if apart:
            frames = self._anew(frames, around, place)
        item = ItemPlan(opened, names=allocated_names(raw), binds=binds, apart=apart)
        self.items[link_id], inner = self._placed(item, question, place, frames, own, told_writes)
        for one in below:
            self.read(one, one.raw, one.place, inner)

    def require_all_meant(self) -> None:
        """Raise RuleViolated for a definition that stands outside the item that makes its resource, and for repetitions in doubt."""
        for definition, place in self._elsewhere:
            if any(one.meant_by(definition) for one in self.contexts):
                raise _unmeant(definition, place, ())
        for outer, inner, place in self._within:
            outer.table.require_apart(inner.table, place)

    def _own(self, question: Question, frames: _Frames, opened: Sequence[Context]) -> tuple[_Frame, Write] | None:
        """Return the element that an item is by its definition, None when it is none."""
        text, place = str(question.raw.get("definition", "")), f"{question.place}.definition"
        if "#" not in text or question.type == "display":
            return None
        frame = self._frame(text, place, frames, told=False)
        if frame is None:
            return None
        target = frame.context.way.target(text, place)
        link = question.type == "group" and len(opened) == 1 and frame.context not in opened
        link = link and "Reference" in target.leaf.types
        if question.type == "group" and not link and _plain(target):
            raise _wrong(f"A group cannot be {target.id}, which is a value: give the definition to a question.", place)
        return frame, Write(frame.context.number, target, place, link=link)

    def _frame(self, definition: str, place: str, frames: _Frames, *, told: bool) -> _Frame | None:
        for one in frames:
            if one.context.meant_by(definition):
                return one
        if told or frames:
            raise _unmeant(definition, place, frames)
        self._elsewhere.append((definition, place))
        return None

    def _anew(self, frames: _Frames, around: _Frames, place: str) -> _Frames:
        """Return the frames with repetitions of their own where an item stands in them several times."""
        found = tuple(_Frame(one.context, one.bases) if one in around else one for one in frames)
        self._within += [(one, new, place) for one, new in zip(frames, found, strict=True) if one is not new]
        return found

    def _placed(
        self,
        item: ItemPlan,
        question: Question | None,
        place: str,
        frames: _Frames,
        own: tuple[_Frame, Write] | None,
        told: Sequence[tuple[_Frame, Write]],
    ) -> tuple[ItemPlan, _Frames]:
        """Return the plan of an item, each value with its repetition, and the frames that the items below it see."""
        now = {one.context.number: one for one in frames}
        first = now[own[1].context] if own is not None else None
        inner = frames
        if first is not None and own is not None and item.binds:
            bound = _Frame(first.context, (*first.bases, own[1].target.id))
            self._within.append((first, bound, place))
            inner = tuple(bound if one is first else one for one in frames)
        here = {one.context.number: one for one in inner}
        placed_own, placed_told = None, list[Write]()
        for number, frame in now.items():
            mine = [own[1]] if own is not None and first is frame else []
            others = [write for _, write in told if write.context == number]
            together = mine if here[number] is not frame else [*mine, *others]
            alone = bool(mine) and _spreads(question, mine[0], apart=item.apart)
            placed = frame.placed(together, place, alone=alone)
            placed_own = placed.pop(0) if mine else placed_own
            placed_told += placed if here[number] is frame else here[number].placed(others, place)
        made = ItemPlan(item.opens, placed_own, tuple(placed_told), item.names, item.binds, item.apart)
        return made, inner


def _binds(question: Question | None, own: Write, below: bool, told: Sequence[Write]) -> bool:  # read once, by name
    """Tell whether what is within an item fills the element that it is."""
    if own.link or _plain(own.target) or question is None:
        return False
    return question.type == "group" or below or any(_under(one, own) for one in told)


def _apart(question: Question | None, *, binds: bool, splits: bool) -> bool:
    if question is None or not question.repeats:
        return False
    return not binds if question.type == "group" else binds or splits


def _under(one: Write, own: Write) -> bool:
    return one.context == own.context and one.target.id.startswith(f"{own.target.id}.")


def _spreads(question: Question | None, own: Write, *, apart: bool) -> bool:
    """Tell whether several answers fill one repetition each."""
    several = question is not None and question.repeats and not apart and question.type != "group"
    return several and not own.target.leaf.facts.many


def _plain(target: Target) -> bool:
    return all(r4.is_primitive(kind) for kind in target.leaf.types)


def _unmeant(definition: str, place: str, frames: _Frames) -> RuleViolated:
    known = ", ".join(dict.fromkeys(one.context.way.canonical for one in frames))
    around = f"the items around it make {known}" if known else "no item around it has definitionExtract"
    return _wrong(f"{definition[:200]!r} is not about a resource that is made here: {around}.", place)


def _wrong(text: str, place: str) -> RuleViolated:
    return RuleViolated(text, key="form-definition", code="invalid", expression=place)
