"""Subscription/$status: the state of subscriptions, as the caller sees them (Subscriptions R5 Backport)."""

from typing import Final

from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.operations.parameters import read_inputs
from fhir_server.interactions.request import Kind, Place, Request, Result
from fhir_server.interactions.routing import Interaction
from fhir_server.interactions.subscriptions import Subscription, read_subscription
from fhir_server.interactions.subscriptions_events import event_count
from fhir_server.interactions.subscriptions_notification import status_parameters
from fhir_server.model.codec import decode_stored, encode
from fhir_server.model.errors import Gone, NotFound, TooCostly
from fhir_server.search.bundle import Link, SearchEntry, searchset
from fhir_server.search.query import And, IdIs, Node, Or, Query, TokenIs
from fhir_server.store.port import Snapshot, Version

DEFINITION: Final = "https://w3id.org/social-referral/OperationDefinition/subscription-status"
_MOST: Final = 1000
_TYPE: Final = ("Subscription",)


def subscription_status(engine: Engine, request: Request, place: Place) -> Operation:
    """Return a searchset with a Parameters for the subscription, or for each that is asked for and seen."""
    inputs = read_inputs(engine, request, DEFINITION)
    where = _where(inputs.texts("id"), inputs.texts("status"))

    def work(snapshot: Snapshot) -> Result:
        found = [known(snapshot, place)] if place.id else _found(snapshot, where)
        entries = [_entry(snapshot, request.base, one) for one in found]
        links = [Link("self", f"{request.base}/{request.path}")]
        return Result(Kind.OK, searchset(entries, links, total=len(entries)))

    return Reading(work)


def known(snapshot: Snapshot, place: Place) -> Version:
    """Return the subscription at a place. Raises NotFound or Gone."""
    current = snapshot.current("Subscription", place.id)
    if current is None:
        raise NotFound(f"There is no Subscription/{place.id} here.")
    if current.body is None:
        raise Gone(f"Subscription/{place.id} was deleted.")
    return current


def read_known(version: Version) -> Subscription:
    """Read a stored subscription."""
    return read_subscription(decode_stored(version.body or b"{}"), version)


def _where(ids: tuple[str, ...], states: tuple[str, ...]) -> Node:
    parts: list[Node] = []
    if ids:
        parts.append(IdIs(ids))
    if states:
        parts.append(Or(tuple(TokenIs("status", None, one) for one in states)))
    return And(tuple(parts))


def _found(snapshot: Snapshot, where: Node) -> list[Version]:
    rows = snapshot.search(Query("Subscription", where, limit=_MOST + 1))
    if len(rows) > _MOST:
        raise TooCostly(f"More than {_MOST} subscriptions match; name some by id.")
    return [row.version for row in rows]


def _entry(snapshot: Snapshot, base: str, version: Version) -> SearchEntry:
    subscription = read_known(version)
    count = event_count(snapshot, subscription.id)
    status = status_parameters(base, subscription, "query-status", count)
    return SearchEntry(f"{base}/{subscription.reference}/$status", encode(status))


SUBSCRIPTION_STATUS: Final[tuple[Interaction, ...]] = (
    Interaction("GET", "type/$status", "status", "type", subscription_status, DEFINITION, _TYPE),
    Interaction("POST", "type/$status", "status", "type", subscription_status, DEFINITION, _TYPE),
    Interaction("GET", "type/id/$status", "status", "instance", subscription_status, DEFINITION, _TYPE),
    Interaction("POST", "type/id/$status", "status", "instance", subscription_status, DEFINITION, _TYPE),
)
