"""Registered clients: the systems that may ask for tokens, kept as records of the store.

A client is no FHIR resource: nobody may search it, and its keys belong to no feed. Each change is in the audit trail, in
the same transaction, and changes the access revision, by which every process forgets the tokens that it has checked.
"""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Final, cast, get_args
from urllib.parse import urlsplit

from fhir_server.access.jose import registered_keys
from fhir_server.access.principal import Principal, Role
from fhir_server.access.scopes import Scope, parse_scopes, render_scopes
from fhir_server.access.trail import append_event
from fhir_server.model.codec import decode_stored, encode
from fhir_server.model.errors import Conflict, Malformed, NotFound
from fhir_server.model.reference import ID_PATTERN, parse_reference
from fhir_server.store.port import Snapshot, UnitOfWork

KIND: Final = "client"
_REVISION: Final = ("access", "revision")
_ROLES: Final = frozenset(get_args(Role)) - {"platform"}
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Client:
    """One system. Its public keys stand here (`jwks`) or at an address that is its own (`jwks_url`)."""

    id: str
    name: str
    organization: str
    roles: frozenset[Role]
    scopes: tuple[Scope, ...]
    jwks: bytes = b""
    """A JWK Set, "" when it is fetched."""
    jwks_url: str = ""
    areas: frozenset[str] = frozenset()
    break_glass: bool = False
    """Whether it may state the purpose BTG."""
    active: bool = True

    @property
    def agent(self) -> str:
        """How the audit trail names it."""
        return f"client:{self.id}"

    def principal(self, scopes: tuple[Scope, ...]) -> Principal:
        """Return who acts with a token of this client."""
        return Principal(self.organization, self.roles, self.agent, scopes=scopes, areas=self.areas)

    def described(self) -> dict[str, Any]:
        """Return it as JSON, as `client show` and the API give it."""
        found = asdict(self) | {
            "roles": sorted(self.roles),
            "scopes": render_scopes(self.scopes),
            "jwks": decode_stored(self.jwks) if self.jwks else None,
            "areas": sorted(self.areas),
        }
        return {name: value for name, value in found.items() if value not in (None, "", [])}


def new_client(given: Mapping[str, Any]) -> Client:
    """Build a client from what an operator states. Raises Malformed with what is wrong and allowed."""
    unknown = given.keys() - {
        "id",
        "name",
        "organization",
        "roles",
        "scopes",
        "jwks",
        "jwks_url",
        "areas",
        "break_glass",
    }
    if unknown:
        raise _bad(f"{min(unknown)[:80]!r} is no member of a client", "member")
    identity = given.get("id") or secrets.token_hex(8)
    if not isinstance(identity, str) or ID_PATTERN.fullmatch(identity) is None:
        raise _bad(f"The id {str(identity)[:80]!r} is not 1 to 64 letters, digits, '-' and '.'", "id")
    name = given.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST_NAME:
        raise _bad(f"The name {str(name)[:80]!r} is not 1 to {_LONGEST_NAME} characters", "name")
    organization = _reference(given.get("organization"), "Organization", "organization")
    roles = _texts(given, "roles")
    if not roles or (wrong := set(roles) - _ROLES):
        said = ", ".join(sorted(wrong))[:100] if roles else "none"
        raise _bad(f"The roles are {said}; allowed are {', '.join(sorted(_ROLES))}", "roles")
    scopes = given.get("scopes")
    parsed = parse_scopes(scopes) if isinstance(scopes, str) else ()
    if not parsed or any(scope.level != "system" for scope in parsed):
        raise _bad(f"The scopes {str(scopes)[:200]!r} are not system scopes, such as system/Task.rus", "scopes")
    break_glass = given.get("break_glass", False)
    if not isinstance(break_glass, bool):
        raise _bad("break_glass is true or false", "break_glass")
    areas = frozenset(_reference(area, "Location", "areas") for area in _texts(given, "areas"))
    kept = Client(
        identity, name.strip(), organization, cast("frozenset[Role]", frozenset(roles)), parsed,
        areas=areas, break_glass=break_glass,
    )  # fmt: skip
    return with_keys(kept, given.get("jwks"), given.get("jwks_url"))


def with_keys(client: Client, jwks: object, jwks_url: object) -> Client:
    """Give a client other keys: a JWK Set or the address of one. Raises Malformed."""
    if (jwks is None) == (jwks_url is None):
        raise _bad("A client has either `jwks` (a JWK Set) or `jwks_url` (the address of one)", "jwks")
    if jwks is not None:
        return replace(client, jwks=registered_keys(jwks), jwks_url="")
    if not isinstance(jwks_url, str) or not _is_safe_url(jwks_url):
        raise _bad(
            f"The address {str(jwks_url)[:200]!r} is not https://host/path without user, and without #", "jwks_url"
        )
    return replace(client, jwks=b"", jwks_url=jwks_url)


def add_client(uow: UnitOfWork, client: Client, by: Principal) -> None:
    """Register a client. Raises Conflict when the id is taken, Malformed when its organisation or an area is not stored."""
    if uow.record(KIND, client.id) is not None:
        raise Conflict(
            f"There is a client {client.id} already. Choose another id, or change that one.", key="client-exists"
        )
    for reference in (client.organization, *sorted(client.areas)):
        parsed = parse_reference(reference)
        current = uow.current(parsed.type, parsed.id)
        if current is None or current.deleted:
            raise _bad(f"{reference} is not stored here. Store it first", "organization")
    _keep(uow, client, by, "add")


def change_client(uow: UnitOfWork, client: Client, by: Principal, action: str) -> None:
    """Keep a changed client; its tokens are judged anew. Raises NotFound."""
    if uow.record(KIND, client.id) is None:
        raise NotFound(f"There is no client {client.id}.")
    _keep(uow, client, by, action)


def find_client(snapshot: Snapshot, identity: str) -> Client | None:
    """Return a client, None when there is none."""
    record = snapshot.record(KIND, identity)
    return client_of(record.body) if record is not None else None


def list_clients(snapshot: Snapshot) -> list[Client]:
    """Return all clients in the order of their ids."""
    found: list[Client] = []
    while page := snapshot.records(KIND, found[-1].id if found else "", 500):
        found += [client_of(record.body) for record in page]
    return found


@lru_cache(maxsize=1024)
def client_of(body: bytes) -> Client:
    """Read a record."""
    said = decode_stored(body)
    return Client(
        said["id"],
        said["name"],
        said["organization"],
        frozenset(said["roles"]),
        parse_scopes(said["scopes"]),
        encode(said["jwks"]) if "jwks" in said else b"",
        said.get("jwks_url", ""),
        frozenset(said.get("areas", ())),
        said["break_glass"],
        said["active"],
    )


def access_revision(snapshot: Snapshot) -> bytes:
    """Return what changes with every change of a client, an account or a revocation."""
    record = snapshot.record(*_REVISION)
    return record.body if record is not None else b""


def bump_revision(uow: UnitOfWork) -> None:
    """Make every process forget the tokens that it has checked."""
    uow.set_record(*_REVISION, secrets.token_bytes(12))


def _keep(uow: UnitOfWork, client: Client, by: Principal, action: str) -> None:
    uow.set_record(KIND, client.id, encode(client.described()))
    bump_revision(uow)
    append_event(uow, by, f"client-{action}", client.agent, client.organization)


def _texts(given: Mapping[str, Any], name: str) -> list[str]:
    found = given.get(name) or []
    if not isinstance(found, list | tuple | frozenset) or not all(isinstance(item, str) for item in found):
        raise _bad(f"{name} is a list of texts", name)
    return list(found)


def _reference(value: object, resource_type: str, name: str) -> str:
    parsed = parse_reference(value) if isinstance(value, str) else None
    if parsed is None or parsed.kind != "relative" or parsed.type != resource_type or parsed.version:
        raise _bad(f"{name} is {str(value)[:100]!r}, not a reference such as {resource_type}/caw-halle", name)
    return str(value)


def _is_safe_url(url: str) -> bool:
    """Tell whether this may be the address of keys: https, or http on this machine, which `private_addresses` must allow."""
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port != 0
    except ValueError:
        return False
    plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
    return bool(
        (parts.scheme == "https" or plain)
        and parts.hostname
        and port_is_fine
        and parts.username is None
        and not parts.fragment
        and url.isascii()
        and url.isprintable()
        and " " not in url
    )


def _bad(reason: str, member: str) -> Malformed:
    return Malformed(f"The client is refused. {reason}.", key="bad-client", code="value", expression=member)
