"""A principal as it is kept in a record of the server's own, and read from it again: who opened a session, who subscribed."""

from typing import Any

from fhir_server.access.principal import Principal
from fhir_server.access.scopes import parse_scopes, render_scopes


def described(principal: Principal) -> dict[str, Any]:
    """Return what is kept of a principal: all that it may see and do, not why it asks just now."""
    return {
        "organization": principal.organization,
        "roles": sorted(principal.roles),
        "agent": principal.agent,
        "person": principal.person,
        "areas": sorted(principal.areas),
        "scopes": render_scopes(principal.scopes) if principal.scopes is not None else None,
    }


def principal_of(said: dict[str, Any]) -> Principal:
    """Return the principal that was kept; a session that was opened before scopes were kept has none."""
    scopes = said.get("scopes")
    return Principal(
        said["organization"],
        frozenset(said["roles"]),
        said["agent"],
        said["person"],
        areas=frozenset(said["areas"]),
        scopes=parse_scopes(scopes) if scopes is not None else None,
    )
