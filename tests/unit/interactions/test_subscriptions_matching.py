"""What a change concerns: the verdict of the whole condition, found without asking every subscription."""

import json
import time
from typing import Any

import pytest

from fhir_server.artifacts.source import default_root
from fhir_server.artifacts.topics import read_topics
from fhir_server.interactions.subscriptions import read_subscription
from fhir_server.interactions.subscriptions_criteria import Criteria, CriteriaRefused, compile_criteria
from fhir_server.interactions.subscriptions_matching import Changed, Matcher
from fhir_server.model.codec import encode
from fhir_server.search.extract import Extractor
from fhir_server.search.parameters import Registry
from fhir_server.store.port import Version
from fhir_server.workflow.events import TOPICS
from fhir_server.workflow.topics import EVENTS, Topics, TopicUnusable, read_topic
from tests.unit.outbound.stage import plain, subscription

REGISTRY = Registry.load()
TYPE = "http://hl7.org/fhir/StructureDefinition/Task"
URL = "https://example.org/SubscriptionTopic/t"


def topic(**more: Any) -> dict[str, Any]:
    filters = [{"resource": TYPE, "filterParameter": name} for name in ("owner", "requester", "status", "_id", "code")]
    return {"resourceType": "SubscriptionTopic", "url": URL, "title": "t", "canFilterBy": filters, **more}


def trigger(**more: Any) -> dict[str, Any]:
    return {"resource": TYPE, **more}


def criteria(artifact: dict[str, Any], *filters: str) -> Criteria:
    topics = Topics([read_topic(artifact, REGISTRY, frozenset(TOPICS))])
    asked = read_subscription(subscription("https://example.org/", criteria=URL, filters=filters))
    return compile_criteria(asked, topics, REGISTRY, "")


def matcher(*asked: Criteria) -> Matcher:
    return Matcher(((str(n), one) for n, one in enumerate(asked)), Extractor(REGISTRY))


def version(number: int, method: str = "PUT", **members: Any) -> Version:
    body = encode({"resourceType": "Task", "id": "t", **members}) if method != "DELETE" else None
    return Version(number, "Task", "t", number, 1_800_000_000_000, method, body)


def task(number: int = 1, owner: str = "o1", status: str = "requested", method: str = "PUT") -> Version:
    return version(number, method, status=status, owner={"reference": f"Organization/{owner}"})


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ((), True),
        (("Task?owner=Organization/o1",), True),
        (("Task?owner=Organization/o2",), False),
        (("Task?owner=Organization/o2,Organization/o1",), True),
        (("Task?owner=Organization/o1&status=requested",), True),
        (("Task?owner=Organization/o1", "Task?status=accepted"), False),
        (("Task?owner:missing=true",), False),
        (("Task?status:not=accepted",), True),
        (("Task?_id=t",), True),
        (("Task?_id=u,v",), False),
    ],
)
def test_filters_hold_together(filters: tuple[str, ...], expected: bool) -> None:
    found = matcher(criteria(topic(resourceTrigger=[trigger()]), *filters))
    assert found.of_change(Changed(task(), None)) == (["0"] if expected else [])


FINISHED = {"previous": "status:not=completed", "current": "status=completed", "requireBoth": True}


@pytest.mark.parametrize(
    ("asked", "before", "after", "expected"),
    [
        (FINISHED, task(1, status="accepted"), task(2, status="completed"), True),
        (FINISHED, task(1, status="completed"), task(2, status="completed"), False),
        (FINISHED, None, task(1, status="completed", method="POST"), False),
        ({**FINISHED, "resultForCreate": "test-passes"}, None, task(1, status="completed", method="POST"), True),
        ({**FINISHED, "requireBoth": False}, task(1, status="completed"), task(2, status="completed"), True),
        ({"current": "status=completed", "resultForDelete": "test-passes"}, task(1), task(2, method="DELETE"), True),
        ({"current": "status=completed"}, task(1), task(2, method="DELETE"), False),
    ],
)
def test_a_trigger_looks_at_what_was_and_what_is(
    asked: dict[str, Any], before: Version | None, after: Version, expected: bool
) -> None:
    found = matcher(criteria(topic(resourceTrigger=[trigger(queryCriteria=asked)])))
    assert found.of_change(Changed(after, before)) == (["0"] if expected else [])


def test_a_trigger_fires_on_its_interactions_only() -> None:
    found = matcher(criteria(topic(resourceTrigger=[trigger(supportedInteraction=["update"])])))
    assert found.of_change(Changed(task(1, method="POST"), None)) == []
    assert found.of_change(Changed(task(2), task(1))) == ["0"]
    assert found.of_change(Changed(task(3, method="DELETE"), task(2))) == []
    assert found.of_change(Changed(task(4), None)) == []  # an update of what was deleted creates it


def test_a_filter_judges_a_deletion_by_what_was_deleted() -> None:
    found = matcher(criteria(topic(resourceTrigger=[trigger()]), "Task?owner=Organization/o1"))
    assert found.of_change(Changed(task(2, method="DELETE"), task(1))) == ["0"]
    assert found.of_change(Changed(task(2, method="DELETE"), task(1, owner="o2"))) == []


def test_an_event_of_the_workflow_concerns_who_listens_to_it() -> None:
    told = {"event": {"coding": [{"system": EVENTS, "code": "referral-sent"}]}, "resource": TYPE}
    found = matcher(criteria(topic(eventTrigger=[told]), "Task?owner=Organization/o1"))
    assert (found.types, found.wants_events) == ((), True)
    assert found.of_event("referral-sent", task()) == ["0"]
    assert found.of_event("referral-sent", task(owner="o2")) == []
    assert found.of_event("feedback-given", task()) == []


def test_a_thousand_subscriptions_cost_a_change_little_more_than_one() -> None:
    artifact = topic(resourceTrigger=[trigger()])
    few = matcher(criteria(artifact, "Task?owner=Organization/o1"))
    many = matcher(*(criteria(artifact, f"Task?owner=Organization/o{n}&status=requested") for n in range(1000)))
    assert many.of_change(Changed(task(owner="o700"), None)) == ["700"]

    def cost(one: Matcher) -> float:
        changed = Changed(task(owner="o7000"), None)
        took = []
        for _ in range(50):
            began = time.perf_counter()
            assert one.of_change(changed) == []
            took.append(time.perf_counter() - began)
        return min(took)

    assert cost(many) < cost(few) * 3


@pytest.mark.parametrize(
    ("artifact", "said"),
    [
        (topic(resourceTrigger=[{"resource": "Unicorn"}]), "Unicorn"),
        (topic(resourceTrigger=[trigger(fhirPathCriteria="true")]), "fhirPathCriteria"),
        (topic(resourceTrigger=[trigger(queryCriteria={"current": "nothing=1"})]), "nothing"),
        (topic(resourceTrigger=[trigger(queryCriteria={"current": "owner.name=x"})]), "other resources"),
        (topic(), "one of them"),
        (topic(eventTrigger=[{"event": {"coding": [{"system": EVENTS, "code": "sunrise"}]}, "resource": TYPE}]), "sunrise"),
    ],
)  # fmt: skip
def test_a_topic_that_cannot_be_carried_out_is_refused_when_it_is_read(artifact: dict[str, Any], said: str) -> None:
    with pytest.raises(TopicUnusable, match=said):
        read_topic(artifact, REGISTRY, frozenset(TOPICS))


def test_a_modifier_that_the_topic_does_not_allow_is_refused() -> None:
    narrow = topic(
        resourceTrigger=[trigger()],
        canFilterBy=[{"resource": TYPE, "filterParameter": "authored-on", "modifier": ["ge"]}],
    )
    assert criteria(narrow, "Task?authored-on=ge2026-01-01")
    with pytest.raises(CriteriaRefused, match="compared with ge"):
        criteria(narrow, "Task?authored-on=lt2026-01-01")


def test_a_plain_subscription_fires_on_what_its_search_finds_and_on_no_deletion() -> None:
    asked = read_subscription(plain("https://example.org/", "Task?owner=Organization/o1"))
    found = matcher(compile_criteria(asked, Topics(), REGISTRY, ""))
    assert found.of_change(Changed(task(), None)) == ["0"]
    assert found.of_change(Changed(task(owner="o2"), None)) == []
    assert found.of_change(Changed(task(2, method="DELETE"), task(1))) == []


def test_every_event_of_the_workflow_has_a_topic_and_a_code() -> None:
    artifacts, _ = read_topics(default_root())
    told = {
        coding["code"]
        for one in artifacts
        for event in one.resource.get("eventTrigger", ())
        for coding in event["event"]["coding"]
    }
    codes = json.loads((default_root() / "terminology/code-systems/CodeSystem-workflow-event.json").read_bytes())
    assert {one["code"] for one in codes["concept"]} == set(TOPICS)
    assert told == set(TOPICS) - {"task-changed"}
