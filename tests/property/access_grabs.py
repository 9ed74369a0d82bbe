"""Ways in which a caller tries to let itself in by writing: what it sends, made from what it is after and who it is.

Each way gives requests to be made one after the other. Ids of what others hold are no secret: a Task names the person.
"""

import base64
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.property.access_world import CODES, PROFILE, reference

JSON_PATCH = {"content_type": "application/json-patch+json"}
Body = dict[str, Any] | list[Any]


class Try(NamedTuple):
    """One request."""

    method: str
    url: str
    body: Body | None = None
    headers: dict[str, str] = {}  # noqa: RUF012  # never changed


class Prey(NamedTuple):
    """What somebody is after, and as whom it says that it acts."""

    person: str
    """`Patient/id`."""
    own: str
    """The organisation or person of the caller."""
    record: str
    """A resource about the person, `Type/id`."""
    referral: str
    consent: str
    task: str


Way = Callable[[Prey], list[Try]]


def request(prey: Prey, *, profile: bool = True, subject: Any = None, **more: Any) -> dict[str, Any]:
    made = {
        "resourceType": "ServiceRequest", "status": "draft", "intent": "order", "authoredOn": "2026-11-01", "reasonCode": [{"text": "alone"}], "requester": reference(prey.own),
        "subject": subject or reference(prey.person),
        "code": {"text": "help"}, "category": [{"coding": [{
            "system": "https://w3id.org/social-referral/CodeSystem/social-need", "code": "loneliness"}]}],
    }  # fmt: skip
    return {**made, **({"meta": {"profile": [PROFILE + "social-referral"]}} if profile else {}), **more}


def task(prey: Prey, *, profile: bool = True, **more: Any) -> dict[str, Any]:
    made = {
        "resourceType": "Task", "status": "accepted", "intent": "order", "authoredOn": "2026-11-01", "for": reference(prey.person),
        "focus": reference(prey.referral), "requester": reference(prey.own), "owner": reference(prey.own),
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        **({"meta": {"profile": [PROFILE + "referral-task"]}} if profile else {}),
    }  # fmt: skip
    return {**made, **more}


def consent(prey: Prey, kind: str = "permit", who: str = "", **more: Any) -> dict[str, Any]:
    actor = [{"role": {"text": "recipient"}, "reference": reference(who or prey.own)}]
    return {
        "resourceType": "Consent", "status": "active", "patient": reference(prey.person), "dateTime": "2026-11-01",
        "scope": {"coding": [{"system": CODES + "consentscope", "code": "patient-privacy"}]},
        "category": [{"text": "privacy"}], "policyRule": {"text": "ours"}, "provision": {"type": kind, "actor": actor}, **more,
    }  # fmt: skip


def about(kind: str, prey: Prey, **more: Any) -> dict[str, Any]:
    made = {"resourceType": kind, "status": "final", "code": {"text": "x"}, "subject": reference(prey.person)}
    return {**made, **more}


def bundle(kind: str, *entries: tuple[str, str, Any]) -> Try:
    made = [
        {
            "fullUrl": f"urn:uuid:00000000-0000-4000-8000-{number:012d}",
            "request": {"method": method, "url": url},
            "resource": body,
        }
        for number, (method, url, body) in enumerate(entries)
    ]
    return Try("POST", "", {"resourceType": "Bundle", "type": kind, "entry": made})


def post(body: dict[str, Any], **headers: str) -> list[Try]:
    return [Try("POST", body["resourceType"], body, headers)]


FIRST = "urn:uuid:00000000-0000-4000-8000-000000000000"
OWN_BASE = "http://127.0.0.1:8080/fhir/"


def _moved(kind: dict[str, str], change: Any) -> Callable[[Prey], list[Try]]:
    """Write something of one's own about nobody, and move it over to the person ($ID is its id)."""
    return lambda prey: [
        *post(request(prey, profile=False, subject={"display": "nobody"})),
        Try("PATCH", "ServiceRequest/$ID", change(prey), kind),
    ]


def _json_patch(path: str) -> Any:
    return lambda prey: [{"op": "replace", "path": path, "value": reference(prey.person)}]


def _fhirpath_patch(prey: Prey) -> dict[str, Any]:
    parts = [
        {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "ServiceRequest.subject"},
        {"name": "value", "valueReference": reference(prey.person)},
    ]  # fmt: skip
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


def _patch_entry(prey: Prey) -> list[Try]:
    raw = json.dumps(_json_patch("/subject")(prey)).encode()
    binary = {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": base64.b64encode(raw).decode(),
    }
    return [
        *post(request(prey, profile=False, subject={"display": "nobody"})),
        bundle("transaction", ("PATCH", "ServiceRequest/$ID", binary)),
    ]


def _replaced(prey: Prey) -> list[Try]:
    first = request(prey, profile=False, subject={"display": "nobody"})
    return [*post(first), Try("PUT", "ServiceRequest/$ID", {**request(prey), "id": "$ID"})]


def _own_task(prey: Prey, **more: Any) -> list[Try]:
    """A referral about nobody, and a Task of it that names what one is after."""
    sent = task(prey, status="draft", focus=reference("ServiceRequest/$ID"), **more)
    return [*post(request(prey, subject={"display": "x"})), *post(sent)]


def _both(prey: Prey) -> Try:
    """A referral, a Task of it and a Consent for it, all in one."""
    named = request(prey, supportingInfo=[reference("urn:uuid:00000000-0000-4000-8000-000000000001")])
    sent = task(prey, status="draft", focus=reference(FIRST), basedOn=[reference(prey.referral)])
    return bundle(
        "transaction", ("POST", "ServiceRequest", named), ("POST", "Consent", consent(prey)), ("POST", "Task", sent)
    )


REFERRALS: dict[str, Way] = {
    "a draft": lambda prey: post(request(prey)),
    "a plain request": lambda prey: post(request(prey, profile=False)),
    "an active request": lambda prey: post(
        request(prey, status="active", performer=[reference(prey.own)], supportingInfo=[reference(prey.consent)])
    ),
    "a version": lambda prey: post(request(prey, subject=reference(prey.person + "/_history/1"))),
    "an absolute reference": lambda prey: post(request(prey, subject=reference(OWN_BASE + prey.person))),
    "an absolute version": lambda prey: post(request(prey, subject=reference(f"{OWN_BASE}{prey.person}/_history/1"))),
    "a reason": lambda prey: post(request(prey, subject={"display": "x"}, reasonReference=[reference(prey.record)])),
    "other information": lambda prey: post(request(prey, subject={"display": "x"}, supportingInfo=[reference(prey.record)])),
    "a consent": lambda prey: post(request(prey, subject={"display": "x"}, supportingInfo=[reference(prey.consent)])),
    "based on it": lambda prey: post(request(prey, subject={"display": "x"}, basedOn=[reference(prey.referral)])),
    "instead of it": lambda prey: post(request(prey, subject={"display": "x"}, replaces=[reference(prey.referral)])),
    "a patch": _moved(JSON_PATCH, _json_patch("/subject")),
    "a FHIRPath patch": _moved({}, _fhirpath_patch),
    "a patch in a transaction": _patch_entry,
    "an update": _replaced,
    "two in a transaction": lambda prey: [
        bundle("transaction", ("POST", "ServiceRequest", request(prey)), ("POST", "ServiceRequest", request(prey)))
    ],
    "first of a batch": lambda prey: [
        bundle("batch", ("POST", "ServiceRequest", request(prey)), ("POST", "Observation", about("Observation", prey)))
    ],
    "a conditional create": lambda prey: post(request(prey), if_none_exist="_id=nothing-like-it"),
    "a conditional update": lambda prey: [Try("PUT", "ServiceRequest?_source=urn:none", request(prey))],
    "a conditional reference": lambda prey: [
        bundle("transaction", ("POST", "ServiceRequest", request(prey, subject=reference(prey.person.replace("/", "?_id=")))))
    ],
    "all at once": lambda prey: [_both(prey)],
    "contained": lambda prey: post(
        {"resourceType": "Basic", "code": {"text": "x"}, "subject": reference("#r"),
         "contained": [{**request(prey), "id": "r"}]}
    ),
    "an extension": lambda prey: post(
        request(prey, subject={"display": "x"}, extension=[{"url": "urn:x", "valueReference": reference(prey.person)}])
    ),
}  # fmt: skip
"""Ways by a ServiceRequest."""

OTHERS: dict[str, Way] = {
    "a taken Task": lambda prey: post(task(prey)),
    "a plain Task": lambda prey: post(task(prey, profile=False)),
    "a Task of the pool": lambda prey: post(task(prey, status="requested", owner=None, requester=reference("Organization/gp"))),
    "a Task based on it": lambda prey: _own_task(prey, **{"for": {"display": "x"}}, basedOn=[reference(prey.referral)]),
    "a part of it": lambda prey: post(task(prey, partOf=[reference(prey.task)])),
    "an output": lambda prey: _own_task(
        prey, **{"for": {"display": "x"}}, output=[{"type": {"text": "x"}, "valueReference": reference(prey.record)}]
    ),
    "an input": lambda prey: _own_task(
        prey, **{"for": {"display": "x"}}, input=[{"type": {"text": "x"}, "valueReference": reference(prey.consent)}]
    ),
    "a Consent": lambda prey: post(consent(prey)),
    "a Consent that lists data": lambda prey: post(
        consent(prey, patient={"display": "x"}, provision={"data": [{"meaning": "instance", "reference": reference(prey.record)}]})
    ),
    "an observation": lambda prey: post(about("Observation", prey)),
    "a group": lambda prey: post(
        {"resourceType": "Group", "type": "person", "actual": True, "member": [{"entity": reference(prey.person)}]}
    ),
    "a list": lambda prey: post(
        {"resourceType": "List", "status": "current", "mode": "working", "entry": [{"item": reference(prey.record)}]}
    ),
    "a team": lambda prey: post(
        {"resourceType": "CareTeam", "subject": reference(prey.person), "participant": [{"member": reference(prey.own)}]}
    ),
    "a provenance": lambda prey: post(
        {"resourceType": "Provenance", "target": [reference(prey.person)], "recorded": "2026-11-01T00:00:00Z",
         "agent": [{"who": reference(prey.own)}]}
    ),
    "an encounter": lambda prey: post(
        {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}, "subject": reference(prey.person)}
    ),
    "a relative": lambda prey: post({"resourceType": "RelatedPerson", "patient": reference(prey.person)}),
    "a link of persons": lambda prey: post(
        {"resourceType": "Patient", "link": [{"type": "seealso", "other": reference(prey.person)}]}
    ),
    "a message": lambda prey: post(
        {"resourceType": "Communication", "status": "completed", "basedOn": [reference(prey.referral)],
         "recipient": [reference(prey.own)], "subject": reference(prey.person)}
    ),
    "a goal": lambda prey: post(
        {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "x"}, "subject": reference(prey.person)}
    ),
    "the resource itself": lambda prey: [Try("PUT", prey.person, {"resourceType": "Patient", "id": prey.person[8:]})],
    "the record itself": lambda prey: [Try("PATCH", prey.record, [{"op": "add", "path": "/language", "value": "nl"}], JSON_PATCH)],
    "a deletion": lambda prey: [Try("DELETE", prey.referral), Try("DELETE", prey.person)],
    "a role of the staff": lambda prey: post(
        {"resourceType": "PractitionerRole", "practitioner": reference("Practitioner/hidden"), "organization": reference(prey.own)}
    ),
}  # fmt: skip
"""Ways by anything else."""


def _inputs(**given: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": name, **one} for name, one in given.items()]}


def _answers(prey: Prey) -> dict[str, Any]:
    return {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": reference(prey.person),
            "questionnaire": "https://w3id.org/social-referral/Questionnaire/none"}  # fmt: skip


def _subscription(criteria: str) -> dict[str, Any]:
    return {
        "resourceType": "Subscription", "status": "requested", "reason": "x", "criteria": criteria,
        "channel": {"type": "rest-hook", "endpoint": "https://example.org/hook", "payload": "application/fhir+json"},
    }  # fmt: skip


OPERATIONS: dict[str, Way] = {
    "everything": lambda prey: [Try("GET", f"{prey.person}/$everything")],
    "hand-over": lambda prey: [Try("POST", f"{prey.task}/$hand-over", _inputs(
        recipient={"valueReference": reference(prey.own)}, reason={"valueString": "x"}), {"if_match": 'W/"1"'})],
    "refer": lambda prey: [Try("POST", "$refer", _inputs(
        patient={"valueReference": reference(prey.person)}, reason={"valueString": "x"}))],
    "extract": lambda prey: [Try("POST", "QuestionnaireResponse/$extract", _inputs(**{
        "questionnaire-response": {"resource": _answers(prey)}}))],
    "populate": lambda prey: [Try("POST", "Questionnaire/$populate", _inputs(
        subject={"valueReference": reference(prey.person)}, canonical={"valueCanonical": "urn:none"}))],
    "validate": lambda prey: [Try("POST", "Observation/$validate", about("Observation", prey))],
    "validate it": lambda prey: [Try("GET", f"{prey.person}/$validate")],
    "explain": lambda prey: [Try("GET", f"$consent-explain?resource={prey.record}")],
    "changes": lambda prey: [Try("GET", f"$changes?_id={prey.person[8:]}")],
    "a subscription": lambda prey: post(_subscription(f"{prey.person[:7]}?_id={prey.person[8:]}")),
    "a chain": lambda prey: post(_subscription(f"Task?patient:Patient._id={prey.person[8:]}")),
    "an include": lambda prey: [Try("GET", f"Task?patient={prey.person}&status=draft&_include=*&_revinclude=*")],
    "a reverse chain": lambda prey: [Try("GET", f"Organization?_has:Patient:organization:_id={prey.person[8:]}")],
    "a conditional delete": lambda prey: [Try("DELETE", f"Patient?_id={prey.person[8:]}")],
    "a conditional patch": lambda prey: [Try("PATCH", f"Patient?_id={prey.person[8:]}", [], JSON_PATCH)],
    "if none exists": lambda prey: post({"resourceType": "Basic", "code": {"text": "x"}}, if_none_exist=f"subject={prey.person}"),
    "a mark": lambda prey: [Try("POST", f"{prey.record}/$meta-add", _inputs(meta={"valueMeta": {}}))],
}  # fmt: skip
"""Ways that ask, by which one might learn whether somebody is there."""
