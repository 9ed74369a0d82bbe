"""Pairs: a reference and a state that whole work lists are asked by, as one key.

Two keys that have many rows each and few in common cost a probe for each row of the one; a row for both costs a write.
It is paid for what every receiver asks all day: what there is for me in this state.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from fhir_server.search.query import And, Node, Or, RefersTo, TokenIs
from fhir_server.search.values import Entry, ReferenceEntry, TokenEntry

KIND = "p"


class Pair(NamedTuple):
    """The parameters of a pair."""

    reference: str
    state: str

    @property
    def name(self) -> str:
        """The name under which it is indexed."""
        return f"{self.reference}&{self.state}"


PAIRS: Mapping[str, tuple[Pair, ...]] = {
    "ServiceRequest": (Pair("performer", "status"),),
    "Task": (Pair("owner", "status"),),
}
"""By resource type."""


class PairIs(NamedTuple):
    """Two parts of a query that a pair answers: the reference, and one state or any of several."""

    pair: Pair
    parts: tuple[Node, Node]
    values: tuple[str, ...]


def value(target: str, code: str) -> str:
    """Return the value of a pair."""
    return f"{target}\x1f{code}"


def values(pair: Pair, entries: Sequence[Entry]) -> Iterator[str]:
    """Yield the values of a pair that a resource has, whatever the system of the state."""
    targets = [entry.target for entry in entries if type(entry) is ReferenceEntry and entry.param == pair.reference]
    codes = [entry.code for entry in entries if type(entry) is TokenEntry and entry.param == pair.state]
    return (value(target, code) for target in targets if target for code in codes)


def asked(resource_type: str, parts: Sequence[Node]) -> PairIs | None:
    """Return the pair that answers two of the parts that must all hold, None when none does."""
    for pair in PAIRS.get(resource_type, ()):
        references = [part for part in parts if isinstance(part, RefersTo) and part.param == pair.reference]
        for reference in references:
            if reference.version:
                continue
            for part in parts:
                codes = _codes(part, pair.state)
                if codes:
                    return PairIs(pair, (reference, part), tuple(value(reference.target, code) for code in codes))
    return None


def _codes(node: Node, state: str) -> tuple[str, ...]:
    """Return the codes of which any is asked, of whatever system; () when the node asks something else."""
    match node:
        case TokenIs(param, None, code) if param == state and code is not None:
            return (code,)
        case And((only,)):
            return _codes(only, state)
        case Or(parts):
            found = [_codes(part, state) for part in parts]
            return tuple(dict.fromkeys(code for codes in found for code in codes)) if all(found) else ()
        case _:
            return ()
