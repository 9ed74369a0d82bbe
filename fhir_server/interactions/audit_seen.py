"""What an answer showed: the resources in it, each with its version, and the persons whom they are about."""

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from fhir_server.interactions.audit import Access, Entity, Seal, describe, persons_in, set_query, unversioned
from fhir_server.interactions.request import Request, Result
from fhir_server.interactions.status import status_of
from fhir_server.store.port import Version

Fetch = Callable[[str, str, int], Version | None]
"""(type, id, version) → that version as it is stored."""


class _Meta(msgspec.Struct, frozen=True):
    versionId: str = ""  # noqa: N815  # as FHIR spells it


class _Shown(msgspec.Struct, frozen=True):
    resourceType: str = ""  # noqa: N815  # as FHIR spells it
    id: str = ""
    meta: _Meta = _Meta()


class _Entry(msgspec.Struct, frozen=True):
    resource: _Shown | None = None


class _Page(msgspec.Struct, frozen=True):
    resourceType: str = ""  # noqa: N815  # as FHIR spells it
    entry: list[_Entry] = []


_page = msgspec.json.Decoder(_Page)
_SUBSETS: Final = frozenset({"_elements", "_summary"})
_FORM: Final = "application/x-www-form-urlencoded"


def seen(request: Request, result: Result, at: str, fetch: Fetch, seal: Seal) -> Access:
    """Return the access that an answer was.

    A page that shows only parts of its resources may leave out whom they are about: `fetch` then gives them whole.
    """
    version = result.version
    if version is not None:  # the commonest by far: one resource
        what = f"{version.type}/{version.id}"
        persons = persons_in(version.body or b"", request.base)
        if version.type == "Patient" and what not in persons:
            persons.append(what)
        entity = Entity("R", f"{what}/_history/{version.version}")
        does = f"{request.method} {request.path}"
        access = Access(does, at, int(status_of(result.kind)), request.request_id, entity=[entity], persons=persons)
        if request.query:
            set_query(access, request.query, seal)
        return access
    return _page_seen(request, result, Access(at=at, outcome=int(status_of(result.kind))), fetch, seal)


def _page_seen(request: Request, result: Result, access: Access, fetch: Fetch, seal: Seal) -> Access:
    describe(access, request, seal)
    if request.method == "POST" and request.content_type.startswith(_FORM):
        form = tuple(parse_qsl((request.body or b"").decode(errors="replace"), keep_blank_values=True))
        set_query(access, (*request.query, *form), seal)
    bodies = [result.body or b""]
    access.entity = [Entity("R", what) for what in _references(result)]
    if any(name in _SUBSETS for name, _ in request.query):
        bodies += [_whole(entity.what, fetch) for entity in access.entity]
    persons = {person: None for body in bodies for person in persons_in(body, request.base)}
    for entity in access.entity:
        if entity.what.startswith("Patient/"):
            persons[unversioned(entity.what)] = None
    access.persons = list(persons)
    return access


def _references(result: Result) -> list[str]:
    """Return the references, with versions, of the resources in an answer that is no single one."""
    if result.shown:
        return [f"{one.type}/{one.id}/_history/{one.version}" for one in result.shown]
    return shown(result.body or b"")


def shown(body: bytes) -> list[str]:
    """Return the references, with versions, of the resources in a Bundle; [] for anything else."""
    try:
        page = _page.decode(body)
    except msgspec.DecodeError:
        return []
    return [_reference(entry.resource) for entry in page.entry if entry.resource is not None and entry.resource.id]


def _reference(resource: _Shown) -> str:
    place = f"{resource.resourceType}/{resource.id}"
    return f"{place}/_history/{resource.meta.versionId}" if resource.meta.versionId else place


def _whole(what: str, fetch: Fetch) -> bytes:
    kind, identity, *version = what.split("/")
    if not version or not version[-1].isdecimal():
        return b""
    found = fetch(kind, identity, int(version[-1]))
    return b"" if found is None else found.body or b""
