"""On whose behalf a subscription is told: the principal that made it, kept beside the resource and not in it.

The record is the server's own, so that nobody makes a subscription for somebody else. The rights are those that the
principal has when something is told: a client that was disabled since has none, narrower scopes hold at once.
"""

from dataclasses import replace
from typing import Final

from fhir_server.access.clients import find_client
from fhir_server.access.guarded import Asked
from fhir_server.access.kept_principal import described, principal_of
from fhir_server.access.principal import Principal
from fhir_server.access.scopes import narrowed
from fhir_server.interactions.context import Engine
from fhir_server.model.codec import decode_stored, encode
from fhir_server.store.port import Snapshot, UnitOfWork

OWNER: Final = "subscription"
"""Kind of the record; its key is the id of the Subscription."""
_CLIENT: Final = "client:"


def keep_owner(uow: UnitOfWork, subscription: str, principal: Principal, since: int) -> None:
    """Keep who a subscription is for; `since` is the sequence number after which changes are its events."""
    uow.set_record(OWNER, subscription, encode({**described(principal), "since": since}))


def owner_of(snapshot: Snapshot, subscription: str) -> tuple[Principal, int] | None:
    """Return the principal and where its events begin; None for a subscription that was never admitted here."""
    record = snapshot.record(OWNER, subscription)
    if record is None:
        return None
    said = decode_stored(record.body)
    return principal_of(said), int(said["since"])


def standing(snapshot: Snapshot, principal: Principal) -> Principal | None:
    """Return the principal with the rights that it has now; None when it may do nothing any more."""
    if not principal.agent.startswith(_CLIENT):
        return principal
    client = find_client(snapshot, principal.agent.removeprefix(_CLIENT))
    if client is None or not client.active:
        return None
    scopes = narrowed(principal.scopes, client.scopes) if principal.scopes is not None else client.scopes
    return replace(client.principal(scopes), person=principal.person)


def view_of(engine: Engine, snapshot: Snapshot, principal: Principal) -> Snapshot | None:
    """Return a snapshot as the subscriber sees it now; None when it sees nothing any more."""
    known = standing(snapshot, principal)
    return engine.access.guard(snapshot, known, Asked()) if known is not None else None
