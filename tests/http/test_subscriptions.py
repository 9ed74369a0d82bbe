"""Subscriptions over HTTP: what is accepted, what is refused and why, what is told, and what can be asked again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fhir.resources.R4B.subscriptiontopic import SubscriptionTopic

from fhir_server.artifacts.source import default_root
from fhir_server.artifacts.topics import read_topics
from tests.conftest import RunningServer, outcome
from tests.unit.outbound.receiver import Receiver, events, part, value
from tests.unit.outbound.stage import BACKPORT, plain, subscription

GRAVITY = "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic/"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    store = tmp_path_factory.mktemp("told") / "fhir.sqlite"
    running = RunningServer({"store": f"sqlite:///{store}", "private_receivers": True})
    headers = {"Content-Type": "application/fhir+json"}
    with httpx.Client(base_url=running.base, headers=headers, timeout=30) as http:
        yield http
    running.stop()


def made(client: httpx.Client, resource: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(f"/{resource['resourceType']}", json=resource)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def task(owner: str, **more: Any) -> dict[str, Any]:
    given = {"resourceType": "Task", "status": "requested", "intent": "order", "owner": {"reference": owner}}
    return {**given, **more}


def active(client: httpx.Client, receiver: Receiver, path: str, resource: dict[str, Any]) -> str:
    """Make a subscription and wait for its handshake."""
    identity = str(made(client, resource)["id"])
    receiver.wait(lambda got: any(one.path == path for one in got))
    return identity


def test_a_subscription_is_requested_then_shaken_hands_on_then_active(client: httpx.Client, receiver: Receiver) -> None:
    asked = subscription(receiver.url("/life"), header=["Authorization: Bearer of-the-receiver"])
    stored = made(client, asked)
    assert stored["status"] == "requested"
    [hello] = receiver.wait(lambda got: any(one.path == "/life" for one in got))[-1:]
    assert (hello.kind, value(hello.bundle, "events-since-subscription-start")) == ("handshake", "0")
    assert hello.headers["Authorization"] == "Bearer of-the-receiver"
    first = made(client, task("Organization/life"))
    [told] = [one for one in receiver.wait(lambda _: bool(receiver.told("/life"))) if one in receiver.told("/life")]
    assert client.get(f"/Subscription/{stored['id']}").json()["status"] == "active"
    bundle = told.bundle
    assert (bundle["type"], value(bundle, "status"), value(bundle, "type")) == (
        "history",
        "active",
        "event-notification",
    )
    [event] = events(bundle)
    assert part(event, "event-number") == value(bundle, "events-since-subscription-start") == "1"
    assert part(event, "timestamp") == first["meta"]["lastUpdated"]
    assert part(event, "focus") == f"{client.base_url}Task/{first['id']}".replace("fhirTask", "fhir/Task")
    assert bundle["entry"][0]["resource"]["meta"]["profile"] == [BACKPORT + "subscription-status-r4"]
    assert bundle["entry"][1]["request"] == {"method": "POST", "url": "Task"}
    assert "resource" not in bundle["entry"][1]
    assert client.delete(f"/Subscription/{stored['id']}").status_code == 204


@pytest.mark.parametrize("content", ["empty", "id-only", "full-resource"])
def test_a_notification_holds_what_was_asked_for(client: httpx.Client, receiver: Receiver, content: str) -> None:
    path, owner = f"/content-{content}", f"Organization/{content}"
    active(client, receiver, path, subscription(receiver.url(path), filters=(f"Task?owner={owner}",), content=content))
    stored = made(client, task(owner))
    receiver.wait(lambda _: bool(receiver.told(path)))
    bundle = receiver.told(path)[0].bundle
    [event] = events(bundle)
    assert part(event, "event-number") == "1"
    if content == "empty":
        assert part(event, "focus") == value(bundle, "topic") == ""
        assert len(bundle["entry"]) == 1
        return
    assert part(event, "focus").endswith(f"/Task/{stored['id']}")
    assert bundle["entry"][1].get("resource") == (stored if content == "full-resource" else None)


def test_what_a_filter_matches_is_what_a_search_finds(client: httpx.Client, receiver: Receiver) -> None:
    query = "status=requested,accepted&owner=Organization/f1,Organization/f2&code:not=x&authored-on=ge2026-01-01"
    asked = subscription(
        receiver.url("/filter"), filters=("Task?owner=Organization/f1,Organization/f2&status=requested,accepted",)
    )
    active(client, receiver, "/filter", asked)
    for owner in ("f1", "f2", "f3"):
        for status in ("draft", "requested", "accepted", "completed"):
            made(client, task(f"Organization/{owner}", status=status, authoredOn="2026-05-01"))
    made(client, task("Organization/f1", authoredOn="2026-06-01"))
    receiver.wait(lambda _: sum(len(one.numbers) for one in receiver.told("/filter")) == 5)
    told = [part(event, "focus") for one in receiver.told("/filter") for event in events(one.bundle)]
    found = client.get(f"/Task?{query}&_sort=_lastUpdated").json()
    assert told == [entry["fullUrl"] for entry in found["entry"]]


def test_a_plain_r4_subscription_is_pinged_or_given_the_resource(client: httpx.Client, receiver: Receiver) -> None:
    made(client, plain(receiver.url("/ping"), "Task?owner=Organization/p1"))
    made(client, plain(receiver.url("/put"), "Task?owner=Organization/p1", "application/fhir+json"))
    receiver_task = made(client, task("Organization/p1"))
    made(client, task("Organization/p2"))
    got = receiver.wait(lambda got: {"/ping", f"/put/Task/{receiver_task['id']}"} <= {one.path for one in got})
    [ping] = [one for one in got if one.path == "/ping"]
    [put] = [one for one in got if one.path.startswith("/put")]
    assert (ping.method, ping.body) == ("POST", b"")
    assert (put.method, put.bundle) == ("PUT", receiver_task)


def test_deletions_and_updates_are_events_too(client: httpx.Client, receiver: Receiver) -> None:
    active(
        client,
        receiver,
        "/gone",
        subscription(receiver.url("/gone"), filters=("Task?owner=Organization/g",), numbers={"max-count": 1}),
    )
    stored = made(client, task("Organization/g"))
    place = f"/Task/{stored['id']}"
    assert client.put(place, json={**stored, "status": "accepted"}).status_code == 200
    assert client.delete(place).status_code == 204
    receiver.wait(lambda _: len(receiver.told("/gone")) == 3)
    entries = [one.bundle["entry"][1] for one in receiver.told("/gone")]
    assert [entry["request"]["method"] for entry in entries] == ["POST", "PUT", "DELETE"]
    assert [entry["response"]["status"] for entry in entries] == ["201 Created", "200 OK", "204 No Content"]


def test_gravitys_topic_tells_orders_that_are_no_drafts(client: httpx.Client, receiver: Receiver) -> None:
    asked = subscription(receiver.url("/gravity"), criteria=GRAVITY + "Task", filters=("Task?owner=Organization/gr",))
    active(client, receiver, "/gravity", asked)
    made(client, task("Organization/gr", status="draft"))
    made(client, task("Organization/gr", intent="plan"))
    wanted = made(client, task("Organization/gr"))
    receiver.wait(lambda _: bool(receiver.told("/gravity")))
    [told] = receiver.told("/gravity")
    assert [part(event, "focus") for event in events(told.bundle)] == [
        f"{str(client.base_url).rstrip('/')}/Task/{wanted['id']}"
    ]


def test_events_are_asked_for_again_from_any_number(client: httpx.Client, receiver: Receiver) -> None:
    owner = "Organization/again"
    identity = active(
        client, receiver, "/again", subscription(receiver.url("/again"), filters=(f"Task?owner={owner}",))
    )
    ids = [made(client, task(owner))["id"] for _ in range(5)]
    receiver.wait(lambda _: sum(len(one.numbers) for one in receiver.told("/again")) == 5)
    place = f"/Subscription/{identity}"
    bundle = client.get(f"{place}/$events?eventsSinceNumber=2&eventsUntilNumber=4").json()
    assert value(bundle, "type") == "query-event"
    assert [part(one, "event-number") for one in events(bundle)] == ["2", "3", "4"]
    assert [entry["fullUrl"].rpartition("/")[2] for entry in bundle["entry"][1:]] == ids[1:4]
    full = client.get(f"{place}/$events?eventsSinceNumber=5&content=full-resource").json()
    assert full["entry"][1]["resource"]["id"] == ids[4]
    outcome(client.get(f"{place}/$events?eventsSinceNumber=x"), 400, "operation-input")
    outcome(client.get(f"{place}/$events?content=all"), 400, "operation-input")
    status = client.get(f"{place}/$status").json()
    assert status["type"] == "searchset"
    said = {one["name"]: one for one in status["entry"][0]["resource"]["parameter"]}
    assert said["events-since-subscription-start"]["valueString"] == "5"
    assert said["type"]["valueCode"] == "query-status"
    both = client.get(f"/Subscription/$status?id={identity}&id=none&status=active").json()
    assert [entry["fullUrl"].rpartition("/Subscription/")[2] for entry in both["entry"]] == [f"{identity}/$status"]
    outcome(client.get("/Subscription/none/$status"), 404)


REFUSALS: list[tuple[str, dict[str, Any], str, str]] = [
    ("topic", {"criteria": "https://example.org/topic"}, "subscription-topic", "Subscription.criteria"),
    ("filter parameter", {"filters": ("Task?input=x",)}, "subscription-filter", "Subscription.criteria.extension[0].value"),
    ("filter type", {"filters": ("Task?owner=x", "Patient?name=x")}, "subscription-filter", "Subscription.criteria.extension[1].value"),
    ("filter hierarchy", {"filters": ("Task?owner:below=Organization/1",)}, "subscription-filter", "Subscription.criteria.extension[0].value"),
    ("filter chain", {"filters": ("Task?owner.name=x",)}, "subscription-filter", "Subscription.criteria.extension[0].value"),
    ("content", {"content": "everything"}, "subscription-content", "Subscription.channel.payload.extension"),
    ("payload", {"payload": "application/fhir+xml"}, "subscription-payload", "Subscription.channel.payload"),
    ("channel", {"type": "sms"}, "subscription-channel", "Subscription.channel.type"),
    ("endpoint", {"endpoint": "ftp://example.org/x"}, "subscription-endpoint", "Subscription.channel.endpoint"),
    ("endpoint with user", {"endpoint": "https://me:secret@example.org/"}, "subscription-endpoint", "Subscription.channel.endpoint"),
    ("header", {"header": ["X-Fine: 1", "Host: other"]}, "subscription-header", "Subscription.channel.header[1]"),
    ("header break", {"header": ["X-Two: 1\r\nX-More: 2"]}, "subscription-header", "Subscription.channel.header[0]"),
    ("heartbeat", {"numbers": {"heartbeat-period": 1}}, "subscription-number", "Subscription.channel.extension"),
    ("timeout", {"numbers": {"timeout": 3600}}, "subscription-number", "Subscription.channel.extension"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "key", "place"), [one[1:] for one in REFUSALS], ids=[one[0] for one in REFUSALS])
def test_what_cannot_be_done_is_refused_where_it_is_asked(
    client: httpx.Client, asked: dict[str, Any], key: str, place: str
) -> None:
    given = {"endpoint": "https://example.org/hook", **asked}
    answer = client.post("/Subscription", json=subscription(**given))
    issue = outcome(answer, 422, key)
    assert issue["expression"] == [place]


@pytest.mark.parametrize(
    "criteria",
    [
        "Unicorn?x=1", "Task?unknown=1", "Task?owner.name=x", "Task?_count=3", "nothing", "Task?code:in=http://example.org/v",
        "Task?owner:below=Organization/1", "Task?overdue=true", "Task?_list=1", "Task?authored-on=ap2026",
    ],
)  # fmt: skip
def test_plain_criteria_are_a_search_that_one_resource_answers(client: httpx.Client, criteria: str) -> None:
    outcome(client.post("/Subscription", json=plain("https://example.org/", criteria)), 422, "subscription-criteria")


def test_the_status_is_the_servers_to_say(client: httpx.Client) -> None:
    asked = {**subscription("https://example.org/"), "status": "active"}
    outcome(client.post("/Subscription", json=asked), 422, "subscription-status")
    stored = made(client, {**asked, "status": "off"})
    again = client.put(f"/Subscription/{stored['id']}", json={**stored, "status": "error"})
    outcome(again, 422, "subscription-status")


def test_the_statement_names_every_topic_and_each_is_found_as_a_basic(client: httpx.Client) -> None:
    artifacts, faults = read_topics(default_root())
    assert not faults
    urls = sorted(one.canonical for one in artifacts)
    assert {GRAVITY + "Task", GRAVITY + "Servicerequest"} <= set(urls)
    statement = client.get("/metadata").json()
    [described] = [one for one in statement["rest"][0]["resource"] if one["type"] == "Subscription"]
    assert sorted(one["valueCanonical"] for one in described["extension"]) == urls
    assert statement["instantiates"][0].endswith("CapabilityStatement/backport-subscription-server-r4")
    assert {"status", "events"} <= {one["name"] for one in described["operation"]}
    found = client.get("/Basic?code=SubscriptionTopic&_count=100").json()
    stated = [one["resource"]["extension"][0] for one in found["entry"]]
    assert sorted(one["valueUri"] for one in stated) == urls


@pytest.mark.parametrize(
    "path", sorted(Path(default_root(), "profiles/subscription-topics").glob("*.json")), ids=lambda path: path.stem
)
def test_a_topic_is_a_subscription_topic_of_r4b(path: Path) -> None:
    assert SubscriptionTopic.model_validate_json(path.read_bytes()).url
