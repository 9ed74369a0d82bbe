"""Topics that can be subscribed to: SubscriptionTopic artefacts (R4B form), read into what can be asked of a change.

A topic fires on changes of resources (`resourceTrigger`: which interactions, what held before, what holds now) or on
events of the workflow (`eventTrigger`, the codes of `workflow.events`). What an artefact asks and this server cannot do is
an error when it is read, so that no topic promises too much.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from fhir_server.model.errors import FhirError
from fhir_server.model.resource import Resource
from fhir_server.search.alone import alone, parameters_of
from fhir_server.search.parameters import Registry
from fhir_server.search.query import Node

Act = Literal["create", "update", "delete"]
EVENTS: Final = "https://w3id.org/social-referral/CodeSystem/workflow-event"
"""Code system of the events that an eventTrigger may name."""
_ACTS: Final[frozenset[Act]] = frozenset({"create", "update", "delete"})
_TYPE_URL: Final = "http://hl7.org/fhir/StructureDefinition/"


class TopicUnusable(ValueError):
    """A SubscriptionTopic asks what this server cannot do; the text names the topic and the reason."""


class Trigger(NamedTuple):
    """One way in which a topic fires on a change of a resource."""

    type: str
    acts: frozenset[Act]
    previous: Node | None = None
    """What must have held of the version before."""
    current: Node | None = None
    """What must hold of the new version."""
    both: bool = False
    """Whether both must hold; else either is enough."""
    on_create: bool = False
    """What `previous` says of a creation, which has no version before."""
    on_delete: bool = False
    """What `current` says of a deletion, which has no content."""


class Topic(NamedTuple):
    """What can be subscribed to."""

    url: str
    title: str
    triggers: tuple[Trigger, ...]
    events: Mapping[str, str]
    """Event of the workflow → the type of its focus."""
    filters: Mapping[str, Mapping[str, frozenset[str]]]
    """Resource type → parameter → the modifiers and comparators that are allowed, empty for all."""

    @property
    def types(self) -> frozenset[str]:
        """The resource types that its events are about."""
        return frozenset(trigger.type for trigger in self.triggers) | frozenset(self.events.values())


class Topics:
    """All topics of a server."""

    def __init__(self, topics: Iterable[Topic] = (), artifacts: Sequence[Resource] = ()) -> None:
        self._topics = {topic.url: topic for topic in topics}
        self.artifacts = tuple(artifacts)
        """What they were read from."""

    @classmethod
    def load(cls, artifacts: Sequence[Resource], registry: Registry, events: Iterable[str]) -> "Topics":
        """Read the artefacts; `events` are those that the workflow tells. Raises TopicUnusable."""
        known = frozenset(events)
        return cls((read_topic(artifact, registry, known) for artifact in artifacts), artifacts)

    def get(self, url: str) -> Topic | None:
        """Return the topic with a canonical, its version not counted."""
        return self._topics.get(url.partition("|")[0])

    @property
    def urls(self) -> tuple[str, ...]:
        """The canonicals, in alphabetical order."""
        return tuple(sorted(self._topics))


def read_topic(artifact: Resource, registry: Registry, events: frozenset[str]) -> Topic:
    """Read one artefact. Raises TopicUnusable."""
    url = artifact["url"]
    try:
        triggers = tuple(_trigger(one, registry) for one in artifact.get("resourceTrigger", ()))
        told = dict(_event(one, events) for one in artifact.get("eventTrigger", ()))
        filters = _filters(artifact.get("canFilterBy", ()), registry)
    except (FhirError, ValueError, KeyError) as error:
        raise TopicUnusable(f"{url}: {error}") from error
    if bool(triggers) == bool(told):
        raise TopicUnusable(f"{url}: a topic has resource triggers or event triggers, one of them")
    return Topic(url, str(artifact.get("title", url)), triggers, told, filters)


def _trigger(said: dict[str, Any], registry: Registry) -> Trigger:
    if "fhirPathCriteria" in said:
        raise ValueError("fhirPathCriteria are not offered; say it with queryCriteria")
    kind = _type(said["resource"], registry)
    acts: frozenset[Act] = frozenset(said.get("supportedInteraction", _ACTS))
    if acts - _ACTS:
        raise ValueError(f"supportedInteraction is one of {', '.join(sorted(_ACTS))}")
    criteria = said.get("queryCriteria", {})
    return Trigger(
        kind,
        acts,
        previous=alone(registry, kind, parameters_of(criteria["previous"])) if "previous" in criteria else None,
        current=alone(registry, kind, parameters_of(criteria["current"])) if "current" in criteria else None,
        both=criteria.get("requireBoth", False),
        on_create=criteria.get("resultForCreate") == "test-passes",
        on_delete=criteria.get("resultForDelete") == "test-passes",
    )


def _event(said: dict[str, Any], events: frozenset[str]) -> tuple[str, str]:
    code = next(coding["code"] for coding in said["event"]["coding"] if coding.get("system") == EVENTS)
    if code not in events:
        raise ValueError(f"the workflow tells no event {code!r}; it tells {', '.join(sorted(events))}")
    return code, said["resource"].removeprefix(_TYPE_URL)


def _filters(said: Iterable[dict[str, Any]], registry: Registry) -> dict[str, dict[str, frozenset[str]]]:
    found: dict[str, dict[str, frozenset[str]]] = {}
    for one in said:
        kind, name = _type(one["resource"], registry), one["filterParameter"]
        if name not in registry.of(kind):
            raise ValueError(f"{kind} has no search parameter {name!r} to filter by")
        found.setdefault(kind, {})[name] = frozenset(one.get("modifier", ()))
    return found


def _type(url: str, registry: Registry) -> str:
    name = url.removeprefix(_TYPE_URL)
    if name not in registry.types:
        raise ValueError(f"{url!r} is no resource type of R4")
    return name
