"""State tables as data: from → to → who → what is required; read by the rules, the documentation and the tests."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

from fhir_server.model.issue import Issue
from fhir_server.workflow.case import Case
from fhir_server.workflow.codes import Actor
from fhir_server.workflow.keys import refusal, sentence, violation

Need: TypeAlias = Literal["statusReason", "output", "active ServiceRequest"]


class Row(NamedTuple):
    """One legal move, who may make it, what must then be present, and where it comes from."""

    source: str
    target: str
    who: tuple[Actor, ...]
    needs: tuple[Need, ...] = ()
    origin: str = ""


@dataclass(frozen=True)
class StateTable:
    """The legal moves of one resource type; the two rule keys name what is broken."""

    resource_type: str
    rows: tuple[Row, ...]
    move_key: str
    actor_key: str

    @cached_property
    def _by_move(self) -> dict[tuple[str, str], Row]:
        return {(row.source, row.target): row for row in self.rows}

    def row(self, source: str, target: str) -> Row | None:
        """Return the row of a move, None when the move is illegal."""
        return self._by_move.get((source, target))

    def next_states(self, source: str, actors: Collection[Actor]) -> tuple[str, ...]:
        """Return the states that such an actor may choose next, in the order of the table."""
        return tuple(row.target for row in self.rows if row.source == source and not set(row.who).isdisjoint(actors))

    def check(self, case: Case) -> tuple[Issue, ...]:
        """Return the issue of an illegal move; raise Forbidden when the move is legal but not for this actor."""
        source, target = (case.before or case.after).get("status", ""), case.after.get("status", "")
        if source == target:
            return ()
        row = self.row(source, target)
        if row is not None and not case.actors.isdisjoint(row.who):
            return ()
        what, expression = f"A {self.resource_type}", f"{self.resource_type}.status"
        who = sentence(tuple(sorted(case.actors)), "and")
        legal = sentence(self.next_states(source, case.actors)) or "nothing else"
        if row is None:
            text = f"{what} does not go from {source} to {target}. From {source}, the {who} may set it to {legal}."
            return (violation(self.move_key, text, expression),)
        allowed = sentence(row.who)
        text = f"{what} goes from {source} to {target} by its {allowed} only, and you act as {who}. You may set it to {legal}."
        raise refusal(self.actor_key, text, expression)


def render_markdown(table: StateTable) -> str:
    """Render the table for the documentation: one line per move."""
    lines = [
        f"| {table.resource_type} from | to | who | needs | source |",
        "|---|---|---|---|---|",
        *(
            f"| {row.source} | {row.target} | {', '.join(row.who)} | {', '.join(row.needs)} | {row.origin} |"
            for row in table.rows
        ),
    ]
    return "\n".join(lines) + "\n"
