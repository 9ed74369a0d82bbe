"""What reading one search depends on."""

from dataclasses import dataclass

from fhir_server.search.parameters import Registry
from fhir_server.search.refusals import too_much
from fhir_server.search.request import Expand, Follow, SearchLimits


class Budget:
    """Counts the conditions of one search: a chain through references to many types multiplies them."""

    def __init__(self, conditions: int) -> None:
        self._left = conditions

    def spend(self, limits: SearchLimits, full_name: str) -> None:
        """Count one. Raises Malformed when none is left."""
        self._left -= 1
        if self._left < 0:
            found = "too many possible types in its chain (name them: subject:Patient)"
            raise too_much(full_name, found, f"{limits.conditions} combinations")


@dataclass(frozen=True, slots=True)
class Scope:
    """What reading a condition depends on; `depth` counts the chains and `_has` around it."""

    registry: Registry
    limits: SearchLimits
    own_base: str
    now_us: int
    expand: Expand | None
    budget: Budget
    depth: int = 0
    follow: Follow | None = None
