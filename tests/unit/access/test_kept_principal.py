"""A principal that is kept in a record is the same when it is read again, apart from why it asked."""

import pytest

from fhir_server.access.kept_principal import described, principal_of
from fhir_server.access.principal import ANONYMOUS, PLATFORM, Principal
from fhir_server.access.scopes import parse_scopes
from fhir_server.model.codec import decode_stored, encode

WORKER = Principal(
    "Organization/zone",
    frozenset({"link-worker", "recipient"}),
    "user:x",
    areas=frozenset({"Location/a", "Location/b"}),
)


@pytest.mark.parametrize(
    "principal",
    [
        ANONYMOUS,
        PLATFORM,
        WORKER,
        Principal(person="Patient/ann", roles=frozenset({"person"})),
        Principal("Organization/gp", agent="client:x", scopes=parse_scopes("system/Task.rs?owner=Organization/gp")),
        Principal("Organization/gp", agent="client:x", scopes=()),
    ],
)
def test_what_is_kept_is_read_again(principal: Principal) -> None:
    assert principal_of(decode_stored(encode(described(principal)))) == principal


def test_why_it_asked_is_not_kept() -> None:
    asking = Principal("Organization/gp", purpose="BTG", reason="She lies on the floor")
    assert principal_of(described(asking)) == Principal("Organization/gp")


def test_what_was_kept_without_scopes_is_bounded_by_none() -> None:
    kept = {name: value for name, value in described(WORKER).items() if name != "scopes"}
    assert principal_of(kept) == WORKER
