"""Searches that are judged of one resource alone: filters of the feed, criteria of subscriptions, triggers of topics.

They are judged when that resource changes. So a search is refused that could come true, or stop being true, without such a change: one
that looks at other resources (chains, `_has`, `_list`), at the hierarchy of a resource or of codes, or at the present.

Scopes are read once and kept, but asked of the store each time: they may look at other resources (`lasting`).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NoReturn
from urllib.parse import parse_qsl

from fhir_server.search.parameters import Registry
from fhir_server.search.parse import parse_search
from fhir_server.search.query import And, Chain, Has, Node, Not, Or
from fhir_server.search.request import Lineage, Link, Relation, SearchRequest

_CONTROLS: Final = frozenset(
    {"_count", "_sort", "_include", "_revinclude", "_summary", "_elements", "_total", "_contained", "_containedType", "_cursor"}
)  # fmt: skip
_EARLY: Final = 0
_LATE: Final = 10**18
"""A present, in microseconds since the epoch, so late that no date of R4 is as far from it as from `_EARLY`."""
_REMEMBERED_LENGTH: Final = 1000
"""Characters in the values of a search that is worth remembering."""


class NotAlone(ValueError):
    """A search asks what one resource cannot answer; the text says what, and what to ask instead."""


def shapes_answer(name: str) -> bool:
    """Tell whether a parameter shapes an answer and says nothing of a resource."""
    return name.startswith("_") and name.partition(":")[0] in _CONTROLS


def parameters_of(text: str) -> tuple[tuple[str, str], ...]:
    """Read the query of a URL, such as criteria are."""
    return tuple(parse_qsl(text, keep_blank_values=True))


def alone(registry: Registry, resource_type: str, parameters: Sequence[tuple[str, str]], own_base: str = "") -> Node:
    """Read a search that can be judged of one resource alone.

    Raises NotAlone for one that cannot, FhirError for what cannot be understood.
    """
    sent = tuple(parameters)
    if sum(len(value) for _, value in sent) < _REMEMBERED_LENGTH:
        return _remembered(registry, resource_type, sent, own_base)
    return _alone(registry, resource_type, sent, own_base)


def lasting(registry: Registry, resource_type: str, parameters: Sequence[tuple[str, str]]) -> Node:
    """Read a search that means the same whenever it is asked: chains, `_has` and `_list` are taken, all else as by `alone`.

    Raises NotAlone for one that does not, FhirError for what cannot be understood.
    """
    return _read(registry, resource_type, tuple(parameters), "")


def _alone(registry: Registry, resource_type: str, parameters: tuple[tuple[str, str], ...], own_base: str) -> Node:
    where = _read(registry, resource_type, parameters, own_base)
    if _looks_elsewhere(where):
        raise NotAlone(
            "chained parameters, _has and _list look at other resources; name what the resource itself says, such as a reference"
        )
    return where


def _read(registry: Registry, resource_type: str, parameters: tuple[tuple[str, str], ...], own_base: str) -> Node:
    def at(now_us: int) -> SearchRequest:
        return parse_search(
            registry, resource_type, parameters, strict=True, own_base=own_base,
            expand=_no_codes, follow=_no_hierarchy, now_us=now_us,
        )  # fmt: skip

    asked = at(_EARLY)
    controls = [name for name, _ in asked.used if shapes_answer(name)]
    if controls:
        raise NotAlone(f"{controls[0]} shapes an answer and says nothing of a resource")
    if at(_LATE).where != asked.where:
        raise NotAlone(
            "overdue, and ap on a date, ask of the present, and come true without a change; name the dates, or search for it"
        )
    return asked.where


_remembered = lru_cache(maxsize=1024)(_alone)
"""A client of the feed asks the same again and again."""


def _looks_elsewhere(node: Node) -> bool:
    match node:
        case Chain() | Has():
            return True
        case And(parts) | Or(parts):
            return any(_looks_elsewhere(part) for part in parts)
        case Not(part):
            return _looks_elsewhere(part)
        case _:
            return False


def _no_codes(relation: Relation, text: str) -> NoReturn:
    raise NotAlone(
        f":{relation} {text[:200]!r} asks for codes of a value set or a hierarchy, which change by themselves; list the codes"
    )


def _no_hierarchy(lineage: Lineage, link: Link, starts: tuple[str, ...]) -> NoReturn:
    raise NotAlone(
        f":{lineage} {', '.join(starts)[:200]!r} asks for the hierarchy of {link.type} by {link.param!r}, which changes by "
        f"itself; name each {link.type} that is meant, separated by commas"
    )
