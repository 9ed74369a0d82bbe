"""An invented region around Vilvoorde, kept in dictionaries, with a unit of work that settles as the server's does."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fhir_server.access.principal import PLATFORM, Principal
from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import Resource, type_and_id, with_server_fields
from fhir_server.workflow.codes import CONSENT_PROFILE, REFERRAL_PROFILE, SERVICE_TYPE, TASK_PROFILE
from fhir_server.workflow.effects import Change, Create, Emit, Update
from fhir_server.workflow.links import codings
from fhir_server.workflow.rules import Rulebook
from fhir_server.workflow.wording import Wording

FOLDER = Path(__file__).parents[3] / "terminology" / "code-systems"
CODE_SYSTEMS = [
    json.loads((FOLDER / f"CodeSystem-{name}.json").read_bytes())
    for name in ("task-kind", "task-parameter", "status-reason", "social-need")
]
ENGLISH = Wording("en", CODE_SYSTEMS)

NOW = "2026-11-23T09:30:00.000Z"
ROUNDS = 8

PRACTICE = "Organization/de-linde"
FAMILY = "Organization/een-gezin"
WORK = "Organization/werkwinkel"
CONTACT = "Organization/onthaal-zenne"

GP = Principal(PRACTICE, frozenset({"referrer"}), "epd")
FAMILY_WORKER = Principal(FAMILY, frozenset({"recipient"}), "dora")
WORK_COACH = Principal(WORK, frozenset({"recipient"}), "werkwinkel")
LINK_WORKER = Principal(CONTACT, frozenset({"link-worker"}), "onthaal")
ERDAN = Principal("Patient/erdan", frozenset({"person"}), "app")
OPERATOR = Principal(roles=frozenset({"operator"}), agent="loader")
STRANGER = Principal("Organization/elders", frozenset({"recipient"}), "elders")

_PARAMS = {
    ("Task", "focus"): "focus",
    ("Task", "part-of"): "partOf",
    ("ServiceRequest", "subject"): "subject",
    ("Consent", "patient"): "patient",
    ("PractitionerRole", "practitioner"): "practitioner",
    ("Location", "partof"): "partOf",
}
_TOKENS = {("HealthcareService", "service-category"): "category"}


def ref(target: str) -> Resource:
    return {"reference": target}


def organization(org_id: str, name: str) -> Resource:
    return {"resourceType": "Organization", "id": org_id, "name": name}


def location(loc_id: str, *, postal: str = "", city: str = "", part_of: str = "", country: str = "BE") -> Resource:
    address = {key: value for key, value in (("postalCode", postal), ("city", city), ("country", country)) if value}
    made: Resource = {"resourceType": "Location", "id": loc_id, "name": city or loc_id, "address": address}
    return {**made, "partOf": ref(part_of)} if part_of else made


def contact_service(service_id: str, provider: str, *areas: str) -> Resource:
    return {
        "resourceType": "HealthcareService",
        "id": service_id,
        "providedBy": ref(provider),
        "category": [{"coding": [{"system": SERVICE_TYPE, "code": "contact-point"}]}],
        "coverageArea": [ref(area) for area in areas],
    }


def base_resources() -> list[Resource]:
    return [
        organization("de-linde", "Huisartsenpraktijk De Linde"),
        organization("een-gezin", "1 Gezin, 1 Plan Vilvoorde"),
        organization("werkwinkel", "Werkwinkel Vilvoorde"),
        organization("onthaal-zenne", "Onthaal eerstelijnszone Zenne"),
        organization("elders", "Buurthuis Elders"),
        {"resourceType": "Practitioner", "id": "bea", "name": [{"text": "Bea Peeters"}]},
        {
            "resourceType": "PractitionerRole",
            "id": "bea-de-linde",
            "practitioner": ref("Practitioner/bea"),
            "organization": ref(PRACTICE),
        },
        {"resourceType": "PractitionerRole", "id": "dora-een-gezin", "organization": ref(FAMILY)},
        location("vilvoorde", postal="1800", city="Vilvoorde", part_of="Location/zone-zenne"),
        location("zone-zenne"),
        contact_service("onthaal", CONTACT, "Location/zone-zenne"),
        {"resourceType": "HealthcareService", "id": "opvoeding", "providedBy": ref(FAMILY)},
        {
            "resourceType": "Patient",
            "id": "erdan",
            "birthDate": "2004-03-17",
            "address": [{"use": "home", "postalCode": "1800", "city": "Vilvoorde", "country": "BE"}],
        },
        {"resourceType": "Patient", "id": "mila", "birthDate": "1989-05-02"},
        {"resourceType": "RelatedPerson", "id": "moeder", "patient": ref("Patient/erdan")},
        consent(),
    ]


def consent(**changes: Any) -> Resource:
    made: Resource = {
        "resourceType": "Consent",
        "id": "erdan-2026",
        "meta": {"profile": [CONSENT_PROFILE]},
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "patient": ref("Patient/erdan"),
        "dateTime": "2026-11-20",
        "provision": {"type": "permit", "period": {"start": "2026-11-20", "end": "2027-05-20"}},
    }
    return {name: value for name, value in {**made, **changes}.items() if value is not None}


def request(**changes: Any) -> Resource:
    made: Resource = {
        "resourceType": "ServiceRequest",
        "id": "erdan-steun",
        "meta": {"profile": [REFERRAL_PROFILE]},
        "status": "active",
        "intent": "order",
        "priority": "routine",
        "code": {"text": "Opvoedingsondersteuning en hulp bij het zoeken naar werk"},
        "subject": {"reference": "Patient/erdan", "display": "Erdan Y."},
        "authoredOn": "2026-11-23T09:29:00Z",
        "requester": ref("PractitionerRole/bea-de-linde"),
        "performer": [ref(FAMILY), ref(WORK)],
        "reasonCode": [{"text": "Jonge vader, zoekt werk\nmedische voorgeschiedenis: niet meegeven"}],
        "supportingInfo": [ref("Consent/erdan-2026")],
    }
    return {name: value for name, value in {**made, **changes}.items() if value is not None}


def task(**changes: Any) -> Resource:
    made: Resource = {
        "resourceType": "Task",
        "id": "erdan-gezin",
        "meta": {"profile": [TASK_PROFILE]},
        "basedOn": [ref("ServiceRequest/erdan-steun")],
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "focus": ref("ServiceRequest/erdan-steun"),
        "for": ref("Patient/erdan"),
        "authoredOn": "2026-11-23T09:29:00Z",
        "requester": ref("PractitionerRole/bea-de-linde"),
        "owner": ref(FAMILY),
    }
    renamed = {"for" if name == "for_" else name: value for name, value in changes.items()}
    return {name: value for name, value in {**made, **renamed}.items() if value is not None}


class Region:
    """The record, and the unit of work on it: all of `commit` or nothing. Also the `Related` of the rules."""

    def __init__(self, *extra: Resource, rulebook: Rulebook | None = None) -> None:
        self.rulebook = rulebook or Rulebook.load(wording=ENGLISH)
        self.record = {type_and_id(one): one for one in [*base_resources(), *extra]}
        self.events: list[tuple[str, str]] = []
        self.moves: list[tuple[str, str, str, frozenset[str]]] = []
        self._count = 0

    def get(self, reference: str) -> Resource | None:
        parsed = parse_reference(reference)
        return self.record.get(parsed.key) if parsed.kind == "relative" else None

    def referring(self, resource_type: str, param: str, target: str) -> Sequence[Resource]:
        return self._all(resource_type, _PARAMS[resource_type, param], lambda value: value.get("reference") == target)

    def coded(self, resource_type: str, param: str, system: str, code: str) -> Sequence[Resource]:
        if param == "identifier":
            return self._all(resource_type, param, lambda one: (one.get("system"), one.get("value")) == (system, code))
        named = _TOKENS[resource_type, param]
        return self._all(resource_type, named, lambda concept: (system, code) in codings(concept))

    def _all(self, resource_type: str, element: str, holds: Any) -> list[Resource]:
        found = []
        for one in self.record.values():
            value = one.get(element, [])
            values = value if isinstance(value, list) else [value]
            if one["resourceType"] == resource_type and any(map(holds, values)):
                found.append(one)
        return found

    def commit(self, principal: Principal, *writes: Resource, delete: tuple[str, ...] = ()) -> list[Resource]:
        """Write, settle, and return what the rules created or changed; on a refusal nothing remains."""
        saved, told, moved = dict(self.record), list(self.events), list(self.moves)
        try:
            changes = [self._put(one, principal) for one in writes]
            changes += [Change(self.record.pop(key), None) for key in delete]
            return self._settle([one for one in changes if one is not None], principal)
        except BaseException:
            self.record, self.events, self.moves = saved, told, moved
            raise

    def update(self, principal: Principal, key: str, **changes: Any) -> list[Resource]:
        """Commit the resource at `key` with these elements replaced; None removes one."""
        changed = {**self.record[key], **{name.rstrip("_"): value for name, value in changes.items()}}
        return self.commit(principal, {name: value for name, value in changed.items() if value is not None})

    def tasks(self) -> list[Resource]:
        return [one for one in self.record.values() if one["resourceType"] == "Task"]

    def _settle(self, changes: list[Change], principal: Principal) -> list[Resource]:
        written: list[Resource] = []
        for _ in range(ROUNDS):
            if not changes:
                return written
            following: list[Change] = []
            for change in changes:
                if not (self.rulebook.governs(change.before) or self.rulebook.governs(change.after)):
                    continue
                for effect in self.rulebook.review(change, self, principal, NOW):
                    match effect:
                        case Create(resource):
                            self._count += 1
                            made = self._put({**resource, "id": f"made-{self._count}"}, PLATFORM)
                        case Update(resource):
                            made = self._put(resource, PLATFORM)
                            assert made is not None, f"an effect that changes nothing: {resource}"
                        case Emit(topic, focus):
                            self.events.append((topic, focus))
                            continue
                    assert made is not None
                    assert made.after is not None
                    following.append(made)
                    written.append(made.after)
            changes, principal = following, PLATFORM
        raise AssertionError("the rules do not come to rest")

    def _put(self, resource: Resource, principal: Principal) -> Change | None:
        key = type_and_id(resource)
        before = self.record.get(key)
        number = int(before.get("meta", {}).get("versionId", "1")) if before is not None else 0
        if before is not None and with_server_fields(resource, resource["id"], number, NOW) == with_server_fields(
            before, before["id"], number, NOW
        ):
            return None
        after = with_server_fields(resource, resource["id"], number + 1, NOW)
        self.record[key] = after
        if before is not None and before.get("status") != after.get("status"):
            self.moves.append((key, before.get("status", ""), after.get("status", ""), principal.roles))
        return Change(before, after)
