"""What is stored of a person that a response may begin with: earlier observations and earlier answers."""

from collections.abc import Iterator, Sequence
from typing import Final

from fhir_server.model.codec import decode_stored
from fhir_server.model.resource import Resource
from fhir_server.model.temporal import parse_temporal
from fhir_server.search.query import And, Node, Or, Query, RefersTo, SortKey, TokenIs
from fhir_server.store.port import Snapshot
from fhir_server.workflow.screening_answers import WHOLE
from fhir_server.workflow.screening_form import Form
from fhir_server.workflow.screening_populate import earlier_answers

_LOOKED_AT: Final = 100
_DAY_MS: Final = 86_400_000
_DAYS: Final = {"min": 1 / 1440, "h": 1 / 24, "d": 1, "wk": 7, "mo": 31, "a": 366}
"""Days of a UCUM unit of time, at the most."""
_TRUE: Final = frozenset({"final", "amended", "corrected"})


def observed(
    snapshot: Snapshot, subject: Resource, codes: Sequence[Resource], term: Resource, now_ms: int
) -> Resource | None:
    """Return the newest valid Observation of a person with one of the codes within a term, None when there is none."""
    tokens = tuple(TokenIs("code", one.get("system"), one["code"]) for one in codes if "code" in one)
    days = float(term.get("value", 0)) * _DAYS.get(str(term.get("code", term.get("unit", ""))), 0)
    if not tokens:
        return None
    since = (now_ms - days * _DAY_MS) * 1000
    for one in _of_person(snapshot, "Observation", subject, "date", Or(tokens)):
        moment = one.get("effectiveDateTime") or one.get("effectivePeriod", {}).get("start") or one.get("issued")
        if one["status"] in _TRUE and moment and parse_temporal(moment).hi > since:
            return one
    return None


def last_answers(snapshot: Snapshot, form: Form, subject: Resource) -> dict[str, list[Resource]]:
    """Return by linkId the answers of the last completed response of a person to the same questionnaire, of any version."""
    url = form.canonical.partition("|")[0]
    for one in _of_person(snapshot, "QuestionnaireResponse", subject, "authored"):
        if one["status"] in WHOLE and url and str(one.get("questionnaire", "")).partition("|")[0] == url:
            return earlier_answers(form, one)
    return {}


def _of_person(snapshot: Snapshot, kind: str, subject: Resource, newest_by: str, *more: Node) -> Iterator[Resource]:
    """Yield what is stored of a person, newest first; nothing for one who is named by no literal reference."""
    reference = subject.get("reference")
    if not isinstance(reference, str):
        return
    where = And((RefersTo("subject", reference), *more))
    for row in snapshot.search(Query(kind, where, (SortKey(newest_by, descending=True),), _LOOKED_AT)):
        if row.version.body is not None:
            found: Resource = decode_stored(row.version.body)
            yield found
