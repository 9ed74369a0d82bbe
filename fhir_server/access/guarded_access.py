"""Who is let in to what: the one place where a caller, a snapshot and the table of policies meet."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

from fhir_server.access.glass import open_glasses
from fhir_server.access.guarded import ANYTHING, LETTERS, Asked, GuardedSnapshot
from fhir_server.access.guarded_memory import Memory
from fhir_server.access.policies import Act, Policy, Table
from fhir_server.access.policies_nodes import PERMITS, SERVES, WRITER
from fhir_server.access.principal import Principal
from fhir_server.model.clock import Clock, SystemClock
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import Forbidden, Unauthenticated
from fhir_server.model.reference import parse_reference
from fhir_server.search.extract import Extractor
from fhir_server.search.parameters import Registry
from fhir_server.search.query import And, DateCompare, Missing, Not, Or, Prefix, Query, RefersTo, TokenIs
from fhir_server.store.port import Snapshot

_KEPT: Final = 1_024
_ROLES_OF_ONE: Final = 200
"""Link workers of one organisation; the areas of more are not counted."""
_WRITES: Final[Mapping[str, Act]] = {"create": "create", "update": "write", "patch": "write", "delete": "write"}


class _Rules(NamedTuple):
    registry: Registry
    table: Table
    memory: Memory


class Access:
    """Access control of one process; `enforced` is false in a development mode that is left open."""

    def __init__(
        self,
        registry: Registry | None,
        extractor: Extractor | None,
        clock: Clock,
        raw: Mapping[str, Any] | None = None,
        *,
        by_token: bool = False,
    ) -> None:
        """Read the table of policies, `raw` instead of the shipped one. Raises ValueError for a table with a mistake.

        Without a registry nothing is enforced. `by_token` says that callers prove who they are.
        """
        self.by_token = by_token
        self._clock = clock
        self._policies: dict[tuple[Principal, tuple[str, ...], tuple[str, ...]], Policy] = {}
        self._lately: dict[int, Policy] = {}
        """By the identity of a principal, which spares its hash; the policy keeps the principal alive."""
        self._rules: _Rules | None = None
        if registry is not None and extractor is not None:
            self._rules = _Rules(registry, Table.load(registry, raw), Memory(registry, extractor))
        self.enforced = self._rules is not None

    @classmethod
    def open(cls) -> Self:
        """Return an access control that lets everybody see and do everything: a development mode on loopback."""
        return cls(None, None, SystemClock())

    def guard(
        self, snapshot: Snapshot, principal: Principal, asked: Asked = ANYTHING, *, lasting: bool = True
    ) -> Snapshot:
        """Return the snapshot as a caller sees it in an interaction.

        `lasting` is false for a unit of work, of which nothing may be remembered.
        """
        if self._rules is None or "platform" in principal.roles:
            return snapshot
        if isinstance(snapshot, GuardedSnapshot):
            snapshot = snapshot.beneath_all
        areas = _areas(snapshot, principal) if "link-worker" in principal.roles else ()
        policy = self.policy(principal, self._persons(snapshot, principal), areas)
        return GuardedSnapshot(snapshot, policy, self._rules.memory, asked, lasting=lasting)

    def policy(self, principal: Principal, persons: tuple[str, ...] = (), areas: tuple[str, ...] = ()) -> Policy:
        """Return the policy of a caller. Raises ValueError when access is not enforced: there is none then."""
        if self._rules is None:
            raise ValueError("access is not enforced")
        last = self._lately.get(id(principal))
        if last is not None and last.principal is principal and last.persons == persons and last.areas == areas:
            return last
        found = self._policies.get((principal, persons, areas))
        if found is None:
            if len(self._policies) >= _KEPT:
                self._policies, self._lately = {}, {}
            found = Policy(self._rules.table, self._rules.registry, self._clock, principal, persons, areas)
            self._policies[principal, persons, areas] = found
        if found.principal is principal:
            self._lately[id(principal)] = found
        return found

    def admit(self, principal: Principal, code: str, resource_type: str) -> None:
        """Raise Forbidden or Unauthenticated for an interaction on a type that the caller can never do.

        Nothing stored is looked at, so the answer tells only what callers know of themselves.
        """
        letter = LETTERS.get(code)
        if not self.enforced or not resource_type or letter is None or "platform" in principal.roles:
            return
        policy = self.policy(principal, ("Patient/any",) if principal.person else ())
        if not policy.grants(resource_type, letter) and not (letter in "rs" and policy.is_public(resource_type)):
            raise Forbidden(
                f"Your token has no scope for {code} on {resource_type}. It takes one such as "
                f"system/{resource_type}.{letter}; ask the operator of this server to grant it to your client.",
                key="scope-insufficient",
            )
        act = _WRITES.get(code)
        if act is not None and not policy.may(act, resource_type):
            if policy.roles == {"public"}:
                raise Unauthenticated(
                    "Nobody is known to be asking. Send an access token (in development mode X-Dev-Organization).",
                    key="principal-unknown",
                )
            raise Forbidden(
                f"Your role does not let you {code} {resource_type} resources here. See docs/access.md for who may.",
                key="access-role",
            )

    def _persons(self, snapshot: Snapshot, principal: Principal) -> tuple[str, ...]:
        """Return the patients whose record the caller sees as one's own, by being them, by mandate or by broken glass."""
        found: tuple[str, ...] = ()
        if principal.person.startswith("Patient/"):
            found = (principal.person,)
        elif principal.person:
            found = self._represented(snapshot, principal.person)
        if principal.purpose == "BTG":
            found += open_glasses(snapshot, principal, self._clock.now_ms())
        return found

    def _represented(self, snapshot: Snapshot, relative: str) -> tuple[str, ...]:
        """Return the patient for whom a RelatedPerson has a mandate: an active Consent that permits this very person,
        written by somebody else.
        """
        kind, _, identity = relative.partition("/")
        version = snapshot.current(kind, identity)
        if version is None or version.body is None:
            return ()
        reference = decode_stored(version.body).get("patient", {}).get("reference", "")
        patient = parse_reference(reference).key
        now = self._clock.now_ms() * 1_000
        current = Or((Missing("period", missing=True), DateCompare("period", Prefix.AP, now, now + 1)))
        mandate = And(
            (
                RefersTo("patient", patient),
                TokenIs("status", None, "active"),
                TokenIs("_tag", PERMITS, relative),
                Not(TokenIs("_tag", WRITER, relative)),
                current,
            )
        )
        return (patient,) if snapshot.count(Query("Consent", mandate), 1) else ()


def _areas(snapshot: Snapshot, principal: Principal) -> tuple[str, ...]:
    """Return the areas of a link worker: those it was registered with, else those that the roles of its organisation serve."""
    if principal.areas or not principal.organization:
        return tuple(sorted(principal.areas))
    serving = And(
        (
            RefersTo("organization", principal.organization),
            TokenIs("_tag", SERVES, None),
            Not(TokenIs("active", None, "false")),
        )
    )
    rows = snapshot.search(Query("PractitionerRole", serving, limit=_ROLES_OF_ONE))
    tags = (tag for row in rows for tag in decode_stored(row.version.body or b"null")["meta"]["tag"])
    return tuple(sorted({str(tag.get("code")) for tag in tags if tag.get("system") == SERVES}))
