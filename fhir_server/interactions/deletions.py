"""What a deletion must not leave behind: an open referral without its person, an open Task without its referral.

Judged at the end of the unit of work, and of what the caller sees: a refusal tells nothing of what is hidden from it. Erasure
passes by, since it takes the referrals along (erasure.py).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import Conflict, TooCostly
from fhir_server.model.issue import Issue
from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import Resource, walk
from fhir_server.search.query import And, Or, Query, RefersTo, TokenIs
from fhir_server.workflow.codes import REQUEST_OPEN, TASK_ENDED, TASK_STATUSES

if TYPE_CHECKING:
    from fhir_server.interactions.unit import Unit  # which calls what is here

_MOST: Final = 1_000
_AT_ONCE: Final = 50
"""Deleted resources in one question."""
_NAMED: Final = 5
"""How many of what stands in the way a refusal names."""


class _Link(NamedTuple):
    """What relies on a resource that is deleted: by which parameters it refers to it, and while it has which states."""

    type: str
    params: tuple[str, ...]
    open: tuple[str, ...]
    advice: str


_REQUESTS: Final = _Link(
    "ServiceRequest", ("subject",), ("draft", *sorted(REQUEST_OPEN)), "Set it to revoked, or wait until it is completed"
)
_TASKS: Final = _Link(
    "Task",
    ("focus", "based-on"),
    tuple(status for status in TASK_STATUSES if status not in TASK_ENDED),
    "Cancel it with a statusReason, or wait until it has ended",
)
_RELYING: Final = {
    "Patient": (_REQUESTS, _TASKS._replace(params=("patient",))),
    "ServiceRequest": (_TASKS,),
}


def require_nothing_open(unit: "Unit", deleted: Sequence[str]) -> None:
    """Raise Conflict when an open referral, or an open Task of one, still refers to what was deleted (`Type/id` each)."""
    gone = [key for key in dict.fromkeys(deleted) if _is_gone(unit, key)]
    issues = [
        issue
        for kind, links in _RELYING.items()
        for some in _batched([key for key in gone if key.startswith(f"{kind}/")])
        for link in links
        for issue in _issues(unit, link, some)
    ]
    if issues:
        raise Conflict(issues=issues)


def _batched(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield so many at a time that one question can name them all."""
    yield from (keys[start : start + _AT_ONCE] for start in range(0, len(keys), _AT_ONCE))


def _is_gone(unit: "Unit", key: str) -> bool:
    """Tell whether nothing stands there: it may have been written again in the same unit."""
    kind, _, identity = key.partition("/")
    if kind not in _RELYING:
        return False
    standing = unit.view.current(kind, identity)
    return standing is None or standing.deleted


def _issues(unit: "Unit", link: _Link, keys: Sequence[str]) -> Iterator[Issue]:
    found = [(f"{link.type}/{one['id']}", _targets(unit, one)) for one in _open(unit, link, keys)]
    for key in keys:
        about = [place for place, targets in found if key in targets]
        if about:
            more = f" and {len(about) - _NAMED} more" if len(about) > _NAMED else ""
            text = (
                f"{key} is what an open referral is about: {', '.join(about[:_NAMED])}{more}. {link.advice}; then delete "
                f"{key}. To erase a person as the law asks, the operator runs `fhir-server erase`."
            )
            yield Issue("referral-open", "conflict", text, key.partition("/")[0])


def _open(unit: "Unit", link: _Link, keys: Sequence[str]) -> list[Resource]:
    """Return what is open and refers to one of the keys: one question for all of them."""
    refers = Or(tuple(RefersTo(param, key) for key in keys for param in link.params))
    states = Or(tuple(TokenIs("status", None, status) for status in link.open))
    rows = unit.view.search(Query(link.type, And((refers, states)), limit=_MOST + 1))
    if len(rows) > _MOST:
        raise TooCostly(
            f"More than {_MOST} open {link.type} resources refer to what is deleted. Delete fewer at once, or end some of them first."
        )
    bodies = (decode_stored(row.version.body) for row in rows if row.version.body is not None)
    return [one for one in bodies if unit.engine.rulebook.governs(one)]


def _targets(unit: "Unit", resource: Resource) -> frozenset[str]:
    texts = (element.get("reference") for _, element in walk(resource, resource["resourceType"]))
    return frozenset(parse_reference(text, unit.engine.own_base).key for text in texts if isinstance(text, str))
