"""A referral from what was filled in, sent by `$refer`: the one function that knows how the pages refer."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from fhir_server.http.pages.fhir import Fhir
from fhir_server.http.pages.words import OWN
from fhir_server.model.resource import Resource

NUMBER: Final = f"{OWN}/NamingSystem/referral-number"
_FORMS: Final = "urn:ietf:rfc:3986"


class Order(NamedTuple):
    """What a practice asks for."""

    person: Resource | str
    """A Patient to be made, or the reference of one that is there."""
    needs: tuple[str, ...]
    """Codes of social needs."""
    reason: str
    services: tuple[str, ...]
    """References of the chosen services."""
    way: str
    """How the person consented: a code."""
    form: str
    """32 hexadecimal digits: the same form sent twice has the same, and makes one referral."""
    response: Resource | None = None
    """The answers that the needs come from."""
    escalation: bool | None = None
    """Whether the person agrees that the contact point of the area is told when nobody calls in time; None where nobody is told."""


async def send_order(fhir: Fhir, order: Order) -> str:
    """Send a referral, once however often the same form comes; return the id of its ServiceRequest."""
    answered = await fhir.post("$refer", {"resourceType": "Parameters", "parameter": list(_parameters(order))})
    made = next(one["resource"] for one in answered["parameter"] if one["name"] == "request")
    return str(made["id"])


def _parameters(order: Order) -> Iterator[Resource]:
    if isinstance(order.person, str):
        yield {"name": "subject", "valueReference": {"reference": order.person}}
    else:
        yield {"name": "patient", "resource": order.person}
    for need in order.needs:
        yield {"name": "need", "valueString": need}
    yield {"name": "reason", "valueString": order.reason}
    for service in order.services:
        yield {"name": "recipient", "valueReference": {"reference": service}}
    yield {"name": "consent-way", "valueCode": order.way}
    if order.escalation is not None:
        yield {"name": "consent-escalation", "valueBoolean": order.escalation}
    yield {"name": "identifier", "valueIdentifier": form_identifier(order.form)}
    if order.response is not None:
        yield {"name": "response", "resource": order.response}


def form_identifier(form: str) -> Resource:
    """Return the Identifier of 32 hexadecimal digits."""
    name = f"urn:uuid:{form[:8]}-{form[8:12]}-{form[12:16]}-{form[16:20]}-{form[20:]}"
    return {"system": _FORMS, "value": name}
