"""POST [base]: batch and transaction (R4 http.html#transaction)."""

from fhir_server.interactions.bundle.batch import batch
from fhir_server.interactions.bundle.plan import Entry, plan
from fhir_server.interactions.bundle.transaction import transaction
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Many, Operation, Writing
from fhir_server.interactions.request import Place, Request
from fhir_server.interactions.write import no_query
from fhir_server.model.codec import decode_resource
from fhir_server.model.errors import Malformed, RuleViolated

_LIGHT_ENTRIES = 40
"""A transaction of so many entries takes some ten milliseconds; a larger one runs off the event loop."""


def bundle(engine: Engine, request: Request, place: Place) -> Operation:  # noqa: ARG001  # the shape of every handler
    """Process a batch or a transaction; every fault of its shape is told before anything is done."""
    no_query(request, "batch and transaction")
    body = decode_resource(request.body or b"")
    if body["resourceType"] != "Bundle":
        raise Malformed(
            f"The base takes a Bundle of type batch or transaction; this is a {body['resourceType']!r}. Send a resource "
            "to the URL of its type.",
            key="wrong-resource-type",
            expression="resourceType",
        )
    if body.get("type") not in ("batch", "transaction"):
        raise Malformed(
            f"The Bundle is of type {body.get('type')!r}; the base takes batch and transaction.",
            key="bundle-type",
            expression="Bundle.type" if "type" in body else "Bundle",
        )
    entries: tuple[Entry, ...] = plan(engine, request, body)
    if broken := engine.validator.claims(body):
        raise RuleViolated(issues=broken)
    if body["type"] == "batch":
        return Many(lambda: batch(engine, entries))
    return Writing(lambda unit: transaction(unit, request, entries), heavy=len(entries) > _LIGHT_ENTRIES)
