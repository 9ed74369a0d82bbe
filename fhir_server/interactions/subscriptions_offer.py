"""What a deployment offers to subscribers, and the bounds that are settings."""

from dataclasses import dataclass, field
from pathlib import Path

from fhir_server.artifacts.catalog import ArtifactsBroken
from fhir_server.artifacts.source import Fault
from fhir_server.artifacts.topics import FOLDER, read_topics
from fhir_server.search.parameters import Registry
from fhir_server.workflow.events import TOPICS
from fhir_server.workflow.topics import Topics, TopicUnusable


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


def load_topics(root: Path, registry: Registry) -> Topics:
    """Read the topics below the root of the artefacts. Raises ArtifactsBroken for one that cannot be carried out."""
    artifacts, faults = read_topics(root)
    if faults:
        raise ArtifactsBroken(faults)
    try:
        return Topics.load([one.resource for one in artifacts], registry, TOPICS)
    except TopicUnusable as error:
        raise ArtifactsBroken([Fault(FOLDER, "topic-unusable", str(error))]) from error
