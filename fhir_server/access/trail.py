"""What is done to get in, or refused, as lines of the audit trail: registrations, tokens, sign-ins, keys."""

from typing import Literal

from fhir_server.access.principal import Principal
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import encode
from fhir_server.store.port import UnitOfWork

Outcome = Literal["success", "failure"]


def append_event(
    uow: UnitOfWork, by: Principal, event: str, subject: str, organization: str = "", outcome: Outcome = "success"
) -> None:
    """Append who did what to whom; `subject` is a client or an account, never a person's name or data."""
    record = {
        "recorded": render_instant(uow.last_updated),
        "agent": by.agent,
        "organization": by.organization or organization,
        "event": event,
        "outcome": outcome,
        "entity": [{"action": "E", "what": subject}],
    }
    uow.append_audit(encode(record), (subject,))
