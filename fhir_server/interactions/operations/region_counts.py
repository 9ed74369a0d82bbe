"""Counting for `$region-figures`: what became of the referrals of a region, without a word about any person.

Numbers are told in fives, rounded down, and none below five, not even nought: so neither the sum of the others nor the
figures of an area or a period that holds this one give a small number away.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from statistics import median
from typing import Final, NamedTuple

from fhir_server.model.clock import render_instant
from fhir_server.model.codec import decode_stored
from fhir_server.model.resource import Resource, profiles
from fhir_server.model.temporal import parse_temporal
from fhir_server.search.query import And, DateCompare, Prefix, Query, SortKey
from fhir_server.store.port import HistoryScope, Snapshot
from fhir_server.workflow.case import is_aside
from fhir_server.workflow.codes import TASK_PARAMETER, TASK_PROFILE
from fhir_server.workflow.least_data import MUNICIPALITY

STEP: Final = 5
"""Numbers are told in multiples of it; what is less is not told."""
_NEED: Final = "https://w3id.org/social-referral/CodeSystem/social-need"
_STEP: Final = "https://w3id.org/social-referral/CodeSystem/business-status"
_REASON: Final = "https://w3id.org/social-referral/CodeSystem/status-reason"
_UNREACHED: Final = frozenset({"awaiting-contact", "contact-attempted", "waitlisted", "awaiting-information"})
_WORKED_ON: Final = frozenset({"in-progress", "completed"})
_ACCEPTED: Final = frozenset({"accepted", "in-progress", "on-hold", "completed", "failed"})
_WAITING: Final = frozenset({"requested", "received"})
_ENDED: Final = frozenset({"completed", "failed", "cancelled", "rejected"})
_DAY: Final = 86_400_000_000
_WITHIN: Final = ((2, "within-2-days"), (7, "within-7-days"), (14, "within-14-days"))
_LATER: Final = "after-14-days"
_PAGE: Final = 500
UNMET: Final = "unmet"


class Counted(NamedTuple):
    """All numbers of one region and period."""

    referrals: int
    needs: Mapping[str, int]
    municipalities: Mapping[str, int]
    answers: Mapping[str, int]
    """accepted, rejected, waiting, and cancelled before an answer."""
    contact: Mapping[str, int]
    contact_days: float | None
    """Median of the days from sending to first contact, None for fewer than `STEP`."""
    outcomes: Mapping[str, int]
    reasons: Mapping[str, int]
    feedback: int
    unmet: Mapping[str, int]


def told(number: int) -> int | None:
    """Return a number as it may be told, None when it is too small to tell."""
    return number // STEP * STEP or None


def told_of(group: Mapping[str, int]) -> dict[str, int]:
    """Return the rows of a group that may be told, the greatest first; the others are not named either."""
    shown = {name: number for name, exact in group.items() if name and (number := told(exact)) is not None}
    return dict(sorted(shown.items(), key=lambda one: (-one[1], one[0])))


def rate(group: Mapping[str, int]) -> float | None:
    """Return which part of the answers was yes, made of what is told; None when either number is not."""
    shown = told_of(group)
    if "accepted" not in shown or "rejected" not in shown:
        return None
    return round(shown["accepted"] / (shown["accepted"] + shown["rejected"]), 3)


def count(
    snapshot: Snapshot, since: int, until: int, municipalities: frozenset[str] | None, areas: frozenset[str] | None
) -> Counted:
    """Count the governed referrals sent in a half-open range of microseconds, of some municipalities (None: all).

    `areas` are the ids of the areas whose unmet needs count. The range of unmet needs is whole months.
    """
    needs: Counter[str] = Counter()
    towns: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    within: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    days: list[float] = []
    seen: set[str] = set()
    feedback = 0
    for task in _tasks(snapshot, since, until):
        town = _municipality(task)
        if municipalities is not None and town.casefold() not in municipalities:
            continue
        referral = str((task.get("focus") or {}).get("reference", ""))
        if referral not in seen:
            seen.add(referral)
            towns[town] += 1
            needs.update(_needs(snapshot, referral))
        answers[_answer(task)] += 1
        feedback += bool(task.get("output"))
        if task["status"] in _ENDED:
            outcomes[task["status"]] += 1
        reasons.update(_codes(task.get("statusReason"), _REASON))
        if (waited := _waited(snapshot, task)) is not None:
            days.append(waited)
            within[next((name for bound, name in _WITHIN if waited <= bound), _LATER)] += 1
    middle = round(median(days), 1) if len(days) >= STEP else None
    unmet = _unmet(snapshot, since, until, areas)
    return Counted(len(seen), needs, towns, answers, within, middle, outcomes, reasons, feedback, unmet)


def _tasks(snapshot: Snapshot, since: int, until: int) -> Iterator[Resource]:
    """Yield the Tasks by which referrals went to organisations; parts, follow-ups and signals are none of them."""
    authored = And(
        (
            DateCompare("authored-on", Prefix.GE, since, since + 1),
            DateCompare("authored-on", Prefix.LT, until, until + 1),
        )
    )
    after: tuple[str | int | float | None, ...] = ()
    while rows := snapshot.search(Query("Task", authored, (SortKey("authored-on"),), _PAGE, after)):
        for row in rows:
            task = decode_stored(row.version.body or b"null")
            if TASK_PROFILE in profiles(task) and not task.get("partOf") and not is_aside(task):
                yield task
        after = rows[-1].position


def _municipality(task: Resource) -> str:
    for one in task.get("input", ()):
        if MUNICIPALITY in _codes(one.get("type"), TASK_PARAMETER):
            return str(one.get("valueString", ""))
    return ""


def _needs(snapshot: Snapshot, referral: str) -> Iterable[str]:
    version = snapshot.current(*referral.split("/")) if referral.count("/") == 1 else None
    if version is None or version.body is None:
        return ()
    categories = decode_stored(version.body).get("category", ())
    return list(dict.fromkeys(code for one in categories for code in _codes(one, _NEED)))


def _answer(task: Resource) -> str:
    status = str(task["status"])
    if status in _ACCEPTED or (status == "cancelled" and "executionPeriod" in task):
        return "accepted"
    return "rejected" if status == "rejected" else "waiting" if status in _WAITING else "cancelled"


def _waited(snapshot: Snapshot, task: Resource) -> float | None:
    """Return the days until the person was reached: when the work began, else the first version that shows it."""
    sent = parse_temporal(task["authoredOn"]).lo
    began = (task.get("executionPeriod") or {}).get("start", "")
    if "T" in began:
        return max(0.0, (parse_temporal(began).lo - sent) / _DAY)
    if not _reached(task):
        return None
    first: int | None = None
    for version in snapshot.history(HistoryScope("Task", task["id"])):
        if version.body is not None and _reached(decode_stored(version.body)):
            first = version.last_updated
    return None if first is None else max(0.0, (first * 1000 - sent) / _DAY)


def _reached(task: Resource) -> bool:
    step = _codes(task.get("businessStatus"), _STEP)
    return task["status"] in _WORKED_ON or (bool(step) and task["status"] == "accepted" and step[0] not in _UNREACHED)


def _codes(concept: Resource | None, system: str) -> list[str]:
    return [one["code"] for one in (concept or {}).get("coding", ()) if one.get("system") == system and "code" in one]


def _unmet(snapshot: Snapshot, since: int, until: int, areas: frozenset[str] | None) -> Counter[str]:
    """Return how often nothing fitted, by need: the months that the range touches."""
    found: Counter[str] = Counter()
    first, last = _month(since), _month(until - 1)
    after = f"{first} "
    while page := snapshot.records(UNMET, after, _PAGE):
        for record in page:
            month, area, need = record.key.split(" ", 2)
            if month > last:
                return found
            if areas is None or area in areas:
                found[need] += int(record.body)
        after = page[-1].key
    return found


def _month(micros: int) -> str:
    return render_instant(micros // 1000)[:7]
