"""A referral from what was filled in: the person, the consent, the needs and the request, in one transaction."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from fhir_server.http.pages.fhir import Fhir
from fhir_server.http.pages.words import CODES, NEED, OWN, PROFILE, concept
from fhir_server.model.resource import Resource

NUMBER: Final = f"{OWN}/NamingSystem/referral-number"
_PATIENT, _CONSENT, _REQUEST, _NEEDS = 1, 2, 3, 10
_LAW: Final = "https://eur-lex.europa.eu/eli/reg/2016/679/oj"
"""The General Data Protection Regulation, under which the consent is asked."""
_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"


class Order(NamedTuple):
    """What a practice asks for."""

    organization: str
    person: Resource | str
    """A Patient to be made, or the reference of one that is there."""
    needs: tuple[tuple[str, str], ...]
    """Codes of social needs, with their displays."""
    reason: str
    services: tuple[tuple[str, str], ...]
    """References of the chosen services, and of the organisations that provide them."""
    way: tuple[str, str]
    """How the person consented: code and display."""
    number: str
    """The reference number that the person can be told; the same form sent twice has the same."""
    now: str


async def send_order(fhir: Fhir, order: Order) -> str:
    """Send a referral, once however often the same form comes; return the id of its ServiceRequest."""
    known = await fhir.search("ServiceRequest", ("identifier", f"{NUMBER}|{order.number}"))
    if known.matches:
        return str(known.matches[0]["id"])
    answered = await fhir.post("", bundle_of(order))
    places = [str(entry["response"].get("location", "")) for entry in answered["entry"]]
    place = next(place for place in places if "ServiceRequest/" in place)
    return place.partition("ServiceRequest/")[2].partition("/")[0]


def bundle_of(order: Order) -> Resource:
    """Return the transaction."""
    return {
        "resourceType": "Bundle",
        "meta": {"profile": [f"{PROFILE}/referral-bundle"]},
        "type": "transaction",
        "entry": list(_entries(order)),
    }


def _entries(order: Order) -> Iterator[Resource]:
    subject = {"reference": order.person if isinstance(order.person, str) else _urn(_PATIENT)}
    if not isinstance(order.person, str):
        yield _entry(_PATIENT, order.person)
    yield _entry(_CONSENT, _consent(order, subject))
    for position, (code, display) in enumerate(order.needs):
        yield _entry(_NEEDS + position, _need(order, subject, code, display))
    made = _entry(_REQUEST, _request(order, subject))
    made["request"]["ifNoneExist"] = f"identifier={NUMBER}|{order.number}"
    yield made


def _request(order: Order, subject: Resource) -> Resource:
    first, display = order.needs[0]
    code = concept(NEED, first, display) | {"text": ", ".join(one for _, one in order.needs)}
    return {
        "resourceType": "ServiceRequest",
        "meta": {"profile": [f"{PROFILE}/social-referral"]},
        "identifier": [{"system": NUMBER, "value": order.number}],
        "status": "active",
        "intent": "order",
        "category": [concept(NEED, *need) for need in order.needs],
        "priority": "routine",
        "code": code,
        "subject": subject,
        "authoredOn": order.now,
        "requester": {"reference": order.organization},
        "performer": [{"reference": service} for service, _ in order.services],
        "reasonCode": [{"text": order.reason}],
        "reasonReference": [{"reference": _urn(_NEEDS + position)} for position in range(len(order.needs))],
        "supportingInfo": [{"reference": _urn(_CONSENT)}],
    }


def _consent(order: Order, subject: Resource) -> Resource:
    recipients = dict.fromkeys(organization for _, organization in order.services)
    role = {"coding": [{"system": f"{_TERMINOLOGY}/v3-ParticipationType", "code": "IRCP"}]}
    way = concept(f"{CODES}/consent-way", *order.way)
    return {
        "resourceType": "Consent",
        "meta": {"profile": [f"{PROFILE}/referral-consent"]},
        "extension": [{"url": f"{PROFILE}/consent-way", "valueCodeableConcept": way}],
        "status": "active",
        "scope": {"coding": [{"system": f"{_TERMINOLOGY}/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": f"{_TERMINOLOGY}/v3-ActCode", "code": "IDSCL"}]}],
        "patient": subject,
        "dateTime": order.now,
        "performer": [subject],
        "organization": [{"reference": order.organization}],
        "policy": [{"uri": _LAW}],
        "provision": {
            "type": "permit",
            "period": {"start": order.now},
            "actor": [{"role": role, "reference": {"reference": one}} for one in recipients],
        },
    }


def _need(order: Order, subject: Resource, code: str, display: str) -> Resource:
    need = concept(NEED, code, display)
    return {
        "resourceType": "Condition",
        "meta": {"profile": [f"{PROFILE}/social-need"]},
        "clinicalStatus": {"coding": [{"system": f"{_TERMINOLOGY}/condition-clinical", "code": "active"}]},
        "verificationStatus": {"coding": [{"system": f"{_TERMINOLOGY}/condition-ver-status", "code": "confirmed"}]},
        "category": [need],
        "code": need,
        "subject": subject,
        "recordedDate": order.now,
        "evidence": [{"detail": [{"reference": _urn(_CONSENT)}]}],
    }


def _entry(number: int, resource: Resource) -> Resource:
    request = {"method": "POST", "url": resource["resourceType"]}
    return {"fullUrl": _urn(number), "resource": resource, "request": request}


def _urn(number: int) -> str:
    return f"urn:uuid:00000000-0000-4000-8000-{number:012}"
