"""HealthcareService/$suggest: which services fit a person's needs, and why (OperationDefinition healthcare-service-suggest)."""

from collections.abc import Iterable
from typing import Any, Final

from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Answer, Many, Operation
from fhir_server.interactions.operations.parameters import Inputs, read_inputs
from fhir_server.interactions.operations.suggest_asked import Asked, read_asked
from fhir_server.interactions.operations.suggest_rendered import REASON, Page, Words, bundle, excluded
from fhir_server.interactions.request import Kind, Place, Request, Result
from fhir_server.interactions.routing import Interaction
from fhir_server.model.clock import render_instant
from fhir_server.model.resource import Resource
from fhir_server.search.includes import BY_ID
from fhir_server.search.query import IdIs, Query
from fhir_server.store.port import Snapshot, UnitOfWork
from fhir_server.workflow.suggestion import Exclusion, Fit, Match, Reason, explaining, fitting, judging, ranked

DEFINITION: Final = "https://w3id.org/social-referral/OperationDefinition/healthcare-service-suggest"
UNMET: Final = "unmet"
"""Records `unmet` / `2026-11 area need`: how often nothing fitted. No data of a person."""
_MOST_EXCLUSIONS: Final = 100
_MOST_UNREAD: Final = 10
_PLACES: Final = ("nis", "postal-code", "city", "address")
"""What narrows the services to those of an area: they are few, and judged at once."""


def suggest(engine: Engine, request: Request, place: Place) -> Operation:
    """Return services in order with their reasons; the contact point of the area when nothing fits.

    Within an area it takes as long as a search, so it is answered here; a thread would take longer to begin.
    """
    del place
    inputs = read_inputs(engine, request, DEFINITION)
    if inputs.flag("exclusions") or not inputs.given(*_PLACES):  # looks at every service
        return Many(lambda: _answer(engine, request, inputs))
    found = engine.store.read(lambda snapshot: _found(engine, request, inputs, snapshot, at_once=True))
    if found is None:
        return Many(lambda: _answer(engine, request, inputs))
    body, unmet = found
    return Answer(Result(Kind.OK, body)) if unmet is None else Many(lambda: _counted(engine, body, unmet))


def _answer(engine: Engine, request: Request, inputs: Inputs) -> Result:
    found = engine.store.read(lambda snapshot: _found(engine, request, inputs, snapshot))
    return _counted(engine, *(found or (b"", None)))


def _counted(engine: Engine, body: bytes, unmet: Asked | None) -> Result:
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
    if not asked.exclusions:
        offers = directory.candidates(codes, wish.areas) if wish.areas else directory.answering(codes)
        fit = fitting(wish, rules, served=bool(wish.areas))
        return [found for found in map(fit, offers) if found is not None], []
    verdicts = list(map(judging(wish, rules), directory.answering(codes)))
    return (
        [verdict for verdict in verdicts if isinstance(verdict, Fit)],
        [verdict for verdict in verdicts if isinstance(verdict, Exclusion)],
    )


def _bundle(
    engine: Engine,
    request: Request,
    snapshot: Snapshot,
    asked: Asked,
    fits: list[Fit],
    exclusions: list[Exclusion],
) -> bytes:
    explain = explaining(asked.wish, engine.ranking())
    shown = [explain(fit) for fit in ranked(fits, asked.most)] or _fallback(engine, asked)
    services = _bodies(snapshot, "HealthcareService", {match.offer.id for match in shown})
    providers = (match.offer.provider.partition("/") for match in shown if match.offer.id in services)
    organizations = _bodies(snapshot, "Organization", {name for kind, _, name in providers if kind == "Organization"})
    words = Words(_reasons(engine, snapshot), request.languages)
    told = list(_told(engine, asked, len(fits), exclusions, words))
    return bundle(request.base, Page(shown, services, organizations), words, len(fits), told)


def _reasons(engine: Engine, snapshot: Snapshot) -> Any:
    """Return the CodeSystem of the reasons: our own wins; only where it is lacking the store is looked into."""
    own = engine.terminology.own
    return (own if own.knows(REASON) else engine.terminology.on(snapshot)).code_system(REASON)


def _bodies(snapshot: Snapshot, resource_type: str, ids: Iterable[str]) -> dict[str, bytes]:
    """Return the bodies of current resources by id, in the order of the ids."""
    wanted = tuple(sorted(ids))
    if not wanted:
        return {}
    rows = snapshot.search(Query(resource_type, IdIs(wanted), BY_ID, len(wanted)))
    return {row.version.id: row.version.body for row in rows if row.version.body is not None}


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


def _told(engine: Engine, asked: Asked, fits: int, exclusions: list[Exclusion], words: Words) -> Iterable[Resource]:
    if not fits:
        said = "No service fits. " + (
            "The contact point of the area is named."
            if _fallback(engine, asked)
            else "No contact point covers the place."
        )
        yield _issue("nothing-fits", said)
    elif fits > asked.most:
        yield _issue("more-fit", f"{fits} services fit; {asked.most} are shown. Ask for more with _count.")
    for name, why in asked.unread[:_MOST_UNREAD]:
        yield _issue("boundary-unreadable", f"Whether Location/{name} serves the place is not known. {why}")
    if len(asked.unread) > _MOST_UNREAD:
        said = f"The boundaries of {len(asked.unread)} areas cannot be read; {_MOST_UNREAD} are told."
        yield _issue("boundary-unreadable", said)
    for name, why in asked.faults[:_MOST_UNREAD]:
        yield _issue("fact-unreadable", f"HealthcareService/{name}: {why}")
    if len(asked.faults) > _MOST_UNREAD:
        said = f"Of what services say, {len(asked.faults)} things cannot be read; {_MOST_UNREAD} are told."
        yield _issue("fact-unreadable", said)
    if not asked.exclusions:
        return
    for exclusion in exclusions[:_MOST_EXCLUSIONS]:
        yield excluded(exclusion, words)
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
