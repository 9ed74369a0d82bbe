"""Records of the audit trail as AuditEvents (R4 auditevent.html), rendered when they are read."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from fhir_server.interactions.audit import PLACE, Access, AuditEntry, Entity, read_record
from fhir_server.interactions.routing import Routes
from fhir_server.model.errors import FhirError
from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import Resource
from fhir_server.store.port import AuditRecord

_TYPE: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
    "code": "rest",
    "display": "RESTful Operation",
}
_SIGN_IN: Final = {
    "system": "http://dicom.nema.org/resources/ontology/DCM",
    "code": "110114",
    "display": "User Authentication",
}
_INTERACTION: Final = "http://hl7.org/fhir/restful-interaction"
_ENTITY_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ENTITY_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_REQUEST_ID: Final = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
_PURPOSES: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_SOURCE_TYPE: Final = "http://terminology.hl7.org/CodeSystem/security-source-type"
_BY_METHOD: Final = {"POST": "C", "PUT": "U", "PATCH": "U", "DELETE": "D"}
_RENAMED: Final = {"search-compartment": "search-type"}
_REFUSED, _FAILED = 400, 500

Unseal = Callable[[bytes, str], bytes]


class Event(NamedTuple):
    """One AuditEvent before it is rendered; its id is `number-index`."""

    number: int
    place: int
    entry: AuditEntry
    access: Access

    @property
    def id(self) -> str:
        """The logical id."""
        return f"{self.number}-{self.place}"

    @property
    def recorded(self) -> str:
        """When it happened, as an instant."""
        return self.access.at or self.entry.recorded

    @property
    def outcome(self) -> str:
        """https://hl7.org/fhir/R4/valueset-audit-event-outcome.html."""
        status = self.access.outcome
        return "8" if status >= _FAILED else "4" if status >= _REFUSED else "0"

    @property
    def action(self) -> str:
        """https://hl7.org/fhir/R4/valueset-audit-event-action.html: E for searches, operations and mixed changes."""
        actions = {one.action for one in self.access.entity}
        method, _, path = self.access.does.partition(" ")
        if len(actions) == 1 and actions != {"R"}:
            return actions.pop()
        if not actions and method in _BY_METHOD and "$" not in path and not path.endswith("_search"):
            return _BY_METHOD[method]
        instance = "/" in path and "$" not in path and not path.endswith("_search")
        return "R" if instance and len(actions) < 2 else "E"  # noqa: PLR2004  # several kinds of action


def events(record: AuditRecord) -> Iterator[Event]:
    """Yield what a record tells, one event for each interaction."""
    entry = read_record(record.record)
    if entry.event:
        outcome = 200 if entry.outcome == "success" else 403
        yield Event(record.number, 0, entry, Access(outcome=outcome, entity=entry.entity))
    for index, access in enumerate(entry.accesses):
        yield Event(record.number, index, entry, access)


def render(event: Event, routes: Routes, base: str, unseal: Unseal) -> Resource:
    """Render one AuditEvent."""
    entry, access = event.entry, event.access
    resource: Resource = {
        "resourceType": "AuditEvent",
        "id": event.id,
        "meta": {"versionId": "1", "lastUpdated": entry.recorded},
        "type": _SIGN_IN if entry.event else _TYPE,
    }
    subtype = {"display": entry.event} if entry.event else _interaction(access, routes)
    if subtype:
        resource["subtype"] = [subtype]
    resource |= {"action": event.action, "recorded": event.recorded, "outcome": event.outcome}
    if event.outcome != "0":
        often = f", {access.times} times" if access.times > 1 else ""
        resource["outcomeDesc"] = f"HTTP {access.outcome}{often}"
    if purposes := _purposes(entry):
        resource["purposeOfEvent"] = purposes
    resource["agent"] = _agents(entry)
    resource["source"] = {
        "observer": {"identifier": {"value": base}, "display": "fhir-server"},
        "type": [{"system": _SOURCE_TYPE, "code": "4", "display": "Application Server"}],
    }
    if entities := _entities(event, unseal):
        resource["entity"] = entities
    return resource


def _interaction(access: Access, routes: Routes) -> dict[str, str]:
    method, _, path = access.does.partition(" ")
    try:
        row, _ = routes.resolve(method, path)
    except FhirError:  # a refusal may have come before there was a place
        return {}
    code = "operation" if row.definition else _RENAMED.get(row.code, row.code)
    return {"system": _INTERACTION, "code": code}


def _purposes(entry: AuditEntry) -> list[dict[str, Any]]:
    if not entry.purpose and not entry.reason:
        return []
    concept: dict[str, Any] = {"coding": [{"system": _PURPOSES, "code": entry.purpose}]} if entry.purpose else {}
    return [concept | ({"text": entry.reason} if entry.reason else {})]


def _agents(entry: AuditEntry) -> list[dict[str, Any]]:
    who: dict[str, Any] = {"identifier": {"value": entry.agent or "unknown"}}
    if entry.person:
        who = {"reference": entry.person, **who}
    caller: dict[str, Any] = {"who": who, "altId": entry.agent or "unknown", "requestor": True}
    if entry.roles:
        caller = {"role": [{"text": role} for role in entry.roles], **caller}
    if not entry.organization:
        return [caller]
    return [caller, {"who": {"reference": entry.organization}, "requestor": False}]


def _entities(event: Event, unseal: Unseal) -> list[dict[str, Any]]:
    access = event.access
    found = [_entity(one) for one in access.entity]
    found += [
        {"what": {"reference": person}, "type": _coded(_ENTITY_TYPE, "1"), "role": _coded(_ENTITY_ROLE, "1")}
        for person in access.persons
    ]
    text = unseal(b64decode(access.sealed), PLACE).decode() if access.sealed else access.query
    if text or (access.does and not access.entity):
        asked = f"{access.does}?{text}" if text else access.does
        query = b64encode(asked.encode()).decode()
        found.append({"type": _coded(_ENTITY_TYPE, "2"), "role": _coded(_ENTITY_ROLE, "24"), "query": query})
    if access.request:
        what = {"identifier": {"value": access.request}}
        found.append({"what": what, "type": _coded(_REQUEST_ID, "XrequestId")})
    return found


def _entity(entity: Entity) -> dict[str, Any]:
    literal = parse_reference(entity.what).kind == "relative"
    what = {"reference": entity.what} if literal else {"identifier": {"value": entity.what}}
    return {
        "what": what,
        "type": _coded(_ENTITY_TYPE, "2"),
        "role": _coded(_ENTITY_ROLE, "4"),
        "detail": [{"type": "action", "valueString": entity.action}],
    }


def _coded(system: str, code: str) -> dict[str, str]:
    return {"system": system, "code": code}
