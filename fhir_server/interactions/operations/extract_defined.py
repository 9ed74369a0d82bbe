"""What a definition-based extraction looks up: resources that it updates by id, and those that its conditions find."""

from collections.abc import Sequence

from fhir_server.interactions.conditional import one_match
from fhir_server.interactions.context import Engine
from fhir_server.interactions.request import Request
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import RuleViolated
from fhir_server.model.resource import Resource
from fhir_server.store.port import Snapshot
from fhir_server.workflow.screening_extraction import Extracted


def defined_before(
    engine: Engine, snapshot: Snapshot, request: Request | None, found: Sequence[Extracted], known: dict[str, Resource]
) -> None:
    """Add to `known` (URN → resource) what a questionnaire names by id, or by the condition of a creation.

    Raises RuleViolated for an id that names nothing here.
    """
    for one in found:
        if one.update is None:
            continue
        kind, resource_id = one.resource["resourceType"], one.resource.get("id")
        if resource_id is not None:
            current = snapshot.current(kind, resource_id)
            if current is None or current.body is None:
                raise RuleViolated(
                    f"There is no {kind}/{resource_id} here to update. Leave the id out to create one.",
                    key="extract-unknown-id",
                    code="not-found",
                    expression=one.update.place,
                )
            known[one.urn] = decode_stored(current.body)
        elif request is not None and one.update.if_none_exist and one.urn not in known:
            match = one_match(engine, snapshot, kind, one.update.if_none_exist, request)
            if match is not None and match.body is not None:
                known[one.urn] = decode_stored(match.body)
