"""What the rules need to know of whoever acts; `fhir_server.access.principal.Principal` is one."""

from typing import Protocol


class Party(Protocol):
    """A caller: for which organisation (`Type/id`, "" when not stated) and in which roles it acts."""

    @property
    def organization(self) -> str:
        """The relative reference of the organisation, or of the person, for which it acts."""
        ...

    @property
    def roles(self) -> frozenset[str]:
        """Its roles; `operator`, `platform` and `person` mean something to the rules."""
        ...

    @property
    def anonymous(self) -> bool:
        """Whether it stated neither organisation nor role."""
        ...
