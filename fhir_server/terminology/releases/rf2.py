"""SNOMED CT in Release Format 2: the snapshot files of a release (docs.snomed.org, RF2 specification).

Read are concepts, descriptions, text definitions, is-a relationships and language reference sets; no full or delta files.
"""

import re
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from fhir_server.terminology.releases.files import ReleaseFile, Told, lines
from fhir_server.terminology.releases.gathering import INACTIVE, About, Gathering
from fhir_server.terminology.releases.problem import ReleaseError

SNOMED: Final = "http://snomed.info/sct"
_NAME: Final = re.compile(
    r"x?(?:sct2_(Concept|Description|TextDefinition|Relationship)|der2_c(Refset)_Language)_?Snapshot.*_(\d{8})\.txt"
)
_IS_A: Final = "116680003"
_SYNONYM: Final = "900000000000013009"
_FULL_NAME: Final = "900000000000003001"
_PREFERRED: Final = "900000000000548007"
_CORE: Final = frozenset({"900000000000207008", "900000000000012004"})
"""Modules that every edition has."""
_INTERNATIONAL: Final = "900000000000207008"
_DEFINED: Final = "900000000000073002"
_AS_FULL_NAME: Final = {"system": SNOMED, "code": _FULL_NAME, "display": "Fully specified name"}
_AS_SYNONYM: Final = {"system": SNOMED, "code": _SYNONYM, "display": "Synonym"}
_COLUMNS: Final = {
    "Concept": "id effectiveTime active moduleId definitionStatusId",
    "Description": "id effectiveTime active moduleId conceptId languageCode typeId term caseSignificanceId",
    "Relationship": "id effectiveTime active moduleId sourceId destinationId relationshipGroup typeId "
    "characteristicTypeId modifierId",
    "Refset": "id effectiveTime active moduleId refsetId referencedComponentId acceptabilityId",
}
_COLUMNS_OF: Final = {**_COLUMNS, "TextDefinition": _COLUMNS["Description"]}


def kind_of(file: ReleaseFile) -> str:
    """Return which file of a snapshot it is, by its name; "" for any other file."""
    found = _NAME.fullmatch(file.name)
    return (found[1] or found[2]) if found else ""


def read_rf2(files: Sequence[ReleaseFile], gathering: Gathering, told: Told) -> None:
    """Read the snapshot files of one release. Raises ReleaseError."""
    by_kind: dict[str, list[ReleaseFile]] = {}
    for file in files:
        by_kind.setdefault(kind_of(file), []).append(file)
    for kind in ("Concept", "Description", "Relationship"):
        if kind not in by_kind:
            raise ReleaseError(f"the release has no snapshot file of type {kind} (sct2_{kind}_Snapshot_….txt).")
    modules: Counter[str] = Counter()
    for file in by_kind["Concept"]:
        _concepts(file, gathering, told, modules)
    preferred = _preferred(by_kind.get("Refset", ()), told)
    for kind in ("Description", "TextDefinition"):
        for file in by_kind.get(kind, ()):
            _descriptions(file, gathering, told, preferred)
    for file in by_kind["Relationship"]:
        _relationships(file, gathering, told)
    gathering.about = About(
        SNOMED,
        _version(modules, by_kind["Concept"]),
        "SNOMED CT",
        value_set=f"{SNOMED}?fhir_vs",
        property_types={"moduleId": "code", "sufficientlyDefined": "boolean", "inactive": "boolean"},
        language="en",
    )


def _rows(file: ReleaseFile, kind: str, told: Told) -> Iterator[tuple[int, list[str]]]:
    columns = _COLUMNS_OF[kind].split()
    found = lines(file, told)
    line, header = next(found, (1, ""))
    if header.split("\t") != columns:
        raise ReleaseError(f"the header must be {' '.join(columns)}, separated by tabs.", file.where, line)
    count = len(columns)
    for line, text in found:
        row = text.split("\t")
        if len(row) != count:
            raise ReleaseError(f"it has {len(row)} values; the header names {count}.", file.where, line)
        yield line, row


def _concepts(file: ReleaseFile, gathering: Gathering, told: Told, modules: Counter[str]) -> None:
    for line, (code, _, active, module, status) in _rows(file, "Concept", told):
        place = gathering.add(code, 0 if active == "1" else INACTIVE, file.where, line)
        gathering.say(place, "", "", {"moduleId": [module], "sufficientlyDefined": [status == _DEFINED]})
        modules[module] += 1


def _preferred(files: Sequence[ReleaseFile], told: Told) -> "array[int]":
    """Return the ids of the descriptions that a language reference set prefers, sorted."""
    found = array("q")
    for file in files:
        for line, row in _rows(file, "Refset", told):
            if row[2] == "1" and row[6] == _PREFERRED:
                found.append(_id(row[5], file, line))
    return array("q", sorted(found))


def _descriptions(file: ReleaseFile, gathering: Gathering, told: Told, preferred: "array[int]") -> None:
    places = gathering.numbers
    for line, (identity, _, active, _, code, language, kind, term, _) in _rows(file, "Description", told):
        if active != "1":
            continue
        place = places.get(code)
        if place is None:
            raise ReleaseError(
                f"the concept {code[:40]} is not in the release. Load an edition whole.", file.where, line
            )
        if not term.strip():
            raise ReleaseError("the term is empty.", file.where, line)
        number = _id(identity, file, line)
        at = bisect_left(preferred, number)
        first = at < len(preferred) and preferred[at] == number
        use: Any
        if kind == _FULL_NAME:
            use, rank = _AS_FULL_NAME, 2
        elif kind == _SYNONYM:
            use, rank = (None, 0) if first else (_AS_SYNONYM, 1)
        else:
            gathering.define(place, term)
            continue
        gathering.name(place, language, term, use, rank)


def _relationships(file: ReleaseFile, gathering: Gathering, told: Told) -> None:
    places = gathering.numbers
    for line, row in _rows(file, "Relationship", told):
        if row[7] != _IS_A or row[2] != "1":
            continue
        child, parent = places.get(row[4]), places.get(row[5])
        if child is None or parent is None:
            missing = row[4] if child is None else row[5]
            raise ReleaseError(
                f"the concept {missing[:40]} is not in the release. Load an edition whole.", file.where, line
            )
        gathering.link(child, parent)


def _id(text: str, file: ReleaseFile, line: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:  # noqa: PLR2004  # SCTIDs have at most 18 digits
        raise ReleaseError(f"{text[:40]!r} is no SNOMED CT identifier.", file.where, line)
    return int(text)


def _version(modules: Counter[str], files: Sequence[ReleaseFile]) -> str:
    """Return the URI of the edition: its own module is the largest that not every edition has."""
    own = [(count, module) for module, count in modules.items() if module not in _CORE]
    module = max(own)[1] if own else _INTERNATIONAL
    date = max(found[3] for file in files if (found := _NAME.fullmatch(file.name)))
    return f"{SNOMED}/{module}/version/{date}"
