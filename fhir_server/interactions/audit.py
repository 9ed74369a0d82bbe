"""The records of the audit trail: who did what, for whom, why, and what came of it. The store chains them by digest.

A unit of work writes one record for all that it changed, in its own transaction. Accesses are written in batches, one
record for each caller in a batch (`audit_queue`). `keys_of` gives the keys that a record is found by: they follow from its
bytes alone, so that a verification finds a key that was taken away. A record is rendered as AuditEvents when it is read.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from fhir_server.access.principal import Principal
from fhir_server.interactions.request import Parameters, Request
from fhir_server.model.clock import render_instant
from fhir_server.store.port import UnitOfWork, Version

_ACTIONS: Final = {"POST": "C", "PUT": "U", "PATCH": "U", "DELETE": "D"}
"""https://hl7.org/fhir/R4/valueset-audit-event-action.html"""

_HARMLESS: Final = frozenset(
    {
        "_count",
        "_cursor",
        "_elements",
        "_id",
        "_include",
        "_lastUpdated",
        "_pretty",
        "_revinclude",
        "_since",
        "_sort",
        "_summary",
        "_total",
        "_type",
        "authored-on",
        "based-on",
        "category",
        "code",
        "date",
        "encounter",
        "focus",
        "intent",
        "modified",
        "organization",
        "owner",
        "part-of",
        "patient",
        "performer",
        "period",
        "priority",
        "requester",
        "status",
        "subject",
    }
)
"""Parameters whose values name no person by more than a logical id; a query with any other is sealed in the trail."""

Seal = Callable[[bytes, str], bytes]
"""(clear, place) → a text that only this server can read."""
PLACE: Final = "audit"
_PATIENT, _REFERENCE = b"Patient/", b'"reference":'
_AS_STORED: Final = b'"reference":"'
"""What stands before nearly every reference: this server writes no spaces."""
_LOGICAL: Final = re.compile(rb'(Patient/[A-Za-z0-9.-]{1,64})["/]')


class Entity(msgspec.Struct, omit_defaults=True):
    """One thing that was accessed or changed; `what` is a relative reference, with its version where it has one."""

    action: str
    what: str


class Access(msgspec.Struct, omit_defaults=True):
    """One interaction: `at` is its instant, `does` its method and path, `outcome` its HTTP status."""

    does: str = ""
    at: str = ""
    outcome: int = 200
    request: str = ""
    query: str = ""
    sealed: bytes = b""
    """The query, when it may name a person."""
    entity: list[Entity] = []
    persons: list[str] = []
    """`Patient/id` of those whom it is about."""
    times: int = 1
    """How often it happened alike, for refusals that came too fast to be told one by one."""


class AuditEntry(msgspec.Struct, omit_defaults=True):
    """One record: the caller once, and what it did. `event` is set for what is done to get in (`access.trail`)."""

    recorded: str
    agent: str = ""
    organization: str = ""
    roles: list[str] = []
    person: str = ""
    purpose: str = ""
    reason: str = ""
    event: str = ""
    outcome: str = ""
    entity: list[Entity] = []
    accesses: list[Access] = []


_decoder = msgspec.json.Decoder(AuditEntry)


def read_record(record: bytes) -> AuditEntry:
    """Read a record. Raises msgspec.ValidationError or DecodeError for bytes that this server did not write."""
    return _decoder.decode(record)


def append(uow: UnitOfWork, principal: Principal, accesses: Sequence[Access]) -> int:
    """Append one record with what a principal did, and return its number."""
    entry = AuditEntry(
        recorded=render_instant(uow.last_updated),
        agent=principal.agent,
        organization=principal.organization,
        roles=sorted(principal.roles),
        person=principal.person,
        purpose=principal.purpose,
        reason=principal.reason,
        accesses=list(accesses),
    )
    keys = sorted(keys_of(entry))  # neighbours in the index are written together
    return uow.append_audit(msgspec.json.encode(entry), keys)


def keys_of(entry: AuditEntry) -> tuple[str, ...]:
    """Return the keys that a record is found by: its entities and persons, its agent and organisation."""
    if entry.event:
        return tuple(one.what for one in entry.entity)
    keys = [f"agent:{entry.agent}"]
    if entry.organization:
        keys.append(f"agent:{entry.organization}")
    for access in entry.accesses:
        keys += [unversioned(one.what) for one in access.entity]
        keys += access.persons
    return tuple(dict.fromkeys(keys))


def unversioned(what: str) -> str:
    """Return a reference without its version."""
    return what.partition("/_history/")[0]


def change(
    written: Sequence[Version], bodies: Iterable[bytes], base: str, request: Request | None, seal: Seal
) -> Access:
    """Return the access of a unit that wrote these versions; `bodies` say whom they are about."""
    entities = [
        Entity(_ACTIONS[version.method], f"{version.type}/{version.id}/_history/{version.version}")
        for version in written
    ]
    persons = list(dict.fromkeys(one for body in bodies for one in persons_in(body, base)))
    persons += [what for what in _patients(written) if what not in persons]
    access = Access(entity=entities, persons=persons)
    if request is not None:
        describe(access, request, seal)
    return access


def describe(access: Access, request: Request, seal: Seal) -> None:
    """Say of an access which request it was."""
    access.does = f"{request.method} {request.path}"[:200]
    access.request = request.request_id
    if request.query:
        set_query(access, request.query, seal)


def set_query(access: Access, query: Parameters, seal: Seal) -> None:
    """Keep the text of a query: in clear when nothing in it can name a person, sealed otherwise."""
    text = "&".join(f"{name}={value}" for name, value in query)
    if all(name in _HARMLESS for name, _ in query):
        access.query = text
    else:
        access.sealed = b64encode(seal(text.encode(), PLACE))


def persons_in(body: bytes, base: str) -> list[str]:
    """Return `Patient/id` of every patient of this server that a resource or Bundle refers to, each once.

    A search for the few places where the type occurs: an expression over the whole body would take ten times as long.
    """
    found: dict[bytes, None] = {}
    at = body.find(_PATIENT)
    while at >= 0:
        if body.endswith(_AS_STORED, 0, at) or _is_reference(body, at, base):
            match = _LOGICAL.match(body, at)
            if match is not None:
                found[match[1]] = None
        at = body.find(_PATIENT, at + 8)
    return [one.decode() for one in found]


def _is_reference(body: bytes, at: int, base: str) -> bool:
    """Tell whether what stands at a place is the value of a reference, by itself or behind the base."""
    quote = body.rfind(b'"', 0, at)
    before = body[quote + 1 : at]
    if not body[max(0, quote - 16) : quote].rstrip().endswith(_REFERENCE):
        return False
    return not before or before == b"%b/" % base.encode()


def _patients(versions: Iterable[Version]) -> list[str]:
    return list(dict.fromkeys(f"Patient/{one.id}" for one in versions if one.type == "Patient"))
