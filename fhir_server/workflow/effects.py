"""What the rules decide, as frozen values; the interactions carry them out in the same unit of work."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from fhir_server.model.resource import Resource


@dataclass(frozen=True, slots=True)
class Change:
    """A change that is about to commit: `before` is None for a creation, `after` None for a deletion."""

    before: Resource | None
    after: Resource | None


@dataclass(frozen=True, slots=True)
class Create:
    """Create this resource; the server gives it an id."""

    resource: Resource


@dataclass(frozen=True, slots=True)
class Update:
    """Replace the current version of this resource, which has an id, on behalf of the platform."""

    resource: Resource


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell an event to whoever subscribes; `focus` is `Type/id`."""

    topic: str
    focus: str


Effect: TypeAlias = Create | Update | Emit


class Related(Protocol):
    """What a rule may ask of the rest of the record, as of the end of the unit of work."""

    def get(self, reference: str) -> Resource | None:
        """Return the current resource at `Type/id`, None when absent, deleted or not such a reference."""
        ...

    def referring(self, resource_type: str, param: str, target: str) -> Sequence[Resource]:
        """Return current resources of a type whose reference parameter `param` refers to `target` (`Type/id`)."""
        ...

    def coded(self, resource_type: str, param: str, system: str, code: str) -> Sequence[Resource]:
        """Return current resources of a type whose token parameter `param` is `system|code`."""
        ...
