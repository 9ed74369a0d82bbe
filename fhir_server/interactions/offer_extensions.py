"""What the extensions of a HealthcareService say, and which of them cannot be read.

Where a profile of ours is claimed such an extension is refused when it is written. Without one R4 keeps it, so what
cannot be read counts as if it were not said, and is told: by `$validate`, and by `$suggest` to who asks for the service.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from fhir_server.model.resource import Resource
from fhir_server.model.temporal import parse_temporal
from fhir_server.validation.wording import Said, say
from fhir_server.workflow.seasons import Season, is_day, read_season
from fhir_server.workflow.suggestion_facts import CAPACITIES

_BASE: Final = "https://w3id.org/social-referral"
CHANNEL: Final = f"{_BASE}/CodeSystem/service-channel"
CAPACITY: Final = (
    "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-ExtensionHealthcareServiceCapacityStatus"
)
_SD: Final = f"{_BASE}/StructureDefinition/"
_DAYS: Final = {"d": 1.0, "wk": 7.0, "mo": 30.4375, "a": 365.25, "h": 1 / 24}
_WORDS: Final = {
    word: code
    for code, words in (
        ("h", "hour hours uur uren heure heures stunde stunden"), ("d", "day days dag dagen jour jours tag tage"),
        ("wk", "week weeks weken semaine semaines woche wochen"), ("mo", "month months maand maanden mois monat monate"),
        ("a", "year years jaar jaren an ans année années jahr jahre"),
    )
    for word in words.split()
}  # fmt: skip
"""Units as people write them, for a quantity without a code."""


class Fault(NamedTuple):
    """An extension that cannot be read: where it stands below the service (`.extension[2]`), and why."""

    place: str
    why: Said


class Facts(NamedTuple):
    """What the extensions say (see `workflow.suggestion_facts.Offer`); what cannot be read has the value of what is not said."""

    youngest: float = 0.0
    oldest: float = math.inf
    channels: frozenset[str] = frozenset()
    capacity: str = "unknown"
    wait_days: float | None = None
    verified_ms: int | None = None
    seasons: tuple[Season, ...] = ()
    faults: tuple[Fault, ...] = ()


class _Unreadable(ValueError):
    """An extension says nothing that can be counted with; the argument says why."""

    def __init__(self, name: str, **values: Any) -> None:
        super().__init__(name)
        self.reason = say(name, **values)


def read_extensions(service: Resource) -> Facts:
    """Read them all; of one that may stand once, the first that can be read counts."""
    said: dict[str, list[Any]] = {}
    faults: list[Fault] = []
    for index, extension in enumerate(service.get("extension", ())):
        reader = _READERS.get(extension.get("url"))
        if reader is None:
            continue
        name, read = reader
        try:
            said.setdefault(name, []).append(read(extension))
            reason = say("fact.twice") if len(said[name]) > 1 and name not in _SEVERAL else None
        except _Unreadable as error:
            reason = error.reason
        if reason is not None:
            what = extension["url"].rpartition("/")[2]
            faults.append(Fault(f".extension[{index}]", say("fact", what=what, reason=reason)))
    if not said and not faults:
        return _SILENT
    first = {name: found[0] for name, found in said.items() if found}
    youngest, oldest = first.get("ages", (0.0, math.inf))
    return Facts(
        youngest,
        oldest,
        frozenset().union(*said.get("channels", ())),
        first.get("capacity", "unknown"),
        first.get("wait"),
        first.get("verified"),
        tuple(said.get("seasons", ())),
        tuple(faults),
    )


def codes_of(concepts: Iterable[Resource], system: str) -> frozenset[str]:
    """Return the codes of a system in CodeableConcepts."""
    return frozenset(
        coding["code"]
        for concept in concepts
        for coding in concept.get("coding", ())
        if coding.get("system") == system and "code" in coding
    )


def _ages(extension: Resource) -> tuple[float, float]:
    found = _value(extension, "valueRange")
    if "low" not in found and "high" not in found:
        raise _Unreadable("fact.part", part="valueRange.low")
    low, high = _years(found, "low", 0.0), _years(found, "high", math.inf)
    if low > high:
        raise _Unreadable("fact.order", low=f"{low:g}", high=f"{high:g}")
    return low, high


def _years(bounds: Resource, part: str, otherwise: float) -> float:
    if part not in bounds:
        return otherwise
    return _counted(bounds[part], f"valueRange.{part}", "a") / _DAYS["a"]


def _wait(extension: Resource) -> float:
    duration = _value(extension, "valueDuration")
    if duration.get("comparator") in (">", ">="):
        raise _Unreadable("fact.comparator", found=f"{duration['comparator']} {duration.get('value', '')}")
    return _counted(duration, "valueDuration", "")


def _counted(quantity: Resource, part: str, unsaid: str) -> float:
    """Return a Quantity in days; `unsaid` is the unit of a bare number."""
    if "value" not in quantity:
        raise _Unreadable("fact.part", part=f"{part}.value")
    if quantity["value"] < 0:
        raise _Unreadable("fact.negative", part=part, found=quantity["value"])
    said = str(quantity.get("code", quantity.get("unit", unsaid)))
    unit = said if "code" in quantity else _WORDS.get(said.strip().casefold(), said)
    if unit not in _DAYS:
        found = repr(said[:40])
        raise _Unreadable("fact.unit", part=part, found=found, wanted=", ".join(_DAYS))
    return float(quantity["value"]) * _DAYS[unit]


def _channels(extension: Resource) -> frozenset[str]:
    found = codes_of([_value(extension, "valueCodeableConcept")], CHANNEL)
    if not found:
        raise _Unreadable("fact.code", part="valueCodeableConcept", wanted=CHANNEL)
    return found


def _capacity(extension: Resource) -> str:
    concepts = [
        part.get("valueCodeableConcept", {})
        for part in extension.get("extension", ())
        if part.get("url") == "capacityStatus"
    ]
    if not concepts:
        raise _Unreadable("fact.part", part="capacityStatus")
    listed = [coding.get("code") for concept in concepts for coding in concept.get("coding", ())]
    known = [str(code) for code in listed if code in CAPACITIES]
    if not known:
        raise _Unreadable("fact.code", part="capacityStatus", wanted=", ".join(sorted(CAPACITIES)))
    return known[0]


def _verified(extension: Resource) -> int:
    text = extension.get("valueDate", extension.get("valueDateTime"))
    if text is None:
        raise _Unreadable("fact.part", part="valueDate")
    return parse_temporal(str(text)).lo // 1000


def _season(extension: Resource) -> Season:
    said = {one.get("url"): str(one.get("valueString", "")) for one in extension.get("extension", ())}
    season = read_season(said.get("start", ""), said.get("end", ""), said.get("description", ""))
    if season is not None:
        return season
    part = "end" if is_day(said.get("start", "")) else "start"
    if not said.get(part):
        raise _Unreadable("fact.part", part=part)
    raise _Unreadable("fact.day", part=part, found=repr(said[part][:40]))


def _value(extension: Resource, name: str) -> Any:
    if name not in extension:
        raise _Unreadable("fact.part", part=name)
    return extension[name]


_SILENT: Final = Facts()
_SEVERAL: Final = frozenset({"channels", "seasons"})
_READERS: Final[Mapping[Any, tuple[str, Callable[[Resource], Any]]]] = {
    f"{_SD}eligibility-age": ("ages", _ages),
    f"{_SD}service-channel": ("channels", _channels),
    CAPACITY: ("capacity", _capacity),
    f"{_SD}service-wait": ("wait", _wait),
    f"{_SD}last-verified": ("verified", _verified),
    f"{_SD}service-season": ("seasons", _season),
}
