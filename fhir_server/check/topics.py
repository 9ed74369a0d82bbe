"""Subscription topics: each can be carried out, and as a Basic resource it is valid R4."""

from collections.abc import Iterator

from fhir_server.artifacts.catalog import Catalog
from fhir_server.artifacts.source import Artifact, Fault
from fhir_server.artifacts.topics import as_basic
from fhir_server.check.codes import check_canonicals
from fhir_server.search.parameters import Registry
from fhir_server.validation.pipeline import Validator
from fhir_server.workflow.events import TOPICS
from fhir_server.workflow.topics import TopicUnusable, read_topic


def check_topic(topic: Artifact, catalog: Catalog, known: Catalog) -> Iterator[Fault]:
    """Yield what is wrong with a topic; `known` are all artefacts that it may name."""
    yield from check_canonicals(topic.path, topic.resource, known)
    try:
        registry = Registry.load(catalog.of_type("SearchParameter"))
    except ValueError:  # a SearchParameter is broken, which is a finding of its own
        return
    try:
        read_topic(topic.resource, registry, frozenset(TOPICS))
    except TopicUnusable as error:
        yield Fault(topic.path, "topic-unusable", str(error))
        return
    for issue in Validator.load().validate(as_basic(topic.resource)):
        yield Fault(topic.path, issue.key, f"{issue.expression}: {issue.diagnostics}")
