"""Break the glass: in an emergency an organisation sees the record of one person for a while, and everybody concerned learns of it."""

from typing import Final

from fhir_server.access.principal import Principal
from fhir_server.store.port import Snapshot, UnitOfWork

KIND: Final = "glass"
BREAKS: Final = "BTG"
"""Code of https://terminology.hl7.org/ValueSet-v3-PurposeOfUse."""
_MOST: Final = 100


def open_glasses(snapshot: Snapshot, principal: Principal, now_ms: int) -> tuple[str, ...]:
    """Return the `Patient/id`s whose glass the caller's organisation broke and that is still open."""
    start = f"{principal.organization}|"
    found = []
    for record in snapshot.records(KIND, start, _MOST):
        if not record.key.startswith(start):
            break
        if record.due is not None and record.due > now_ms:
            found.append(record.key[len(start) :])
    return tuple(found)


def break_glass(uow: UnitOfWork, principal: Principal, patient: str, until_ms: int) -> None:
    """Open the record of a patient (`Patient/id`) to the caller's organisation until an instant."""
    uow.set_record(KIND, f"{principal.organization}|{patient}", principal.reason.encode(), until_ms)
