"""$region-figures: needs, referrals, acceptance, time to first contact, outcomes and unmet needs of a region, as counts.

For operators and link workers. It counts in the whole store; a link worker who answers for some areas gets those of these
areas. A period is a month, a quarter or a year of the calendar: periods that overlap in part would tell by their difference
what is too small to tell.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from fhir_server.artifacts.source import BASE
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Many, Operation
from fhir_server.interactions.operations.parameters import Inputs, read_inputs
from fhir_server.interactions.operations.region_counts import Counted, count, rate, told, told_of
from fhir_server.interactions.request import Kind, Place, Request, Result
from fhir_server.interactions.routing import Interaction
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import decode_stored, encode
from fhir_server.model.errors import Forbidden, Malformed
from fhir_server.model.resource import Resource
from fhir_server.model.temporal import Interval, parse_temporal
from fhir_server.store.port import Snapshot

DEFINITION: Final = f"{BASE}/OperationDefinition/region-figures"
MEASURE: Final = f"{BASE}/Measure/region-figures"
FIGURE: Final = f"{BASE}/CodeSystem/region-figure"
_ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_POPULATION: Final = "http://terminology.hl7.org/CodeSystem/measure-population"
_MAY: Final = frozenset({"operator", "link-worker"})
_SPANS: Final = (1, 3, 12)
"""Months of a period: a month, a quarter, a year."""


def region_figures(engine: Engine, request: Request, place: Place) -> Operation:
    """Count. Raises Forbidden for who is neither operator nor link worker, Malformed for a period that cannot be."""
    del place
    inputs = read_inputs(engine, request, DEFINITION)
    if engine.access.enforced and not request.principal.roles & _MAY:
        raise Forbidden("The figures of the region are for operators and link workers.", key="access-role")
    since, until = _period(engine, inputs)

    def work(snapshot: Snapshot) -> Result:
        areas = _areas(snapshot, request, inputs)
        names = None if areas is None else _names(snapshot, areas)
        counted = count(snapshot, since, until, names, areas)
        return Result(Kind.OK, encode(_report(engine, counted, since, until)))

    def settled() -> Result:
        result = engine.store.read(work)
        engine.auditor.read(request, result)
        return result

    return Many(settled)


def _period(engine: Engine, inputs: Inputs) -> tuple[int, int]:
    """Return the half-open range of microseconds that counts: the month, quarter or year (UTC) that holds what is asked.

    Nothing asked is the quarter of today. Raises Malformed for days that are not of one year, or in the wrong order.
    """
    today = render_instant(engine.clock.now_ms())[:10]
    end = _day(inputs, "end", today)
    start = _day(inputs, "start", "") if inputs.given("start") else None
    first = start or end
    if first > end or first.year != end.year:
        raise Malformed(
            f"The period from {first:%Y-%m-%d} to {end:%Y-%m-%d} cannot be counted; send days of one calendar year, the first "
            "one first: the month, quarter or year that holds them counts.",
            key="operation-input",
            code="value",
            expression=inputs.where("start") or inputs.where("end"),
        )
    spans = _SPANS if start is not None else _SPANS[1:]
    months = next(span for span in spans if (first.month - 1) // span == (end.month - 1) // span)
    month = (first.month - 1) // months * months + 1
    return _month(first.year, month).lo, _month(first.year, month + months - 1).hi


def _month(year: int, month: int) -> Interval:
    return parse_temporal(f"{year:04d}-{month:02d}")


def _day(inputs: Inputs, name: str, otherwise: str) -> date:
    text = inputs.text(name) or otherwise
    try:
        found = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise inputs.refuse(f"{name} is {text[:40]!r}; send a whole date, as 2026-11-22.", name) from None
    return found


def _areas(snapshot: Snapshot, request: Request, inputs: Inputs) -> frozenset[str] | None:
    """Return the ids of the areas that count, None for all. Raises Forbidden for an area that is another's."""
    own = frozenset(area.removeprefix("Location/") for area in request.principal.areas)
    asked = inputs.text("area").removeprefix("Location/")
    bound = bool(own) and "operator" not in request.principal.roles
    if not asked:
        return _below(snapshot, own) if bound else None
    found = _below(snapshot, frozenset({asked}))
    if bound and asked not in _below(snapshot, own):
        raise Forbidden("The figures of this area are for its own link workers.", key="access-role")
    if not _names(snapshot, found):
        raise inputs.refuse(f"{asked[:64]!r} is no area here; send the id of a Location.", "area")
    return found


def _below(snapshot: Snapshot, areas: frozenset[str]) -> frozenset[str]:
    """Return areas with all that lies in them."""
    found, level = set(areas), set(areas)
    while level:
        inside = {
            name.partition("/")[2]
            for area in level
            for name in snapshot.referrers(f"Location/{area}", 1000)
            if name.startswith("Location/")
        }
        level = inside - found
        found |= level
    return frozenset(found)


def _names(snapshot: Snapshot, areas: frozenset[str]) -> frozenset[str]:
    """Return the names of municipalities, as they stand on Tasks, in lower case."""
    found: set[str] = set()
    for area in areas:
        version = snapshot.current("Location", area)
        if version is not None and version.body is not None:
            location = decode_stored(version.body)
            found |= {str(location.get("name", "")), str((location.get("address") or {}).get("city", ""))}
    return frozenset(name.casefold() for name in found if name)


def _report(engine: Engine, counted: Counted, since: int, until: int) -> Resource:
    groups = [
        _group("referrals", counted.referrals, (("need", counted.needs), ("municipality", counted.municipalities))),
        _group("answers", sum(counted.answers.values()), (("answer", counted.answers),), rate(counted.answers)),
        _group(
            "first-contact", sum(counted.contact.values()), (("waited", counted.contact),), counted.contact_days, "d"
        ),
        _group("outcomes", sum(counted.outcomes.values()), (("outcome", counted.outcomes),)),
        _group("reasons", sum(counted.reasons.values()), (("reason", counted.reasons),)),
        _group("feedback", counted.feedback, ()),
        _group("unmet", sum(counted.unmet.values()), (("need", counted.unmet),)),
    ]
    return {
        "resourceType": "MeasureReport",
        "status": "complete",
        "type": "summary",
        "measure": MEASURE,
        "date": render_instant(engine.clock.now_ms()),
        "period": {"start": render_instant(since // 1000)[:10], "end": render_instant(until // 1000 - 1)[:10]},
        "group": groups,
    }


def _group(
    code: str,
    total: int,
    strata: tuple[tuple[str, Mapping[str, int]], ...],
    score: float | None = None,
    unit: str = "1",
) -> Resource:
    group: Resource = {"code": _concept(code), "population": [_population(told(total))]}
    if score is not None:
        group["measureScore"] = {"value": score, "system": "http://unitsofmeasure.org", "code": unit}
    stratifiers = [
        {
            "code": [_concept(name)],
            "stratum": [
                {"value": {"text": value}, "population": [_population(number)]} for value, number in shown.items()
            ],
        }
        for name, numbers in strata
        if (shown := told_of(numbers))
    ]
    return group | ({"stratifier": stratifiers} if stratifiers else {})


def _concept(code: str) -> Resource:
    return {"coding": [{"system": FIGURE, "code": code}]}


def _population(number: int | None) -> Resource:
    """Return a count; one that is not told says so (data-absent-reason masked)."""
    code: dict[str, Any] = {"code": {"coding": [{"system": _POPULATION, "code": "initial-population"}]}}
    if number is None:
        return code | {"_count": {"extension": [{"url": _ABSENT, "valueCode": "masked"}]}}
    return code | {"count": number}


REGION_FIGURES: Final = tuple(
    Interaction(method, "$region-figures", "region-figures", "system", region_figures, DEFINITION)
    for method in ("GET", "POST")
)
