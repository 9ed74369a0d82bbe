"""What a subscription asks of a change, as nodes of the query tree: what it matches is what a search finds."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from fhir_server.interactions.subscriptions import Subscription
from fhir_server.model.errors import FhirError
from fhir_server.model.issue import Issue
from fhir_server.search.alone import alone, parameters_of
from fhir_server.search.parameters import Registry
from fhir_server.search.query import EVERYTHING, And, Node
from fhir_server.workflow.topics import Topic, Topics

PLAIN_ACTS: Final = frozenset({"create", "update"})
"""A plain R4 subscription fires on these."""
_COMPARATORS: Final = re.compile("^(eq|ne|gt|lt|ge|le|sa|eb|ap)(?=[0-9])")
_CRITERIA: Final = "Subscription.criteria"


class Criteria(NamedTuple):
    """What a subscription asks, compiled: for each resource type the condition on it; other types are nothing to it."""

    topic: Topic | None
    """None for a plain R4 subscription."""
    where: Mapping[str, Node]


class CriteriaRefused(Exception):
    """The criteria cannot be used."""

    def __init__(self, issues: list[Issue]) -> None:
        super().__init__(issues[0].diagnostics)
        self.issues = issues


def compile_criteria(subscription: Subscription, topics: Topics, registry: Registry, own_base: str) -> Criteria:
    """Compile what a subscription asks. Raises CriteriaRefused with every problem."""
    if subscription.plain:
        return _plain(subscription, registry, own_base)
    topic = topics.get(subscription.topic)
    if topic is None:
        offered = ", ".join(topics.urls)
        said = f"There is no topic {subscription.topic[:200]!r} here. Topics: {offered}."
        raise CriteriaRefused([Issue("subscription-topic", "not-supported", said, _CRITERIA)])
    where: dict[str, list[Node]] = {kind: [] for kind in topic.types}
    issues = []
    for number, text in enumerate(subscription.filters):
        try:
            kind, node = _filter(topic, text, registry, own_base)
            where[kind].append(node)
        except (FhirError, ValueError) as error:
            said = f"The filter {text[:200]!r} cannot be used: {error}"
            place = f"{_CRITERIA}.extension[{number}].value"
            issues.append(Issue("subscription-filter", "not-supported", said, place))
    if issues:
        raise CriteriaRefused(issues)
    return Criteria(topic, {kind: _all(nodes) for kind, nodes in where.items()})


def _plain(subscription: Subscription, registry: Registry, own_base: str) -> Criteria:
    kind, _, text = subscription.criteria.partition("?")
    if kind not in registry.types:
        said = f"{kind[:60]!r} is no resource type. Criteria are `Type?search`, or the canonical of a topic."
        raise CriteriaRefused([Issue("subscription-criteria", "not-supported", said, _CRITERIA)])
    try:
        return Criteria(None, {kind: alone(registry, kind, parameters_of(text), own_base)})
    except (FhirError, ValueError) as error:
        said = f"The criteria cannot be used: {error}"
        raise CriteriaRefused([Issue("subscription-criteria", "not-supported", said, _CRITERIA)]) from error


def _filter(topic: Topic, text: str, registry: Registry, own_base: str) -> tuple[str, Node]:
    kind, mark, query = text.partition("?")
    if not mark or kind not in topic.types:
        raise ValueError(f"it is not {' or '.join(sorted(topic.types))}?parameter=value")
    allowed = topic.filters.get(kind, {})
    parameters = parameters_of(query)
    for name, value in parameters:
        code, _, modifier = name.partition(":")
        if code not in allowed:
            raise ValueError(
                f"the topic can be filtered by {', '.join(sorted(allowed)) or 'nothing'}, not by {code[:60]!r}"
            )
        comparator = _COMPARATORS.match(value)
        used = modifier or (comparator[1] if comparator and registry.of(kind)[code].type == "date" else "eq")
        if allowed[code] and used not in allowed[code] and used in _JUDGED:
            raise ValueError(f"{code} is compared with {', '.join(sorted(allowed[code]))}, not with {used!r}")
    return kind, alone(registry, kind, parameters, own_base)


_JUDGED: Final = frozenset(
    {"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap", "not", "in", "not-in", "above", "below", "of-type"}
)


def _all(nodes: list[Node]) -> Node:
    return EVERYTHING if not nodes else nodes[0] if len(nodes) == 1 else And(tuple(nodes))
