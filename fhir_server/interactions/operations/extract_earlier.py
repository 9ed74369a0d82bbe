"""What an extraction looks up: whether the response that was sent is stored already, and what was made of it before."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Self
from urllib.parse import quote

from fhir_server.model.codec import decode_stored
from fhir_server.model.resource import Resource, type_and_id
from fhir_server.search.escaping import escape
from fhir_server.search.query import And, Node, Or, Query, RefersTo, SortKey, TokenIs
from fhir_server.store.port import Snapshot
from fhir_server.workflow.screening_bundle import update_entry
from fhir_server.workflow.screening_extraction import URI_SYSTEM, Extracted, Source, digest, lasting_urn
from fhir_server.workflow.screening_kept import urn_of
from fhir_server.workflow.screening_risk import RE_EVALUATION, TASK_KIND, fulfilled

_AT_ONCE = 50
_SERVER = ("versionId", "lastUpdated")


class Sent(NamedTuple):
    """A response to extract from: its lasting identity, how it is referred to, and the entries that store it."""

    response: Resource
    basis: str
    reference: str
    entries: tuple[Resource, ...] = ()

    @classmethod
    def stored(cls, response: Resource) -> Self:
        """Return a response that is stored."""
        return cls(response, _basis(response), type_and_id(response))


def sent_response(snapshot: Snapshot, response: Resource) -> Sent:
    """Return a response that came with the request: known by its id or identifier, or else to be stored along."""
    named = _named(response)
    current = _stored(snapshot, named, str(response.get("id", "")))
    if current is not None:
        after = {**named, "id": current["id"], "meta": {**_bare(response), **current["meta"]}}
        if "identifier" not in response and "identifier" not in current:
            after.pop("identifier")
        sent = Sent.stored(after)
        same = {**after, "meta": _bare(after)} == {**current, "meta": _bare(current)}
        return sent if same else sent._replace(entries=(update_entry(after, current),))
    made = {name: value for name, value in named.items() if name != "id"}
    basis = _basis(made)
    urn = lasting_urn(f"{basis}/response")
    identifier = made["identifier"]
    token = "|".join(escape(str(identifier.get(name, ""))) for name in ("system", "value"))
    condition = f"identifier={quote(token)}"
    request = {"method": "POST", "url": "QuestionnaireResponse", "ifNoneExist": condition}
    return Sent(made, basis, urn, ({"fullUrl": urn, "resource": made, "request": request},))


def earlier(snapshot: Snapshot, sent: Sent, found: Sequence[Extracted]) -> dict[str, Resource]:
    """Return by URN what was made of a response before and is not deleted."""
    known: dict[str, Resource] = {}
    provenance = provenance_of(snapshot, sent)
    for target in provenance["target"] if provenance is not None else ():
        kind, _, resource_id = str(target.get("reference", "")).partition("/")
        current = snapshot.current(kind, resource_id) if resource_id else None
        if current is not None and current.body is not None:
            _add(known, decode_stored(current.body))
    missing: dict[str, list[str]] = {}
    for one in found:
        if one.urn not in known and "id" not in one.resource:
            missing.setdefault(one.resource["resourceType"], []).append(one.urn)
    for kind, urns in missing.items():
        for start in range(0, len(urns), _AT_ONCE):
            nodes = (TokenIs("identifier", URI_SYSTEM, urn) for urn in urns[start : start + _AT_ONCE])
            for resource in _rows(snapshot, kind, Or(tuple(nodes)), 2 * _AT_ONCE):
                _add(known, resource)
    return known


def fulfilled_tasks(snapshot: Snapshot, source: Source, found: Sequence[Extracted], now: str) -> Iterator[Resource]:
    """Yield the entries that complete the open Tasks to ask again which these answers fulfil."""
    person = source.response.get("subject", {}).get("reference")
    if not isinstance(person, str) or not any(one.resource["resourceType"] == "RiskAssessment" for one in found):
        return
    own = {one.urn for one in found}
    where = And((
        RefersTo("patient", person),
        TokenIs("code", TASK_KIND, RE_EVALUATION),
        Or((TokenIs("status", None, "requested"), TokenIs("status", None, "in-progress"))),
    ))  # fmt: skip
    for task in _rows(snapshot, "Task", where, _AT_ONCE):
        if urn_of(task) not in own and (after := fulfilled(task, source, now)) is not None:
            yield update_entry(after, task)


def provenance_of(snapshot: Snapshot, sent: Sent) -> Resource | None:
    """Return the Provenance of what was made of a stored response before, None when there is none."""
    if sent.reference.startswith("urn:"):
        return None
    rows = _rows(snapshot, "Provenance", RefersTo("entity", sent.reference), _AT_ONCE)
    return next(
        (one for one in rows if one["agent"][0].get("type", {}).get("coding", [{}])[0].get("code") == "assembler"), None
    )


def _stored(snapshot: Snapshot, response: Resource, resource_id: str) -> Resource | None:
    if resource_id:
        current = snapshot.current("QuestionnaireResponse", resource_id)
        if current is not None and current.body is not None:
            found: Resource = decode_stored(current.body)
            return found
    identifier = response.get("identifier", {})
    if "value" not in identifier:
        return None
    where = And((TokenIs("identifier", identifier.get("system"), identifier["value"]),))
    return next(iter(_rows(snapshot, "QuestionnaireResponse", where, 1)), None)


def _named(response: Resource) -> Resource:
    """Return a response that has an identifier: its own, or one made of its id or of what was asked of whom, when."""
    if "value" in response.get("identifier", {}):
        return response
    what = [response.get(name) for name in ("questionnaire", "subject", "authored", "author", "source", "encounter")]
    urn = lasting_urn(f"response/{response['id'] if 'id' in response else digest(what)}")
    return {**response, "identifier": {"system": URI_SYSTEM, "value": urn}}


def _basis(response: Resource) -> str:
    identifier = response.get("identifier", {})
    if "value" in identifier:
        return f"{identifier.get('system', '')}|{identifier['value']}"
    return type_and_id(response)


def _add(known: dict[str, Resource], resource: Resource) -> None:
    urn = urn_of(resource)
    if urn:
        known.setdefault(urn, resource)


def _rows(snapshot: Snapshot, kind: str, where: Node, limit: int) -> Iterable[Resource]:
    rows = snapshot.search(Query(kind, where, (SortKey("_lastUpdated"),), limit))
    return [decode_stored(row.version.body) for row in rows if row.version.body is not None]


def _bare(resource: Resource) -> Resource:
    return {name: value for name, value in resource.get("meta", {}).items() if name not in _SERVER}
