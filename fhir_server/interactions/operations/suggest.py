"""HealthcareService/$suggest: which services fit a person's needs, and why (OperationDefinition healthcare-service-suggest)."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Answer, Many, Operation
from fhir_server.interactions.operations.parameters import Inputs, read_inputs
from fhir_server.interactions.operations.suggest_asked import Asked, read_asked
from fhir_server.interactions.request import Kind, Place, Request, Result
from fhir_server.interactions.routing import Interaction
from fhir_server.model.clock import render_instant
from fhir_server.model.resource import Resource
from fhir_server.search.bundle import DISTANCE_URL
from fhir_server.search.includes import BY_ID, part_reader
from fhir_server.search.query import IdIs, Query
from fhir_server.store.port import Snapshot, UnitOfWork
from fhir_server.workflow.suggestion import Exclusion, Fit, Match, Reason, explained, judging, ranked

DEFINITION: Final = "https://w3id.org/social-referral/OperationDefinition/healthcare-service-suggest"
REASON: Final = "https://w3id.org/social-referral/CodeSystem/suggestion-reason"
_SD: Final = "https://w3id.org/social-referral/StructureDefinition/"
UNMET: Final = "unmet"
"""Records `unmet` / `2026-11 area need`: how often nothing fitted. No data of a person."""
_MOST_EXCLUSIONS: Final = 100
_PLACES: Final = ("nis", "postal-code", "city", "address")
"""What narrows the services to those of an area: they are few, and judged at once."""
_encode = msgspec.json.encode


def suggest(engine: Engine, request: Request, place: Place) -> Operation:
    """Return services in order with their reasons; the contact point of the area when nothing fits.

    Within an area it takes as long as a search, so it is answered here; a thread would take longer to begin.
    """
    del place
    inputs = read_inputs(engine, request, DEFINITION)
    if inputs.flag("exclusions") or not inputs.given(*_PLACES):  # looks at every service
        return Many(lambda: _answer(engine, request, inputs))
    found = engine.store.read(lambda snapshot: _found(engine, request, inputs, snapshot, at_once=True))
    if found is None or found[1] is not None:
        return Many(lambda: _answer(engine, request, inputs))
    return Answer(Result(Kind.OK, found[0]))


def _answer(engine: Engine, request: Request, inputs: Inputs) -> Result:
    found = engine.store.read(lambda snapshot: _found(engine, request, inputs, snapshot))
    body, unmet = found or (b"", None)
    if unmet is not None:
        engine.store.write(lambda uow: _count(uow, unmet))
    return Result(Kind.OK, body)


def _found(
    engine: Engine, request: Request, inputs: Inputs, snapshot: Snapshot, *, at_once: bool = False
) -> tuple[bytes, Asked | None] | None:
    """Return the answer, and what was asked when nothing fits; None when `at_once` and the directory must be read first."""
    if at_once and not engine.directory.is_near(snapshot):
        return None
    engine.directory.fresh(snapshot)
    asked = read_asked(engine, inputs, engine.directory, snapshot)
    fits, exclusions = _judged(engine, asked)
    return _bundle(engine, request, snapshot, asked, fits, exclusions), None if fits else asked


def _judged(engine: Engine, asked: Asked) -> tuple[list[Fit], list[Exclusion]]:
    directory, rules, wish = engine.directory, engine.ranking(), asked.wish
    codes = [*wish.needs, *wish.types]
    names: Iterable[str] = (
        directory.answering(codes) if asked.exclusions or not wish.areas else directory.candidates(codes, wish.areas)
    )
    fits: list[Fit] = []
    exclusions: list[Exclusion] = []
    verdict_on = judging(wish, rules)
    for name in names:
        offer = directory.offer(name)
        verdict = verdict_on(offer) if offer is not None else None
        if isinstance(verdict, Fit):
            fits.append(verdict)
        elif verdict is not None:
            exclusions.append(verdict)
    return fits, exclusions


def _bundle(
    engine: Engine,
    request: Request,
    snapshot: Snapshot,
    asked: Asked,
    fits: list[Fit],
    exclusions: list[Exclusion],
) -> bytes:
    rules = engine.ranking()
    shown = [explained(fit, asked.wish, rules) for fit in ranked(fits, asked.most)] or _fallback(engine, asked)
    reasons = engine.terminology.on(snapshot).code_system(REASON)
    entries: list[bytes] = []
    organizations: set[str] = set()
    provider_of = part_reader(("providedBy",))
    services = _bodies(snapshot, "HealthcareService", [match.offer.id for match in shown])
    for match in shown:
        body = services.get(match.offer.id)
        if body is None:  # it went between two looks at the directory
            continue
        kind, _, provider = provider_of(body).get("providedBy", {}).get("reference", "").partition("/")
        if kind == "Organization":
            organizations.add(provider)
        search = _search(match, reasons, request.languages)
        entries.append(_entry(request.base, f"HealthcareService/{match.offer.id}", body, search))
    for name, body in _bodies(snapshot, "Organization", organizations).items():
        entries.append(_entry(request.base, f"Organization/{name}", body, {"mode": "include"}))
    outcome = list(_told(engine, asked, len(fits), exclusions, reasons, request.languages))
    if outcome:
        body = _encode({"resourceType": "OperationOutcome", "issue": outcome})
        entries.append(b'{"resource":%b,"search":{"mode":"outcome"}}' % body)
    listed = b',"entry":[%b]' % b",".join(entries) if entries else b""
    return b'{"resourceType":"Bundle","type":"searchset","total":%d%b}' % (len(fits), listed)


def _bodies(snapshot: Snapshot, resource_type: str, ids: Iterable[str]) -> dict[str, bytes]:
    """Return the bodies of current resources by id, in the order of the ids."""
    wanted = tuple(sorted(ids))
    if not wanted:
        return {}
    rows = snapshot.search(Query(resource_type, IdIs(wanted), BY_ID, len(wanted)))
    return {row.version.id: row.version.body for row in rows if row.version.body is not None}


def _entry(base: str, name: str, body: bytes, search: Resource) -> bytes:
    return b'{"fullUrl":%b,"resource":%b,"search":%b}' % (_encode(f"{base}/{name}"), body, _encode(search))


def _search(match: Match, reasons: Any, languages: str) -> Resource:
    extensions: list[Resource] = [
        {"url": f"{_SD}suggestion-reason", "valueCodeableConcept": _concept(reason, reasons, languages)}
        for reason in match.reasons
    ]
    if match.distance is not None:
        metres = {"value": round(match.distance), "unit": "m", "system": "http://unitsofmeasure.org", "code": "m"}
        extensions.append({"url": DISTANCE_URL, "valueDistance": metres})
    return {"extension": extensions, "mode": "match", "score": match.score}


def _concept(reason: Reason, reasons: Any, languages: str) -> Resource:
    known = reasons.get(reason.code)
    display = known.text(languages) if known is not None else reason.code
    text = f"{display}: {reason.detail}" if reason.detail else display
    return {"coding": [{"system": REASON, "code": reason.code, "display": display}], "text": text}


def _fallback(engine: Engine, asked: Asked) -> list[Match]:
    """Return the contact point that covers the smallest area of the person; none when no place was given."""
    directory = engine.directory
    found = [
        offer
        for name in directory.contact_points
        if (offer := directory.offer(name)) is not None and offer.areas & asked.wish.areas
    ]
    found.sort(key=lambda offer: (asked.area not in offer.areas, len(offer.areas), offer.id))
    return [Match(offer, 0.0, None, (Reason("contact-point-of-area"),)) for offer in found[:1]]


def _told(
    engine: Engine, asked: Asked, fitting: int, exclusions: list[Exclusion], reasons: Any, languages: str
) -> Iterable[Resource]:
    if not fitting:
        said = "No service fits. " + (
            "The contact point of the area is named."
            if _fallback(engine, asked)
            else "No contact point covers the place."
        )
        yield _issue("nothing-fits", said)
    elif fitting > asked.most:
        yield _issue("more-fit", f"{fitting} services fit; {asked.most} are shown. Ask for more with _count.")
    if not asked.exclusions:
        return
    for exclusion in exclusions[:_MOST_EXCLUSIONS]:
        concept = _concept(exclusion.reason, reasons, languages)
        reference = {"reference": f"HealthcareService/{exclusion.offer.id}"}
        yield {
            "extension": [{"url": f"{_SD}suggestion-excluded", "valueReference": reference}],
            "severity": "information",
            "code": "informational",
            "details": concept,
            "diagnostics": f"HealthcareService/{exclusion.offer.id} is left out. {concept['text']}",
        }
    if len(exclusions) > _MOST_EXCLUSIONS:
        yield _issue("more-excluded", f"{len(exclusions)} services were left out; {_MOST_EXCLUSIONS} are told.")


def _issue(key: str, text: str) -> Resource:
    coding = {"system": "https://w3id.org/social-referral/CodeSystem/issue-key", "code": key}
    return {"severity": "information", "code": "informational", "details": {"coding": [coding]}, "diagnostics": text}


def _count(uow: UnitOfWork, asked: Asked) -> None:
    month = render_instant(uow.last_updated)[:7]
    for need in asked.needs:
        key = f"{month} {asked.area or '-'} {need}"
        before = uow.record(UNMET, key)
        uow.set_record(UNMET, key, b"%d" % (int(before.body) + 1 if before is not None else 1))


SUGGEST: Final[tuple[Interaction, ...]] = tuple(
    Interaction(method, "type/$suggest", "suggest", "type", suggest, DEFINITION, ("HealthcareService",))
    for method in ("GET", "POST")
)
