"""Tagging what was stored while access was not enforced, so that the policies know who wrote it and who may read it.

Each resource without a writer gets the organisation that the operator names, and the tags of `stamps`; that is a version
of its own. Progress is noted in the store, so that a run that ends early goes on where it stopped.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

import msgspec

from fhir_server.access.principal import Principal
from fhir_server.interactions import audit
from fhir_server.interactions.context import Engine
from fhir_server.interactions.guarding import Guarding
from fhir_server.interactions.offer_facts import Place
from fhir_server.interactions.stamps import sent_writer
from fhir_server.interactions.unit import Unit
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import canonical, decode_stored, encode
from fhir_server.model.errors import Malformed
from fhir_server.model.resource import Resource, with_server_fields
from fhir_server.store.port import Snapshot, UnitOfWork, Version

OPERATOR: Final = Principal(roles=frozenset({"operator"}), agent="access stamp")
_NOTE: Final = "access-stamp"
_BATCH: Final = 100


class Progress(NamedTuple):
    """How far a run has come: all changes up to `after` were looked at, those after `until` are tagged as they are written."""

    writer: str
    types: tuple[str, ...]
    after: int
    until: int
    stamped: int = 0
    """Resources that got another tag so far."""


def stamp_all(
    engine: Engine, writer: str, types: Sequence[str] = (), told: Callable[[Progress], None] = lambda _: None
) -> tuple[Progress, bool]:
    """Tag all current resources, or those of some types; return how far it came and whether it was resumed.

    `writer` is `Organization/id`, "" to name none: then only what can be told from the resources is noted. A writer that a
    resource has already stays. Raises Malformed for an organisation that is not stored.
    """
    progress, resumed = engine.store.read(lambda snapshot: _begun(snapshot, writer, tuple(sorted(types))))
    told(progress)
    while progress.after < progress.until:
        progress = engine.store.write(partial(_step, engine, progress))
        told(progress)
    engine.store.write(lambda uow: uow.set_note(_NOTE, ""))
    return progress, resumed


def _begun(snapshot: Snapshot, writer: str, types: tuple[str, ...]) -> tuple[Progress, bool]:
    if writer:
        kind, _, identity = writer.partition("/")
        found = snapshot.current(kind, identity) if kind == "Organization" and identity else None
        if found is None or found.deleted:
            raise Malformed(
                f"{writer[:80]!r} is no organisation that is stored; name one as Organization/id.", key="stamp-writer"
            )
    noted = snapshot.note(_NOTE)
    if noted:
        left = msgspec.json.decode(noted, type=Progress)
        if (left.writer, left.types) == (writer, types):
            return left, True
    return Progress(writer, types, 0, snapshot.last_sequence()), False


def _step(engine: Engine, at: Progress, uow: UnitOfWork) -> Progress:
    """Look at some changes in one unit of work, and note how far that came."""
    found = [one for one in uow.changes(at.after, _BATCH, at.types) if one.sequence <= at.until]
    unit = Unit(engine, uow, OPERATOR)
    guard = Guarding(engine, uow, replace(OPERATOR, roles=frozenset({"platform"})))
    written = [version for one in found if (version := _stamped(unit, guard, one, at.writer)) is not None]
    if written:
        bodies = [version.body for version in written if version.body is not None]
        access = audit.change(written, bodies, engine.own_base, None, engine.auditor.sealing.seal)
        audit.append(uow, OPERATOR, [access])
    after = found[-1].sequence if len(found) == _BATCH else at.until
    reached = at._replace(after=after, stamped=at.stamped + len(written))
    uow.set_note(_NOTE, msgspec.json.encode(reached).decode())
    return reached


def _stamped(unit: Unit, guard: Guarding, version: Version, writer: str) -> Version | None:
    """Write a resource with its tags; None where it is not current any more or has them all."""
    uow, engine = unit.uow, unit.engine
    current = uow.current(version.type, version.id)
    if current is None or current.body is None or current.version != version.version:
        return None
    before: Resource = decode_stored(current.body)
    known = sent_writer(before) or ("" if _is_area(before) else writer)
    after = guard.stamped_for(before, None, unit, known, operates=True)
    if canonical(after) == canonical(before):
        return None
    stored = with_server_fields(after, current.id, current.version + 1, render_instant(uow.last_updated))
    entries = engine.extractor.extract(stored)
    return uow.put(current.type, current.id, current.version + 1, encode(stored), entries, "PUT")


def _is_area(resource: Resource) -> bool:
    """Tell whether a resource is an area, which is the operator's and gets no writer: areas that organisations wrote do not count."""
    if resource["resourceType"] != "Location" or "managingOrganization" in resource:
        return False
    return any(True for _ in Place(resource).area_keys())
