"""Which questionnaires are offered: those that lead to needs or to a risk class, and are made for who asks and who answers.

`useContext` says for whom one is made (docs/screening.md): kind of referrer, kind of organisation, age, area. Of several contexts
of one kind one is enough. A kind of which the questionnaire says nothing, or the page knows nothing yet, leaves nothing out.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from fhir_server.http.pages.questions import text_of
from fhir_server.http.pages.suggestions import area_of
from fhir_server.http.pages.visit import Visit
from fhir_server.http.pages.words import CODES, NEED, PROFILE, reference_of
from fhir_server.model.resource import Resource

_ROLE: Final = f"{CODES}/referral-role"
_KIND: Final = f"{CODES}/organization-kind"
_SDC: Final = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
_PER_YEAR: Final[Mapping[str, int]] = {"a": 1, "mo": 12, "wk": 52, "d": 365}
_HIGHEST: Final = 8
"""Areas within areas that are looked at."""


class Circumstances(NamedTuple):
    """What is known of who asks and who answers; empty or None where it is not."""

    roles: Collection[str]
    kinds: Collection[str]
    areas: Collection[str]
    age: int | None


async def offered(visit: Visit, place: str, age: str) -> list[tuple[str, str]]:
    """Return the questionnaires to choose from, by title: id and title."""
    known = Circumstances(
        visit.roles,
        await _kinds(visit),
        await _areas(visit, place) if place else (),
        int(age) if age.isascii() and age.isdecimal() else None,
    )
    titles = [
        (one["id"], text_of(one, "title", visit.texts.language))
        for one in await _active(visit)
        if "url" in one and leads(one) and fits(one, known)
    ]
    return sorted(titles, key=lambda one: one[1].casefold())


def leads(questionnaire: Resource) -> bool:
    """Tell whether the answers lead to a need, ticked or worked out, or to a risk class."""
    return makes_needs(questionnaire) or any(
        any((option.get("valueCoding") or {}).get("system") == NEED for option in item.get("answerOption", ()))
        or any(one.get("url") == f"{PROFILE}/risk-assessment" for one in item.get("extension", ()))
        for item in every_item(questionnaire)
    )


def makes_needs(questionnaire: Resource) -> bool:
    """Tell whether `$extract` makes needs of the answers: by a template, or by a definition."""
    if any(one.get("resourceType") == "Condition" for one in questionnaire.get("contained", ())):
        return True
    return any(
        str(part.get("valueCanonical", "")).partition("|")[0].endswith(("/Condition", "/social-need"))
        for holder in (questionnaire, *every_item(questionnaire))
        for one in holder.get("extension", ())
        if one.get("url") == f"{_SDC}definitionExtract"
        for part in one.get("extension", ())
        if part.get("url") == "definition"
    )


def every_item(holder: Resource) -> Iterator[Resource]:
    """Yield every item of a questionnaire, in its order."""
    for item in holder.get("item", ()):
        yield item
        yield from every_item(item)


def fits(questionnaire: Resource, known: Circumstances) -> bool:
    """Tell whether a questionnaire is made for these circumstances, as far as both say."""
    verdicts: dict[str, list[bool]] = {}
    for context in questionnaire.get("useContext", ()):
        kind = str((context.get("code") or {}).get("code", ""))
        verdict = _fits(kind, context, known)
        if verdict is not None:
            verdicts.setdefault(kind, []).append(verdict)
    return all(any(held) for held in verdicts.values())


def _fits(kind: str, context: Resource, known: Circumstances) -> bool | None:
    """Return whether one context holds, None when that cannot be told."""
    match kind:
        case "user":
            return _is_one(context, known.roles, _ROLE)
        case "venue":
            return _is_one(context, known.kinds, _KIND)
        case "area":
            return _is_one(context, known.areas, "")
        case "age":
            return _is_aged(context, known.age)
        case _:
            return None


def _is_one(context: Resource, known: Collection[str], system: str) -> bool | None:
    codings: Iterable[Resource] = (context.get("valueCodeableConcept") or {}).get("coding", ())
    codes = {str(one.get("code", "")) for one in codings if system in ("", one.get("system"))}
    return None if not codes or not known else not codes.isdisjoint(known)


def _is_aged(context: Resource, age: int | None) -> bool | None:
    exact = context.get("valueQuantity")
    bounds: Resource = {"low": exact, "high": exact} if exact else context.get("valueRange") or {}
    low, high = _years(bounds.get("low")), _years(bounds.get("high"))
    if age is None or (low is None and high is None):
        return None
    return (low is None or low < age + 1) and (high is None or age <= high)  # who is 17 is not 18 yet, and 17 all year


def _years(quantity: Any) -> Decimal | None:
    per_year = _PER_YEAR.get((quantity or {}).get("code", "a"))
    return Decimal(quantity["value"]) / per_year if quantity and "value" in quantity and per_year else None


async def _active(visit: Visit) -> list[Resource]:
    query = (("status", "active"), ("_count", "100"))
    found = await visit.fhir.search("Questionnaire", *query)
    matches = found.matches
    while found.following:
        found = await visit.fhir.search("Questionnaire", *query, ("_cursor", found.following))
        matches += found.matches
    return matches


async def _kinds(visit: Visit) -> set[str]:
    organization = await visit.fhir.seen(visit.organization)
    return {
        str(coding.get("code", ""))
        for concept in (organization or {}).get("type", ())
        for coding in concept.get("coding", ())
        if coding.get("system") == _KIND
    }


async def _areas(visit: Visit, place: str) -> set[str]:
    """Return the codes of the area of a place and of all around it."""
    codes: set[str] = set()
    area = await area_of(visit.fhir, place)
    for _ in range(_HIGHEST):
        if area is None:
            break
        codes |= {str(one["value"]) for one in area.get("identifier", ()) if "value" in one}
        area = await visit.fhir.seen(reference_of(area.get("partOf")))
    return codes
