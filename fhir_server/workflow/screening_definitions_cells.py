"""A resource while it is filled: its elements, and what its profile fixes once they are known."""

import copy
from typing import Any, Final

from fhir_server.artifacts import r4
from fhir_server.model.errors import RuleViolated, TooCostly
from fhir_server.model.resource import Resource
from fhir_server.workflow.screening_definitions_path import Step, Way, with_its_definition
from fhir_server.workflow.screening_definitions_profile import Shape
from fhir_server.workflow.screening_definitions_values import Fitted

_DEEPEST: Final = 12
_MOST_FILLED: Final = 5_000
"""Objects of one resource that a profile may have something to say of."""


class Cell:
    """An object of a resource. `slice` is the slice of its list that it was made for, "" for none."""

    __slots__ = ("members", "slice")

    def __init__(self, members: Resource | None = None, slice_: str = "") -> None:
        self.members: dict[str, Any] = dict(members or {})
        self.slice = slice_

    def child(self, step: Step, *, new: bool = False) -> "Cell":
        """Return the object at an element that holds others; a `new` one where the element repeats."""
        name = step.member(step.types[0]) if step.types else step.facts.name
        if not step.facts.many:
            found: Cell = self.members.setdefault(name, Cell())
            return found
        listed: list[Cell] = self.members.setdefault(name, [])
        known = None if new else next((one for one in listed if one.slice == step.slice), None)
        if known is None:
            known = Cell(slice_=step.slice)
            listed.append(known)
        return known

    def put(self, step: Step, fitted: Fitted, place: str) -> "Cell | None":
        """Write a value; return its cell where it is an object. Raises RuleViolated (at `place`) for a second value of one."""
        name = step.member(fitted.type)
        value = _held(fitted.json)
        if isinstance(value, Cell):
            value.slice = step.slice
        others = [one for one in (step.member(kind) for kind in step.facts.types) if one != name]
        if step.facts.many:
            listed = self.members.setdefault(name, [])
            same = [one for one in listed if not step.slice or (isinstance(one, Cell) and one.slice == step.slice)]
            if step.shape.high is not None and len(same) >= step.shape.high:
                raise _second(step, place)
            listed.append(value)
        elif (
            isinstance(value, Cell)
            and isinstance(self.members.get(name), Cell)
            and not any(member in self.members[name].members for member in value.members)
        ):
            known: Cell = self.members[name]
            known.members.update(value.members)
            return known
        elif name in self.members or any(one in self.members for one in others):
            raise _second(step, place)
        else:
            self.members[name] = value
        return value if isinstance(value, Cell) else None

    def json(self) -> Resource:
        """Return what was written as JSON; what holds nothing is left out."""
        found: Resource = {}
        for name, value in self.members.items():
            if isinstance(value, list):
                listed = (one.json() if isinstance(one, Cell) else one for one in value)
                plain: Any = [one for one in listed if one != {}]
            else:
                plain = value.json() if isinstance(value, Cell) else value
            if plain not in ({}, []):
                found[name] = plain
        return found


def complete(cell: Cell, way: Way, place: str) -> None:
    """Fill in what a profile fixes of the elements that are there, or must be there (SDC: fixed values and patterns)."""
    _Filling(way, place).fill(cell, way.type, way.root, 0)


class _Filling:
    def __init__(self, way: Way, place: str) -> None:
        self._way = way
        self._place = place
        self._left = _MOST_FILLED

    def fill(self, cell: Cell, over: str, shape: Shape, depth: int) -> None:
        """Fill an object of a type or backbone by what a profile says of it."""
        self._left -= 1
        if self._left < 0:
            text = f"{self._way.canonical} fixes too much within itself to fill a resource by it. Simplify it."
            raise TooCostly(text, key="form-expression-costly", expression=self._place)
        for name, one in shape.below.items() if depth < _DEEPEST else ():
            facts = r4.child(over, name)
            if facts is None or one.high == 0:
                continue
            settled = one.settled()
            names = [member for member, _ in facts.json_names if member in cell.members]
            if settled is not None and not names:
                if facts.choice and not one.low:
                    continue
                member = next(
                    (found for found, kind in facts.json_names if not facts.choice or kind == _kind(settled[0])), ""
                )
                cell.members[member or facts.name] = [_held(settled[1])] if facts.many else _held(settled[1])
                continue
            content = facts.content or (facts.types[0] if len(facts.types) == 1 else "")
            if (
                not names
                and one.low
                and not facts.choice
                and not one.slices
                and one.below
                and not r4.is_primitive(content)
            ):
                self._made(cell, facts.name, content, one, depth, many=facts.many)
            for member in names:
                self._held(cell, member, content or _type_in(facts.json_names, member), one, depth)
            if facts.many and one.slices:
                self._slices(cell, facts.name, content, one, depth)

    def _held(self, cell: Cell, member: str, content: str, shape: Shape, depth: int) -> None:
        """Fill each occurrence of an element that is there."""
        listed = cell.members[member]
        for index, value in enumerate(listed if isinstance(listed, list) else [listed]):
            label = value.slice if isinstance(value, Cell) else ""
            within = shape.slices.get(label) or shape.slices.get(member)
            for one in (shape, with_its_definition(within, self._way.definitions, self._place) if within else None):
                if one is None:
                    continue
                settled = one.settled()
                if settled is not None:
                    self._merge(cell, member, index, value, settled)
                if isinstance(value, Cell):
                    self.fill(value, content, one, depth + 1)

    def _slices(self, cell: Cell, name: str, content: str, shape: Shape, depth: int) -> None:
        """Add the slices that must be there and say what they are."""
        for label, one in shape.slices.items():
            present = cell.members.get(name, [])
            if (
                one.low
                and one.high != 0
                and not any(isinstance(each, Cell) and each.slice == label for each in present)
            ):
                settled = one.settled()
                made = Cell(slice_=label)
                if settled is not None and isinstance(settled[1], dict):
                    made = _held(settled[1])
                    made.slice = label
                self.fill(made, content, with_its_definition(one, self._way.definitions, self._place), depth + 1)
                if made.json():
                    cell.members[name] = [*present, made]

    def _made(self, cell: Cell, name: str, content: str, shape: Shape, depth: int, *, many: bool) -> None:
        made = Cell()
        self.fill(made, content, shape, depth + 1)
        if made.json():
            cell.members[name] = [made] if many else made

    def _merge(self, cell: Cell, member: str, index: int, value: Any, settled: tuple[str, Any, bool]) -> None:
        """Lay a fixed value or pattern over a value; raises RuleViolated where they contradict each other."""
        now = value.json() if isinstance(value, Cell) else value
        merged = _merged(now, settled[1])
        if merged is None or (settled[2] and merged != settled[1]):
            raise RuleViolated(
                f"{self._way.canonical} fixes {member} to {str(settled[1])[:80]!r}; what is extracted is {str(now)[:80]!r}.",
                key="extract-type",
                code="value",
                expression=self._place,
            )
        if merged == now:
            return
        if isinstance(value, Cell):
            value.members = _held(merged).members
        elif isinstance(cell.members[member], list):
            cell.members[member][index] = merged
        else:
            cell.members[member] = merged


def _merged(now: Any, pattern: Any) -> Any:
    """Return a value with what a pattern asks, None when the two contradict each other."""
    if isinstance(now, dict) and isinstance(pattern, dict):
        found = dict(now)
        for name, asked in pattern.items():
            part = _merged(found[name], asked) if name in found else copy.deepcopy(asked)
            if part is None:
                return None
            found[name] = part
        return found
    if isinstance(now, list) and isinstance(pattern, list):
        return [
            *now,
            *(copy.deepcopy(asked) for asked in pattern if not any(_merged(one, asked) == one for one in now)),
        ]
    return now if now == pattern else None


def _held(value: Any) -> Any:
    """Return JSON as a cell, with the objects within as cells too."""
    if not isinstance(value, dict):
        return copy.deepcopy(value)
    return Cell({
        name: [_held(one) for one in part] if isinstance(part, list) else _held(part) for name, part in value.items()
    })  # fmt: skip


def _kind(suffix: str) -> str:
    lower = suffix[:1].lower() + suffix[1:]
    return lower if r4.is_primitive(lower) else suffix


def _type_in(forms: tuple[tuple[str, str], ...], member: str) -> str:
    return next(kind for name, kind in forms if name == member)


def _second(step: Step, place: str) -> RuleViolated:
    return RuleViolated(
        f"{step.key} takes one value, and has one. Give one answer, or repeat the group that the element belongs to.",
        key="extract-type",
        code="structure",
        expression=place,
    )
