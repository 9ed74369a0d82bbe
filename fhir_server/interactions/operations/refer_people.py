"""Who `$refer` is about, and to whom it goes, looked up in what the caller sees."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from fhir_server.interactions.operations.refer_asked import Asked, issue
from fhir_server.interactions.unit import Unit
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import Invalid, RuleViolated
from fhir_server.model.issue import Issue
from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import Resource
from fhir_server.model.temporal import parse_temporal, period_interval
from fhir_server.search.beside import words
from fhir_server.search.query import And, Or, Query, StringIs, TextMode, TokenIs
from fhir_server.search.text import normalise
from fhir_server.workflow.links import Links, items
from fhir_server.workflow.routing import contact_point

_KINDS: Final = ("HealthcareService", "Organization", "PractitionerRole", "CareTeam", "Practitioner")
_NAMESAKES: Final = 50
_DIALLED: Final = 8
"""The last digits of a phone number that are the same with and without country and area prefix."""


class Recipients(NamedTuple):
    """To whom it goes: References for ServiceRequest.performer, and the organisations (`Organization/id`) behind them."""

    performers: tuple[Resource, ...]
    organizations: tuple[str, ...]


def known_person(unit: Unit, patient: Resource) -> str:
    """Return `Patient/id` of the one person whom the caller knows by an identifier, or by name and contact; "" for none."""
    for identifier in items(patient.get("identifier")):
        if "system" in identifier and "value" in identifier:
            where = TokenIs("identifier", identifier["system"], identifier["value"])
            rows = unit.view.search(Query("Patient", where, limit=2))
            if len(rows) == 1:
                return f"Patient/{rows[0].version.id}"
    names, reached = _names(patient), _reached(patient)
    if not names or not reached:
        return ""
    found = [
        one
        for one in _namesakes(unit, patient)
        if names & _names(one) and reached & _reached(one) and _same_birth(patient, one)
    ]
    return f"Patient/{found[0]['id']}" if len(found) == 1 else ""


def recipients_of(unit: Unit, asked: Asked, patient: Resource, links: Links, now: str) -> Recipients:
    """Return to whom the referral goes: who was chosen, else the contact point of the area; nobody means the pool.

    Raises RuleViolated for each chosen one that is unknown or closed.
    """
    chosen = asked.all("recipient")
    if not chosen:
        service = contact_point(patient, links, now)
        chosen = () if service is None else ({"reference": f"HealthcareService/{service['id']}"},)
        return Recipients(chosen, _behind(chosen, links))
    places = [asked.place("recipient", index, "reference") for index in range(len(chosen))]
    issues = list(recipient_issues(unit, chosen, places, now))
    if issues:
        raise RuleViolated(issues=issues)
    return Recipients(
        tuple({"reference": key} for key in dict.fromkeys(links.key(one) for one in chosen)), _behind(chosen, links)
    )


def recipient_issues(unit: Unit, chosen: Sequence[Resource], places: Sequence[str], now: str) -> Iterator[Issue]:
    """Yield what stands in the way of each recipient: it is unknown, closed, or no recipient at all."""
    at = parse_temporal(now).lo
    for reference, place in zip(chosen, places, strict=True):
        parsed = parse_reference(str(reference.get("reference", "")), unit.engine.own_base)
        if parsed.kind != "relative" or parsed.type not in _KINDS:
            text = f"{parsed.text[:100]!r} is no recipient here. Name one of {', '.join(_KINDS)} by Type/id."
            yield Issue("refer-recipient", "value", text, place)
            continue
        current = unit.view.current(parsed.type, parsed.id)
        if current is None or current.body is None:
            text = f"There is no {parsed.key[:100]} here. Choose a service or organisation of the directory ($suggest finds one)."
            yield Issue("refer-recipient", "not-found", text, place)
        elif why := _closed(decode_stored(current.body), at):
            yield Issue(
                "refer-recipient", "business-rule", f"{parsed.key} {why}. Choose another one ($suggest).", place
            )


def existing(unit: Unit, asked: Asked, name: str) -> Resource:
    """Return the resource that a reference parameter names, as the caller sees it. Raises Invalid when there is none."""
    parsed = parse_reference(str(asked.one(name)["reference"]), unit.engine.own_base)
    current = unit.view.current(parsed.type, parsed.id) if parsed.kind == "relative" else None
    if current is None or current.body is None:
        place = asked.place(name, 0, "reference")
        raise Invalid(
            issues=[issue(f"{parsed.text[:100]!r} is not here. Send it first, or as a resource.", place, "not-found")]
        )
    found: Resource = decode_stored(current.body)
    return found


def _behind(chosen: Sequence[Resource], links: Links) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for one in chosen for key in sorted(links.organizations(one))))


def _closed(resource: Resource, at: int) -> str:
    if resource.get("active") is False:
        return "is no longer active"
    for closure in items(resource.get("notAvailable")):
        during = closure.get("during")
        if not during:
            continue
        interval = period_interval(during.get("start"), during.get("end"))
        if interval.lo <= at < interval.hi:
            until = f" until {during['end']}" if "end" in during else ""
            return f"is closed now{until} ({closure.get('description', 'no reason given')})"
    return ""


def _namesakes(unit: Unit, patient: Resource) -> Iterator[Resource]:
    """Yield those whose name may be the same, be it stored in one text or in parts."""
    for name in items(patient.get("name"))[:1]:
        parts = " ".join([*items(name.get("given")), name.get("family", "")])
        text = normalise(parts.strip() or str(name.get("text", "")))
        if text:
            ends = {text.split()[0]: None, text.split()[-1]: None}  # in parts, each begins one: those between may not
            where = Or((StringIs("name", TextMode.STARTS, text), And(tuple(_begins(word) for word in ends))))
            rows = unit.view.search(Query("Patient", where, limit=_NAMESAKES))
            yield from (decode_stored(row.version.body) for row in rows if row.version.body is not None)


def _begins(word: str) -> Or:
    """A part of a name begins with a word, or one of the words of a family name does."""
    return Or(tuple(StringIs(param, TextMode.STARTS, word) for param in ("name", words("name"))))


def _names(patient: Resource) -> set[str]:
    found = set()
    for name in items(patient.get("name")):
        parts = " ".join([*items(name.get("given")), name.get("family", "")])
        found |= {normalise(str(name.get("text", ""))), normalise(parts)}
    return found - {""}


def _reached(patient: Resource) -> set[str]:
    """Return how a person is reached, as it compares: the last digits of phone numbers, addresses of mail in lower case."""
    found = set()
    for contact in items(patient.get("telecom")):
        value = str(contact.get("value", ""))
        digits = "".join(character for character in value if character.isdigit())
        found.add(digits[-_DIALLED:] if len(digits) >= _DIALLED else value.strip().casefold())
    return found - {""}


def _same_birth(one: Resource, other: Resource) -> bool:
    born, there = one.get("birthDate", ""), other.get("birthDate", "")
    return not born or not there or str(born).startswith(str(there)) or str(there).startswith(str(born))
