"""Which repetition of an element the items of a questionnaire fill, decided from the questionnaire alone.

Items beside each other fill the same repetition (given and family: one name) until one takes a value that the repetition has already
(a second telephone number: another telecom). What one item says, its answer and its fixed values, stays together. Where several
repetitions could be meant the questionnaire is refused: a group with a definition says which.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fhir_server.model.errors import RuleViolated
from fhir_server.workflow.screening_definitions_path import Step


@dataclass(slots=True)
class _Slot:
    """One repetition: the ids that have their one value, and what repeats within it."""

    taken: set[str] = field(default_factory=set)
    inner: "Table" = field(default_factory=lambda: Table({}))


@dataclass(slots=True)
class Table:
    """The repetitions that the items of one group fill: id of a repeating element → its repetitions."""

    slots: dict[str, list[_Slot]]

    def assign(self, ways: Sequence[Sequence[Step]], place: str, *, alone: bool) -> Iterator[tuple[str, int]]:
        """Yield each repeating element on the ways of one item, and which repetition it fills.

        `alone` when the item fills several by itself. Raises RuleViolated (at `place`) where it cannot be told.
        """
        by_first: dict[str, list[Sequence[Step]]] = {}
        for way in ways:
            at = next((index for index, step in enumerate(way[:-1]) if step.many), None)
            if at is not None:
                by_first.setdefault(way[at].key, []).append(way[at + 1 :])
        for key, rest in by_first.items():
            known = self.slots.setdefault(key, [])
            taken = {one[-1].key for one in rest if not one[-1].facts.many and not any(step.many for step in one[:-1])}
            free = [index for index, slot in enumerate(known) if not taken & slot.taken]
            if free and (alone or (len(known) > 1 and free != [len(known) - 1])):
                raise _ambiguous(key, place)
            number = free[0] if free else len(known)
            if not free:
                known.append(_Slot())
            known[number].taken |= taken
            yield key, number
            yield from known[number].inner.assign(rest, place, alone=False)

    def require_apart(self, inner: "Table", place: str) -> None:
        """Raise RuleViolated when items of a group within could be meant to fill what items around it fill."""
        for key, slots in inner.slots.items():
            for slot in slots:
                if any(not slot.taken & outer.taken for outer in self.slots.get(key, ())):
                    raise _ambiguous(key, place)


def _ambiguous(key: str, place: str) -> RuleViolated:
    return RuleViolated(
        f"Several repetitions of {key} could be meant. Put the items of each into a group whose definition is {key}.",
        key="form-definition",
        code="business-rule",
        expression=place,
    )
