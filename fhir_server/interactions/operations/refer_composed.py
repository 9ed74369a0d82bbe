"""The transaction Bundle that `$refer` does: as it was sent, with what we add; or composed from the short form."""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

from fhir_server.interactions.operations.refer_answers import Answers, answers_of, one_need
from fhir_server.interactions.operations.refer_asked import Asked, issue, require_time_left
from fhir_server.interactions.operations.refer_parts import claiming, consent_of, patient_of, request_of, signal_of
from fhir_server.interactions.operations.refer_people import (
    Recipients,
    existing,
    known_person,
    recipient_issues,
    recipients_of,
)
from fhir_server.interactions.operations.refer_told import watching_of
from fhir_server.interactions.request import Request
from fhir_server.interactions.unit import Unit
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import Invalid, RuleViolated
from fhir_server.model.issue import Issue
from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import Resource
from fhir_server.search.query import Query, TokenIs
from fhir_server.workflow.codes import CONSENT_PROFILE, REFERRAL_NUMBER, REFERRAL_PROFILE, TASK_PROFILE
from fhir_server.workflow.links import Links, items
from fhir_server.workflow.numbers import make_number

_NEED: Final = "https://w3id.org/social-referral/CodeSystem/social-need"
_VAGUE: Final = "other-need"
_CLAIMS: Final = {"ServiceRequest": REFERRAL_PROFILE, "Consent": CONSENT_PROFILE, "Task": TASK_PROFILE}
_LOCK: Final = "refer"
_URLS: Final = {
    name: f"urn:uuid:00000000-0000-4000-8000-00000000000{number}"
    for number, name in enumerate(("patient", "consent", "request", "task"), 1)
}
"""What the entries of a composed Bundle call each other; nobody else sees it."""


class Composed(NamedTuple):
    """A transaction to be done, how its expressions read in what was sent, and what there is to say besides."""

    bundle: Resource
    told: Callable[[str], str]
    notes: tuple[Issue, ...] = ()
    patient: Resource | None = None
    """The person as sent in the short form."""


def of_bundle(asked: Asked, unit: Unit) -> Composed:
    """Return a Bundle with our profiles claimed and a number given; who is to receive it must be open."""
    sent: Resource = asked.one("bundle")
    place = asked.place("bundle") if "[" in asked.place("bundle") else "Bundle"
    entries, requests = [], 0
    for index, entry in enumerate(items(sent.get("entry"))):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        if not isinstance(resource, dict) or kind not in _CLAIMS:
            entries.append(entry)
            continue
        resource = claiming(resource, _CLAIMS[kind])
        if kind == "ServiceRequest":
            requests += 1
            resource = _numbered(unit, resource, _current(unit, entry))
            _require_open(unit, resource, f"{place}.entry[{index}].resource")
        entries.append({**entry, "resource": resource})
    if requests != 1:
        text = f"A referral is one ServiceRequest with what belongs to it; the Bundle has {requests}. Send them one by one."
        raise Invalid(issues=[issue(text, f"{place}.entry" if entries else place, "structure")])
    bundle = {**sent, "type": "transaction", "entry": entries}
    return Composed(
        bundle,
        lambda expression: expression.replace("Bundle", place, 1) if expression.startswith("Bundle") else expression,
    )


def of_parameters(request: Request, asked: Asked, unit: Unit) -> Composed:
    """Compose the Bundle of the short form. Raises RuleViolated when nobody may receive it."""
    now = render_instant(unit.uow.last_updated)
    links = Links(unit, unit.engine.own_base, unit.engine.rulebook.governs)
    require_time_left(asked, now)
    _require_plans(unit, asked)
    patient, subject, notes = _person(unit, asked)
    found = recipients_of(unit, asked, patient, links, now)
    _require_receiver(asked, found)
    requester = asked.one("requester") or {"reference": request.principal.organization}
    pending = asked.one("consent-pending") is True
    parts: dict[str, Any] = {
        "subject": subject or _URLS["patient"],
        "consent": _URLS["consent"],
        "requester": requester,
        "performer": () if pending and not asked.all("recipient") else found.performers,
    }
    made: dict[str, Resource] = {} if subject else {"patient": patient}
    if "consent-reference" in asked.values:
        parts["consent"] = f"Consent/{existing(unit, asked, 'consent-reference')['id']}"
    else:
        organizations = sorted(links.organizations(requester))
        watching = watching_of(unit, asked, patient, found, links, now)
        made["consent"] = consent_of(asked, parts["subject"], organizations, found.organizations, now, watching)
    answers = answers_of(unit, asked, parts["subject"], requester, now)
    needs = _needs(unit, asked, asked.all("need") or one_need(asked, answers))
    parts["reasons"] = answers.reasons([(one["coding"][0]["system"], one["coding"][0]["code"]) for one in needs])
    made["request"] = request_of(asked, needs, parts, _free_number(unit), now)
    if pending:
        made["task"] = signal_of(made["request"], _URLS["request"], patient, now, unit.engine.rulebook.wording)
    entries = [
        {"fullUrl": _URLS[name], "resource": one, "request": {"method": "POST", "url": one["resourceType"]}}
        for name, one in made.items()
    ]
    places = dict(_places(asked, list(made))) | dict(_answer_places(asked, answers, len(entries)))
    entries += [entry for entry, _ in answers.entries]
    bundle: Resource = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    return Composed(bundle, lambda text: _in_parameters(text, places), notes, patient)


def _require_plans(unit: Unit, asked: Asked) -> None:
    plans = unit.engine.rulebook.plans
    issues = [
        issue(
            f"{url[:100]!r} is no plan of this server. It has: {', '.join(sorted(plans)) or 'none'}.",
            asked.place("plan", index),
            "not-found",
        )
        for index, url in enumerate(asked.all("plan"))
        if url.partition("|")[0] not in plans
    ]
    if issues:
        raise Invalid(issues=issues)


def _person(unit: Unit, asked: Asked) -> tuple[Resource, str, tuple[Issue, ...]]:
    """Return the person, `Patient/id` if the record is here ("" if it is to be made), and what there is to say of that."""
    if "subject" in asked.values:
        patient = existing(unit, asked, "subject")
        return patient, f"Patient/{patient['id']}", ()
    patient = patient_of(asked)
    alone(unit, f"{unit.principal.organization} {patient.get('name')} {patient.get('telecom')}")
    subject = known_person(unit, patient)
    if not subject:
        return patient, "", ()
    text = f"The person is known here as {subject}; the record was left as it is."
    return patient, subject, (Issue("person-known", "informational", text, severity="information"),)


def _places(asked: Asked, names: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the expressions of the composed Bundle with where their content stands in the parameters."""
    for index, name in enumerate(names):
        root = f"Bundle.entry[{index}].resource"
        if name == "patient":
            yield root, asked.place("patient" if "patient" in asked.values else "name")
            for member, parameter in (("telecom", "phone"), ("birthDate", "birth-date"), ("address", "address")):
                if parameter in asked.values:
                    yield f"{root}.{member}", asked.place(parameter)
            yield (
                f"{root}.extension",
                asked.place("contact-preference")
                if "patient" not in asked.values
                else f"{asked.place('patient')}.extension",
            )
        elif name == "consent":
            way = next((one for one in ("consent", "consent-way", "consent-pending") if one in asked.values), "consent")
            yield root, asked.place(way)
            if "consent-until" in asked.values:
                yield f"{root}.provision.period", asked.place("consent-until")
        elif name == "request":
            yield (
                f"{root}.supportingInfo",
                asked.place("consent-reference" if "consent-reference" in asked.values else "consent-way"),
            )
            for member, parameter in (
                ("reasonCode", "reason"), ("requester", "requester"), ("subject", "subject"), ("priority", "priority"),
                ("basedOn", "based-on"), ("identifier", "identifier"), ("instantiatesCanonical", "plan"), ("code", "need"),
            ):  # fmt: skip
                yield f"{root}.{member}", asked.place(parameter)
            for member, parameter in (("performer", "recipient"), ("category", "need")):
                for position in range(len(asked.all(parameter))):
                    yield f"{root}.{member}[{position}]", asked.place(parameter, position)


def _answer_places(asked: Asked, answers: Answers, start: int) -> Iterator[tuple[str, str]]:
    """Yield the expressions of what was made of responses with where these stand; entries begin at `start`."""
    for position, (entry, index) in enumerate(answers.entries, start):
        place = asked.place("response", index)
        own = entry["resource"]["resourceType"] == "QuestionnaireResponse"
        yield f"Bundle.entry[{position}].resource", place if own else place.removesuffix(".resource")


def _in_parameters(expression: str, places: dict[str, str]) -> str:
    """Return where the element of a composed resource stands in what was sent: the deepest place that is known."""
    best = max(
        (one for one in places if expression == one or expression.startswith((f"{one}.", f"{one}["))),
        key=len,
        default="",
    )
    if not best:
        return "Parameters"
    place = places[best]
    return place + expression[len(best) :] if place.endswith(".resource") else place


def _require_receiver(asked: Asked, found: Recipients) -> None:
    if found.organizations or "consent-way" not in asked.values:
        return
    text = (
        "Nobody was chosen as recipient, and no contact point covers the place where the person lives. Send a recipient, or "
        "the postal code or municipality of the person."
    )
    raise RuleViolated(text, key="refer-no-recipient", expression=asked.place("recipient"))


def _require_open(unit: Unit, request: Resource, root: str) -> None:
    performers = items(request.get("performer"))
    literal = [
        (index, one) for index, one in enumerate(performers) if not str(one.get("reference", "urn:")).startswith("urn:")
    ]
    places = [f"{root}.performer[{index}].reference" for index, _ in literal]
    now = render_instant(unit.uow.last_updated)
    if issues := list(recipient_issues(unit, [one for _, one in literal], places, now)):
        raise RuleViolated(issues=issues)


def _needs(unit: Unit, asked: Asked, named: Sequence[str]) -> list[Resource]:
    """Return the needs as CodeableConcepts, each once; raises Invalid for each code that our code system lacks."""
    known = unit.engine.terminology.on(unit.uow, committed=False).code_system(_NEED)
    found: dict[tuple[str, str], Resource] = {}
    issues = []
    for index, text in enumerate(named or (_VAGUE,)):
        system, bar, code = str(text).strip().rpartition("|")
        system = system if bar else _NEED
        concept = known.get(code) if known is not None and system == _NEED else None
        if system == _NEED and concept is None:
            said = f"{code[:60]!r} is no need of CodeSystem/social-need. Read that code system, or leave it out: the reason is enough."
            issues.append(issue(said, asked.place("need", index), "code-invalid", "unknown-code"))
            continue
        display = concept.text(unit.engine.rulebook.wording.language) if concept is not None else ""
        coding = {"system": system, "code": code, **({"display": display} if display else {})}
        found.setdefault((system, code), {"coding": [coding]})
    if issues:
        raise Invalid(issues=issues)
    return list(found.values())


def _current(unit: Unit, entry: Resource) -> Resource:
    """Return what stands where an entry is put, as far as the caller may see it."""
    request = entry.get("request")
    method, url = (request.get("method"), request.get("url")) if isinstance(request, dict) else ("", "")
    place = parse_reference(url) if method == "PUT" and isinstance(url, str) else None
    if place is None or place.kind != "relative" or place.type != "ServiceRequest":
        return {}
    current = unit.view.current(place.type, place.id)
    return decode_stored(current.body) if current is not None and current.body is not None else {}


def _numbered(unit: Unit, request: Resource, before: Resource) -> Resource:
    """Return the request with a number: its own, the one that the person was told before, or a free one."""
    standing = items(request.get("identifier"))
    if any(one.get("system") == REFERRAL_NUMBER for one in standing):
        return request
    told = [one for one in items(before.get("identifier")) if one.get("system") == REFERRAL_NUMBER]
    number = told or [{"system": REFERRAL_NUMBER, "value": _free_number(unit)}]
    return {**request, "identifier": [*number, *standing]}


def _free_number(unit: Unit) -> str:
    while True:
        number = make_number()
        if not unit.uow.search(Query("ServiceRequest", TokenIs("identifier", REFERRAL_NUMBER, number), limit=1)):
            return number


def alone(unit: Unit, text: str) -> None:
    """Let no second unit do the same at the same time: of two that touch one record, one is tried again after the other."""
    key = sha256(text.encode()).hexdigest()
    unit.uow.set_record(_LOCK, key, b"")
    unit.uow.remove_record(_LOCK, key)
