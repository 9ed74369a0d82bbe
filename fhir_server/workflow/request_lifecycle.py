"""The life of a governed ServiceRequest. Only who made it changes it; completion follows from its Tasks."""

from typing import Final

from fhir_server.workflow.codes import REQUEST_STATUSES
from fhir_server.workflow.lifecycle import Row, StateTable

REQUEST_TABLE: Final = StateTable(
    "ServiceRequest",
    (
        Row("draft", "active", ("requester", "platform"), (), "R4"),
        Row("draft", "revoked", ("requester", "person", "platform"), (), "R4"),
        Row("active", "on-hold", ("requester",), (), "R4"),
        Row("active", "revoked", ("requester", "person", "platform"), (), "R4, COW"),
        Row("active", "completed", ("platform",), (), "Gravity RI"),
        Row("on-hold", "active", ("requester",), (), "R4"),
        Row("on-hold", "revoked", ("requester", "person", "platform"), (), "R4, COW"),
        Row("on-hold", "completed", ("platform",), (), "Gravity RI"),
        Row("unknown", "active", ("requester",), (), "R4"),
        Row("unknown", "revoked", ("requester", "person"), (), "R4"),
        *(
            Row(status, "entered-in-error", ("requester", "platform"), (), "R4")
            for status in REQUEST_STATUSES
            if status != "entered-in-error"
        ),
    ),
    "request-transition",
    "request-actor",
)
