"""What a deletion must not leave behind: an open referral without its person, an open Task without its referral.

Judged at the end of the unit of work, and of what the caller sees: a refusal tells nothing of what is hidden from it. Erasure
passes by, since it takes the referrals along (erasure.py).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import Conflict
from fhir_server.model.issue import Issue
from fhir_server.search.query import And, Or, Query, RefersTo, TokenIs
from fhir_server.workflow.codes import REQUEST_OPEN, TASK_ENDED, TASK_STATUSES

if TYPE_CHECKING:
    from fhir_server.interactions.unit import Unit  # which calls what is here

_MOST: Final = 1_000
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
    issues = [issue for key in deleted for issue in _issues(unit, key)]
    if issues:
        raise Conflict(issues=issues)


def _issues(unit: "Unit", key: str) -> Iterator[Issue]:
    kind, _, identity = key.partition("/")
    standing = unit.view.current(kind, identity)
    if standing is not None and not standing.deleted:
        return  # it was written again in the same unit
    for link in _RELYING.get(kind, ()):
        found = _open(unit, link, key)
        if found:
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            text = (
                f"{key} is what an open referral is about: {', '.join(found[:_NAMED])}{more}. {link.advice}; then delete "
                f"{key}. To erase a person as the law asks, the operator runs `fhir-server erase`."
            )
            yield Issue("referral-open", "conflict", text, kind)


def _open(unit: "Unit", link: _Link, key: str) -> list[str]:
    refers = Or(tuple(RefersTo(param, key) for param in link.params))
    states = Or(tuple(TokenIs("status", None, status) for status in link.open))
    rows = unit.view.search(Query(link.type, And((refers, states)), limit=_MOST))
    bodies = (decode_stored(row.version.body) for row in rows if row.version.body is not None)
    return [f"{link.type}/{one['id']}" for one in bodies if unit.engine.rulebook.governs(one)]
