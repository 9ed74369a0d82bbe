"""What the pages show of a person."""

from typing import NamedTuple

from fhir_server.http.pages.visit import Visit
from fhir_server.http.pages.words import addresses, labels, person_name, said
from fhir_server.model.resource import Resource


class Person(NamedTuple):
    """Whom it is about, once the Task was accepted."""

    name: str
    born: str
    contacts: list[tuple[str, str]]
    """Kind (phone, email) and value."""
    addresses: list[str]
    languages: list[str]
    preferences: list[str]


async def person_of(visit: Visit, patient: Resource) -> Person:
    """Return what is shown of a person."""
    ways = labels(await visit.fhir.choices("contact-preference"))
    preferred = [
        said(one.get("valueCodeableConcept"), ways)
        for one in patient.get("extension", ())
        if one.get("url", "").endswith("/contact-preference")
    ]
    return Person(
        person_name(patient),
        str(patient.get("birthDate", "")),
        [(one.get("system", "other"), one["value"]) for one in patient.get("telecom", ()) if "value" in one],
        addresses(patient),
        [said(one.get("language")) for one in patient.get("communication", ())],
        preferred,
    )


async def needs_of(visit: Visit, request: Resource) -> list[str]:
    """Return the needs of a referral in the language of the visit."""
    known = labels(await visit.fhir.choices("social-need"))
    return list(dict.fromkeys(said(one, known) for one in request.get("category", ())))
