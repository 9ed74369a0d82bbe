"""Who acts. Until tokens are checked (design, access), a development header on loopback says so."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["referrer", "recipient", "link-worker", "person", "operator", "platform", "tester"]


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller: the organisation it acts for, and in which roles.

    `organization` is a relative reference (`Organization/cbo-1`), "" when the caller stated none.
    `agent` is for the audit trail only: a client or user name, never shown to others.
    """

    organization: str = ""
    roles: frozenset[Role] = frozenset()
    agent: str = "anonymous"

    @property
    def anonymous(self) -> bool:
        """Whether the caller stated neither organisation nor role."""
        return not self.organization and not self.roles


PLATFORM = Principal(roles=frozenset({"platform"}), agent="platform")
"""The server itself, when it carries out an effect."""

ANONYMOUS = Principal()
