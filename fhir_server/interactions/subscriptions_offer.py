"""What a deployment offers to subscribers, and the bounds that are settings."""

from dataclasses import dataclass, field

from fhir_server.workflow.topics import Topics


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """See the settings of the same names."""

    topics: Topics = field(default_factory=Topics)
    plain_http: bool = False
    """Whether an endpoint may begin with http://."""
    event_days: int = 30
    """How long events can be asked for again."""
    delivery_hours: float = 72.0
    """How long delivery is tried before it is given up."""
