"""What `$suggest` is asked, read into a wish: needs by the terminology, the place by the areas of the directory."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from fhir_server.interactions.context import Engine
from fhir_server.interactions.offer_extensions import CHANNEL
from fhir_server.interactions.offer_facts import BASE, NEED, postal_key
from fhir_server.interactions.offers import Directory
from fhir_server.interactions.operations.coded import of_coding
from fhir_server.interactions.operations.parameters import Inputs
from fhir_server.interactions.operations.questionnaire_for import needs_of
from fhir_server.model.errors import Malformed, NotFound
from fhir_server.model.resource import Resource
from fhir_server.store.port import Snapshot
from fhir_server.workflow.codes import DUTCH_CODE, NIS_CODE, SERVICE_TYPE
from fhir_server.workflow.suggestion_facts import Wish

BY_TYPE: Final = f"{BASE}/ConceptMap/social-need-to-service-type"
MOST_NEEDS: Final = 50
_OLDEST: Final = 120
_MOST: Final = 50


class Asked(NamedTuple):
    """A request of `$suggest`: the wish, the needs that it is about, and how the answer should be."""

    wish: Wish
    needs: tuple[str, ...]
    area: str
    """Id of the smallest area that the person lives in, "" when no place was given."""
    most: int
    exclusions: bool
    unread: tuple[tuple[str, str], ...] = ()
    """Ids of areas that services for these needs cover and whose boundary cannot be read, and why."""
    faults: tuple[tuple[str, str], ...] = ()
    """Ids of services for these needs of which a fact cannot be read, and why."""


def read_asked(engine: Engine, inputs: Inputs, directory: Directory, snapshot: Snapshot) -> Asked:
    """Read the parameters. Raises Malformed, naming the parameter, for what is unknown or out of range."""
    terminology = engine.terminology.on(snapshot)
    needs = tuple(dict.fromkeys([*_needs(inputs, terminology), *_answered(engine, inputs, terminology, snapshot)]))
    if not needs and inputs.given("response"):
        raise inputs.refuse("the answers give rise to no need, so nothing can be suggested.", "response")
    if not needs:
        raise inputs.refuse("say at least one need: need, concept, condition or response.")
    if len(needs) > MOST_NEEDS:
        raise inputs.refuse(f"{len(needs)} needs were sent; {MOST_NEEDS} at once are the most.", "need")
    areas = _areas(inputs, directory)
    how, types = _answers(needs, terminology)
    position = _position(inputs) or directory.middle(areas)
    within = directory.areas_at(position) if position is not None else frozenset()
    smallest = directory.smallest(areas or within)
    areas |= within
    wish = Wish(
        how,
        types,
        areas,
        _age(inputs, engine.clock.now_ms()),
        tuple(text.lower() for text in inputs.texts("language")),
        frozenset(_listed(inputs, terminology, "channel", CHANNEL)),
        inputs.flag("at-home"),
        frozenset(_listed(inputs, terminology, "theme", SERVICE_TYPE)),
        position,
        engine.clock.now_ms(),
    )
    count = inputs.number("_count")
    if count is not None and not 1 <= count <= _MOST:
        raise inputs.refuse(f"_count is {count}; 1 to {_MOST} may be asked.", "_count")
    codes = [*how, *types]
    unread, faults = directory.unread(codes, areas), directory.faults(codes, areas)
    return Asked(wish, needs, smallest, count or 10, inputs.flag("exclusions"), unread, faults)


def _answers(needs: tuple[str, ...], terminology: Any) -> tuple[dict[str, str], frozenset[str]]:
    """Return how each code answers the needs (`Wish.needs`), and the types of service that do."""
    known = terminology.code_system(NEED)
    how: dict[str, str] = {}
    types: set[str] = set()
    for code in needs:
        for other in known.ancestors(code):
            how.setdefault(other, "broader")
    for code in needs:
        how.update((other, "narrower") for other in known.descendants(code))
    for code in needs:
        how[code] = "exact"
        types |= {match.code for match in terminology.translate(NEED, code, concept_map=BY_TYPE) if match.code}
    return how, frozenset(types)


def _needs(inputs: Inputs, terminology: Any) -> Iterator[str]:
    for text in inputs.texts("need"):
        system, bar, code = text.rpartition("|")
        yield _need(inputs, terminology, system if bar else NEED, code, "need")
    for name, concepts in (
        ("concept", inputs.values("concept")),
        ("condition", [one.get("code", {}) for one in inputs.values("condition")]),
    ):
        for concept in concepts:
            yield _of_concept(inputs, terminology, concept, name)


def _answered(engine: Engine, inputs: Inputs, terminology: Any, snapshot: Snapshot) -> Iterator[str]:
    """Yield the needs that answers to a questionnaire give rise to; one in words only is `other-need`."""
    for response in inputs.values("response"):
        for concept in needs_of(engine, snapshot, response):
            yield _of_concept(inputs, terminology, concept, "response")


def _of_concept(inputs: Inputs, terminology: Any, concept: Resource, name: str) -> str:
    for coding in concept.get("coding", ()):
        if "code" in coding and (found := _understood(terminology, *of_coding(coding)[:2])):
            return found
    raise inputs.refuse("no coding of it is a social need, and no concept map translates one to such a need.", name)


def _need(inputs: Inputs, terminology: Any, system: str, code: str, name: str) -> str:
    found = _understood(terminology, system, code)
    if found:
        return found
    known = [concept.code for concept in terminology.code_system(NEED)]
    near = get_close_matches(code[:60], known, 1)
    hint = f" Did you mean {near[0]}?" if near else f" CodeSystem/social-need lists {len(known)} of them."
    raise Malformed(
        f"{code[:60]!r} is no need that is known, and no concept map translates it to one.{hint}",
        key="unknown-code",
        code="code-invalid",
        expression=inputs.where(name),
    )


def _understood(terminology: Any, system: str, code: str) -> str:
    plain = system.partition("|")[0]
    if plain == NEED:
        concept = terminology.code_system(NEED).get(code)
        return concept.code if concept is not None else ""
    for match in terminology.translate(plain, code, reverse=True):
        if match.system == NEED:
            return str(match.code)
    return ""


def _areas(inputs: Inputs, directory: Directory) -> frozenset[str]:
    address = inputs.value("address") or {}
    nis: Resource = next(
        (one.get("valueIdentifier", one.get("valueCoding", {})) for one in address.get("extension", ())), {}
    )
    asked = {
        "nis": inputs.text("nis")
        or (str(nis.get("value", nis.get("code", ""))) if nis.get("system") in (NIS_CODE, DUTCH_CODE) else ""),
        "postal-code": inputs.text("postal-code") or str(address.get("postalCode", "")),
        "city": inputs.text("city") or str(address.get("city", "")),
    }
    for name, text in asked.items():
        if not text:
            continue
        postal = postal_key(text, str(address.get("country", ""))) if name == "postal-code" else ""
        found = directory.areas_by(
            nis=text if name == "nis" else "", postal=postal, city=text if name == "city" else ""
        )
        if found:
            return found
        raise Malformed(
            f"{text[:60]!r} is in no area of this directory. Give the NIS code, postal code or name of a municipality that it "
            "has (Location with an identifier of NamingSystem/nis).",
            key="unknown-area",
            code="not-found",
            expression=inputs.where(name if inputs.given(name) else "address"),
        )
    return frozenset()


def _position(inputs: Inputs) -> tuple[float, float] | None:
    text = inputs.text("position")
    if not text:
        return None
    try:
        latitude, longitude = (float(part) for part in text.split("|"))
    except ValueError:
        latitude = longitude = float("nan")
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):  # noqa: PLR2004  # degrees
        raise inputs.refuse(
            f"position is {text[:40]!r}; send latitude|longitude in degrees, as 50.93|4.43.", "position"
        )
    return latitude, longitude


def _age(inputs: Inputs, now_ms: int) -> float | None:
    if len(given := inputs.given("age", "birth-date")) > 1:
        raise inputs.refuse("send age or birth-date, one of them.", "age")
    if not given:
        return None
    if given == ["birth-date"]:
        try:
            born = date.fromisoformat(inputs.text("birth-date"))
        except ValueError:
            raise inputs.refuse("birth-date is a whole date, as 2004-05-17.", "birth-date") from None
        today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
        age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    else:
        age = inputs.value("age")
    if not 0 <= age <= _OLDEST:
        raise inputs.refuse(f"an age of {age} years; 0 to {_OLDEST} is taken.", given[0])
    return float(age)


def _listed(inputs: Inputs, terminology: Any, name: str, system: str) -> Iterator[str]:
    for text in inputs.texts(name):
        code = text.rpartition("|")[2]
        try:
            yield terminology.lookup(system, code).concept.code
        except NotFound:
            near = get_close_matches(code[:60], [one.code for one in terminology.code_system(system)], 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise Malformed(
                f"{name} {code[:60]!r} is no code of {system}.{hint}",
                key="unknown-code",
                code="code-invalid",
                expression=inputs.where(name),
            ) from None
