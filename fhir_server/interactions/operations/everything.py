"""$everything on a Patient or an Encounter (R4 operation-patient-everything.html, operation-encounter-everything.html).

The record in a fixed order: the resource itself; what is in its compartment or names it by `patient` or `encounter`, by
sequence of change; what those refer to directly, by type and id. The cursor is a place in that order, so a page neither
skips nor repeats what did not change, and what is written meanwhile comes at the end of the second part.

Without `_count` the whole record comes at once, up to the largest page of the server (setting max_count).
"""

from typing import Final
from urllib.parse import urlencode

from fhir_server.artifacts.r4.compartments import compartments
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.operations.everything_asked import Asked, read_asked
from fhir_server.interactions.operations.everything_record import Record
from fhir_server.interactions.request import Kind, Parameters, Place, Request, Result
from fhir_server.interactions.routing import Interaction
from fhir_server.model.errors import Gone, NotFound
from fhir_server.search.bundle import Link, Mode, SearchEntry, searchset
from fhir_server.search.page import Position, fingerprint_of
from fhir_server.store.port import Snapshot, Version

DEFINITIONS: Final = {
    "Patient": "https://w3id.org/social-referral/OperationDefinition/patient-everything",
    "Encounter": "https://w3id.org/social-referral/OperationDefinition/encounter-everything",
}
"""Resource type → canonical of the operation on it."""

_MEMBERS, _REFERRED = "members", "referred"
"""The parts of the order that a cursor names: `(members, sequence)`, `(referred, Type/id)`."""


def everything(engine: Engine, request: Request, place: Place) -> Operation:
    """Return the record of a patient or an encounter, or the page of it that a cursor names."""
    compartment = compartments()[place.type]
    path = f"{place.type}/{place.id}/$everything"
    asked = read_asked(engine, request, DEFINITIONS[place.type])
    mark = fingerprint_of(request.base, path, asked.used)
    after = engine.cursors.decode(asked.cursor, mark) if asked.cursor else ()

    def work(snapshot: Snapshot) -> Result:
        owner = snapshot.current(place.type, place.id)
        if owner is None:
            raise NotFound(f"There is no {place.type}/{place.id} here.")
        if owner.deleted:
            raise Gone(f"{place.type}/{place.id} was deleted; its history is at {place.type}/{place.id}/_history.")
        record = Record(engine, snapshot, compartment, owner, asked, request.base)
        matches, others, following = _page(record, asked, after)
        links = [Link("self", _url(request, path, asked.used))]
        if following:
            cursor = engine.cursors.encode(mark, following)
            links.append(Link("next", _url(request, path, (*asked.used, ("_cursor", cursor)))))
        entries = [*_entries(request, matches, "match"), *_entries(request, others, "include")]
        total = len(matches) if not after and not following else None
        return Result(Kind.OK, searchset(entries, links, total=total))

    return Reading(work, heavy=True)


def _page(record: Record, asked: Asked, after: Position) -> tuple[list[Version], list[Version], Position]:
    """Return the matches and the others of a page, and where the next page starts, () when there is none."""
    part, reached = (str(after[0]), after[1]) if after else (_MEMBERS, 0)
    matches: list[Version] = []
    if not after and asked.wants(record.owner.type):
        matches.append(record.owner)
    last: Position = (part, reached)
    if part == _MEMBERS:
        room = asked.size - len(matches)
        rows = record.members(int(reached or 0), room + 1)
        if len(rows) > room:
            return [*matches, *rows[:room]], [], (_MEMBERS, rows[room - 1].sequence if room else reached)
        matches += rows
        last = (_MEMBERS, rows[-1].sequence if rows else reached)
    room = asked.size - len(matches)
    # every member is at hand when one page holds them all; otherwise they are read again to see what they refer to
    at_hand = matches if not after and not asked.narrows else None
    others = record.referred(at_hand, str(reached) if part == _REFERRED else "", room + 1)
    if len(others) > room:
        others = others[:room]
        return matches, others, (_REFERRED, f"{others[-1].type}/{others[-1].id}") if others else last
    return matches, others, ()


def _entries(request: Request, versions: list[Version], mode: Mode) -> list[SearchEntry]:
    return [
        SearchEntry(f"{request.base}/{version.type}/{version.id}", version.body or b"", mode) for version in versions
    ]


def _url(request: Request, path: str, parameters: Parameters) -> str:
    return f"{request.base}/{path}" + (f"?{urlencode(parameters)}" if parameters else "")


EVERYTHING: Final[tuple[Interaction, ...]] = tuple(
    Interaction(method, "type/id/$everything", "everything", "instance", everything, definition, (name,))
    for name, definition in DEFINITIONS.items()
    for method in ("GET", "POST")
)
