"""The record of a change in the audit trail: who, when, what. The store chains the records by digest."""

from collections.abc import Sequence

from fhir_server.access.principal import Principal
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import encode
from fhir_server.store.port import Version

_ACTIONS = {"POST": "C", "PUT": "U", "PATCH": "U", "DELETE": "D"}
"""https://hl7.org/fhir/R4/valueset-audit-event-action.html"""


def audit_record(principal: Principal, at: int, written: Sequence[Version]) -> bytes:
    """Return one record for all the versions that a unit wrote."""
    return encode(
        {
            "recorded": render_instant(at),
            "agent": principal.agent,
            "organization": principal.organization,
            "entity": [
                {"action": _ACTIONS[version.method], "what": f"{version.type}/{version.id}/_history/{version.version}"}
                for version in written
            ],
        }
    )
