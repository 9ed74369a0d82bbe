"""Whether somebody is referred twice: the same person, for the same need, to the same recipient, while the first is open."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from fhir_server.model.resource import Resource
from fhir_server.workflow.case import is_aside
from fhir_server.workflow.codes import REQUEST_OPEN, TASK_ENDED
from fhir_server.workflow.links import Links, codings, items
from fhir_server.workflow.permission import service_of

_VAGUE: Final = "other-need"
"""The need that any two referrals share; their reasons then decide."""


class Repetition(NamedTuple):
    """An open referral that says the same, and the Task of it that waits or runs; None for one that waits for consent."""

    request: Resource
    task: Resource | None


def repeated(request: Resource, others: Iterable[Resource], links: Links) -> Repetition | None:
    """Return the first open referral of the same person that is the same, None when there is none."""
    mine = set(_recipients(request, links))
    for other in others:
        if other["id"] == request["id"] or not _same_need(request, other):
            continue
        if other.get("status") == "draft" and request.get("status") == "draft":
            return Repetition(other, None)
        if other.get("status") not in REQUEST_OPEN:
            continue
        for task in _open(other, links):
            if mine & set(_addressee(task, links)):
                return Repetition(other, task)
    return None


def _same_need(one: Resource, other: Resource) -> bool:
    shared = set(codings(one.get("code"), *items(one.get("category")))) & set(
        codings(other.get("code"), *items(other.get("category")))
    )
    precise = {need for need in shared if need[1] != _VAGUE}
    return bool(precise) or (bool(shared) and _reason(one) == _reason(other))


def _reason(request: Resource) -> str:
    return " ".join(str(one.get("text", "")) for one in items(request.get("reasonCode"))).casefold().strip()


def _open(request: Resource, links: Links) -> Iterator[Resource]:
    for task in links.tasks_of(f"ServiceRequest/{request['id']}"):
        if task.get("status") not in TASK_ENDED and not is_aside(task):
            yield task


def _recipients(request: Resource, links: Links) -> Iterator[tuple[str, str]]:
    for task in _open(request, links):
        yield from _addressee(task, links)


def _addressee(task: Resource, links: Links) -> Iterator[tuple[str, str]]:
    """Yield the organisations that answer for a Task, each with the service that was chosen; the pool is one of its own."""
    service = links.key(service_of(task))
    keys = links.organizations(task.get("owner")) or {links.key(task.get("owner"))}
    yield from ((key, service) for key in keys)
