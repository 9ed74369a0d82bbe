"""Who acts: what a checked token says, or in development mode a header on loopback."""

from dataclasses import dataclass
from typing import Literal

from fhir_server.access.scopes import Scope

Role = Literal["referrer", "recipient", "link-worker", "person", "operator", "auditor", "platform", "tester"]


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller: the organisation it acts for, and in which roles.

    `organization` is a relative reference (`Organization/cbo-1`), "" when the caller stated none.
    `agent` is for the audit trail only: a client or user name, never shown to others. Equal principals may see the same.
    """

    organization: str = ""
    roles: frozenset[Role] = frozenset()
    agent: str = "anonymous"
    person: str = ""
    """The `Patient/id` that a citizen is, or `RelatedPerson/id` of a representative; "" for all others."""
    scopes: tuple[Scope, ...] | None = None
    """What the token allows at most; None when no token bounds it (development, the server itself)."""
    purpose: str = ""
    """Why, as a code of https://terminology.hl7.org/ValueSet-v3-PurposeOfUse (`BTG` breaks the glass); "" is routine."""
    reason: str = ""
    """The words that go with `purpose`, for the audit trail."""
    areas: frozenset[str] = frozenset()
    """The `Location/id` of the areas that a link worker answers for; empty for who is not bound to one."""

    @property
    def anonymous(self) -> bool:
        """Whether the caller stated neither organisation nor role."""
        return not self.organization and not self.roles


PLATFORM = Principal(roles=frozenset({"platform"}), agent="platform")
"""The server itself, when it carries out an effect."""

ANONYMOUS = Principal()
