"""Subscribers are told what they may see when they are told it, and nothing else: not even that there is something."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.access.principal import Principal
from fhir_server.app import build_engine
from fhir_server.interactions.subscriptions_events import event_count
from fhir_server.interactions.subscriptions_lanes import lane_of
from fhir_server.model.codec import encode
from fhir_server.model.errors import NotFound
from fhir_server.outbound.outbound import Calling, Outbound
from fhir_server.settings import Settings
from tests.property.access_world import CALLERS, World, consent, furnish, reference, request
from tests.unit.outbound.receiver import Receiver, events, part, with_status
from tests.unit.outbound.stage import HandClock, Stage, plain, staged

REQUESTS = "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic/Servicerequest"
ANN = {
    "reasonReference": [reference("Condition/named-ann")],
    "supportingInfo": [reference("Consent/c-ann"), reference("Observation/info-ann")],
}


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def world(tmp_path: Path, clock: HandClock) -> Iterator[World]:
    store = f"sqlite:///{tmp_path / 'fhir.sqlite'}"
    engine = build_engine(
        Settings(store=store, enforce_access=True, publish_artifacts=False, private_receivers=True), clock=clock
    )
    made = World(engine)
    furnish(made)
    outbound = Outbound(engine, Calling(private=True), tick=0.02)
    engine.signal.start()
    outbound.start()
    yield made
    outbound.stop()
    engine.signal.stop()
    made.close()


def subscribed(world: World, receiver: Receiver, *callers: str) -> dict[str, str]:
    """Let callers subscribe to every ServiceRequest, each at a path of its own; return the ids."""
    stage = Stage(world.engine)
    ids = {
        one: stage.subscribe(receiver.url(f"/{one}"), CALLERS[one], criteria=REQUESTS, content="full-resource")
        for one in callers
    }
    paths = {f"/{one}" for one in callers}
    receiver.wait(lambda got: paths <= {one.path for one in got})
    stage.until(lambda: all(b'"active"' in asked(world, one, f"Subscription/{ids[one]}") for one in callers))
    return ids


def asked(world: World, caller: str, place: str) -> bytes:
    """Read a place as a caller; what is refused is empty."""
    try:
        return encode(Stage(world.engine).send("GET", place, principal=CALLERS[caller]))
    except NotFound:
        return b""


def count(world: World, identity: str) -> int:
    return world.engine.store.read(lambda snapshot: event_count(snapshot, identity))


def changed(world: World, reason: str) -> None:
    world.put({**request("r-ann", "Patient/ann", "gp", **ANN), "note": [{"text": reason}]}, "")


def test_who_may_not_see_a_resource_gets_no_event_and_no_number(world: World, receiver: Receiver) -> None:
    ids = subscribed(world, receiver, "gp", "cbo", "gp2", "cbo2")
    changed(world, "first")
    receiver.wait(lambda _: bool(receiver.told("/gp") and receiver.told("/cbo")))
    assert {one: count(world, identity) for one, identity in ids.items()} == {"gp": 1, "cbo": 1, "gp2": 0, "cbo2": 0}
    assert b"urn:marker:ServiceRequest.r-ann" in receiver.told("/cbo")[0].body
    assert not receiver.told("/gp2")
    assert not receiver.told("/cbo2")


def test_a_consent_that_ends_before_it_is_told_leaves_a_number_and_nothing_else(
    world: World, receiver: Receiver, clock: HandClock
) -> None:
    identity = subscribed(world, receiver, "cbo")["cbo"]
    receiver.behaviour = with_status(500)
    changed(world, "not to be told")
    stage = Stage(world.engine)
    stage.until(lambda: count(world, identity) == 1)
    stage.until(lambda: world.engine.store.read(lambda snapshot: lane_of(snapshot, identity)).attempts == 1)
    world.put({**consent("c-ann", "Patient/ann", "Organization/cbo"), "status": "inactive"}, "", writer="gp")
    before = len(receiver.got)
    receiver.behaviour = with_status(200)
    clock.advance(2_000)
    receiver.wait(lambda got: len(got) > before)
    told = receiver.told("/cbo")[-1]
    [event] = events(told.bundle)
    assert (part(event, "event-number"), part(event, "focus")) == ("1", "")
    assert len(told.bundle["entry"]) == 1
    assert b"r-ann" not in told.body
    shown = asked(world, "cbo", f"Subscription/{identity}/$events")
    assert b"event-number" in shown
    assert b"r-ann" not in shown
    world.put(consent("c-ann", "Patient/ann", "Organization/cbo"), "", writer="gp")
    changed(world, "now it may be")
    receiver.wait(lambda _: receiver.told("/cbo")[-1].numbers == [2])
    assert b"now it may be" in receiver.told("/cbo")[-1].body


def test_what_a_subscriber_was_shown_is_in_the_audit_trail(world: World, receiver: Receiver) -> None:
    subscribed(world, receiver, "cbo")
    changed(world, "audited")
    stage = Stage(world.engine)

    def trail() -> bytes:
        return asked(world, "auditor", "AuditEvent?entity=ServiceRequest/r-ann&agent=Organization/cbo")

    stage.until(lambda: b"ServiceRequest/r-ann/_history/2" in trail())


def test_a_subscription_is_seen_and_changed_by_the_organisation_that_made_it(world: World, receiver: Receiver) -> None:
    identity = subscribed(world, receiver, "cbo")["cbo"]
    place = f"Subscription/{identity}"
    callers = ("cbo", "operator", "gp", "cbo2")
    assert [bool(asked(world, one, place)) for one in callers] == [True, True, False, False]
    assert [bool(asked(world, one, f"{place}/$events")) for one in callers] == [True, True, False, False]
    assert [bool(asked(world, one, f"{place}/$status")) for one in callers] == [True, True, False, False]
    with pytest.raises(NotFound):
        Stage(world.engine).send("DELETE", place, principal=CALLERS["gp"])


def test_who_takes_over_a_subscription_is_told_by_its_own_rights(world: World, receiver: Receiver) -> None:
    identity = subscribed(world, receiver, "gp")["gp"]
    stage = Stage(world.engine)
    kept = stage.send("GET", f"Subscription/{identity}", principal=CALLERS["operator"])
    operators = {**kept, "channel": {**kept["channel"], "endpoint": receiver.url("/operator")}}
    stage.send("PUT", f"Subscription/{identity}", operators, CALLERS["operator"])
    receiver.wait(lambda got: any(one.path == "/operator" for one in got))
    changed(world, "for the referrer")
    world.put({"resourceType": "ServiceRequest", "id": "other", "status": "active"}, "", writer="gp")
    identity_again = subscribed(world, receiver, "gp2")["gp2"]
    assert (count(world, identity), count(world, identity_again)) == (0, 0)
    assert not receiver.told("/operator")


def test_a_client_that_is_disabled_is_told_nothing_more(tmp_path: Path, receiver: Receiver) -> None:
    gone = Principal("Organization/o1", frozenset({"recipient"}), agent="client:never-registered")
    with staged(tmp_path / "a.sqlite") as stage:
        identity = stage.subscribe(receiver.url(), gone)
        stage.until(lambda: stage.status(identity) == "error")
        assert "may not use it" in stage.lane(identity).fault
    assert receiver.got == []


def test_a_plain_subscription_is_not_told_what_is_hidden(world: World, receiver: Receiver) -> None:
    stage = Stage(world.engine)

    def wanted(path: str) -> dict[str, Any]:
        return plain(receiver.url(path), "ServiceRequest?subject=Patient/ann", "application/fhir+json")

    for one in ("cbo", "cbo2"):
        stage.send("POST", "Subscription", wanted(f"/{one}"), CALLERS[one])
    changed(world, "plain")
    receiver.wait(bool)
    assert {one.path for one in receiver.got} == {"/cbo/ServiceRequest/r-ann"}
