"""Development mode: a header says who calls. It exists only where the server listens on loopback."""

from functools import lru_cache
from typing import Final, cast, get_args

from fhir_server.access.principal import ANONYMOUS, Principal, Role
from fhir_server.model.errors import Malformed
from fhir_server.model.reference import parse_reference

_ROLES: Final = frozenset(get_args(Role)) - {"platform"}


@lru_cache(maxsize=1024)
def developer_principal(organization: str, roles: str) -> Principal:
    """Read `X-Dev-Organization: Organization/id` and `X-Dev-Roles: role,role`; absent headers are anonymous.

    Raises Malformed for a header that cannot be meant.
    """
    if not organization and not roles:
        return ANONYMOUS
    if organization:
        parsed = parse_reference(organization)
        if parsed.kind != "relative" or parsed.type != "Organization" or parsed.version:
            raise Malformed(
                f"X-Dev-Organization is {organization[:100]!r}; send a reference such as Organization/caw-halle.",
                key="bad-dev-organization",
            )
    named = frozenset(part.strip() for part in roles.split(",") if part.strip())
    if unknown := named - _ROLES:
        raise Malformed(
            f"X-Dev-Roles names {', '.join(sorted(unknown))}; known are {', '.join(sorted(_ROLES))}.",
            key="bad-dev-roles",
        )
    return Principal(organization, cast("frozenset[Role]", named), agent="development")
