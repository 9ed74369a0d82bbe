"""What one is let in to for a while does not last longer by writing, and nobody speaks for others to let in or shut out."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fhir_server.access.principal import Principal
from tests.property.access_grabs import Prey, Try, bundle, consent, post, request, task
from tests.property.access_world import CALLERS, PROFILE, World, furnish, opened, reference, tags
from tests.property.access_world import task as stored_task

BEHIND = ("ServiceRequest/r-ann", "Patient/ann", "Condition/named-ann", "Observation/info-ann", "Consent/c-ann")
RECORDS = ("Patient/ann", "Condition/named-ann", "Observation/info-ann", "Observation/apart-ann")
JSON_PATCH = {"content_type": "application/json-patch+json"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with opened(tmp_path, audit_reads="off") as made:
        furnish(made)
        agreed = consent(prey("gp"), provision={"type": "permit"}, id="c-ann")
        agreed["meta"] = tags(permits="Organization/cbo Organization/cbo2")
        made.put(agreed, "", writer="gp")
        for name, owner, status in (("t-ann", "cbo", "accepted"), ("u-ann", "cbo2", "requested")):
            sent = stored_task(
                name,
                f"ServiceRequest/{name.replace('t-', 'r-').replace('u-', 's-')}",
                "Patient/ann",
                "gp",
                owner,
                status,
            )
            sent |= {"intent": "order", "authoredOn": "2026-11-01", "code": task(prey("gp"))["code"]}
            sent["meta"]["profile"] = [PROFILE + "referral-task"]
            made.put(sent, "", writer="gp")
        yield made


def prey(caller: str, person: str = "ann") -> Prey:
    principal = CALLERS[caller]
    return Prey(
        f"Patient/{person}", principal.organization or principal.person, f"Condition/named-{person}",
        f"ServiceRequest/r-{person}", f"Consent/c-{person}", f"Task/t-{person}",
    )  # fmt: skip


def statuses(world: World, caller: str, places: tuple[str, ...]) -> list[int]:
    return [world.ask(caller, "GET", place).status for place in places]


def sent(world: World, caller: str, *tries: Try) -> list[int]:
    return [world.ask(caller, one.method, one.url, one.body, **one.headers).status for one in tries]


def current(world: World, caller: str, place: str) -> str:
    """Return the version of a resource as If-Match names it."""
    return world.ask(caller, "GET", place).headers["etag"]


def named(caller: str, **more: Any) -> dict[str, Any]:
    """A referral of one's own that names all that one sees of Ann for now."""
    return request(
        prey(caller),
        reasonReference=[reference("Condition/named-ann")],
        supportingInfo=[reference("Observation/info-ann"), reference("Consent/c-ann")],
        **more,
    )


def _own_referral() -> list[Try]:
    return post(named("cbo"))


def _plain_referral() -> list[Try]:
    return post({name: value for name, value in named("cbo").items() if name != "meta"})


def _output() -> list[Try]:
    output = [{"type": {"text": "seen"}, "valueReference": reference(key)} for key in (BEHIND[2], BEHIND[3])]
    return [
        Try(
            "PATCH",
            "Task/t-ann",
            [{"op": "add", "path": "/output", "value": output}],
            {**JSON_PATCH, "if_match": 'W/"2"'},
        )
    ]


def _own_consent() -> list[Try]:
    return post(consent(prey("cbo")))


def _own_task() -> list[Try]:
    first = named("cbo", status="active")
    second = task(
        prey("cbo"),
        focus=reference("urn:uuid:00000000-0000-4000-8000-000000000000"),
        basedOn=[reference("ServiceRequest/r-ann")],
    )
    return [bundle("transaction", ("POST", "ServiceRequest", first), ("POST", "Task", second))]


def _to_itself() -> list[Try]:
    return post(named("cbo", status="active", performer=[reference("Organization/cbo")]))


HOLDS = {
    "a referral": (_own_referral, 201), "a plain one": (_plain_referral, 201), "an output": (_output, 200),
    "a Consent": (_own_consent, 201), "a Task": (_own_task, 200), "a referral to itself": (_to_itself, 201),
}  # fmt: skip


def _take_up(world: World, caller: str) -> None:
    """Accept whatever waits for a caller."""
    found = json.loads(world.ask(caller, "GET", f"Task?owner={CALLERS[caller].organization}&status=requested").body)
    change = [{"op": "replace", "path": "/status", "value": "accepted"}]
    for entry in found.get("entry", ()):
        one = entry["resource"]
        world.ask(
            caller,
            "PATCH",
            f"Task/{one['id']}",
            change,
            **JSON_PATCH,
            if_match=current(world, caller, f"Task/{one['id']}"),
        )


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("end", ["consent", "cancelled"])
def test_what_was_written_while_it_was_seen_does_not_keep_it_in_sight(world: World, hold: str, end: str) -> None:
    assert statuses(world, "cbo", BEHIND) == [200] * 5
    tries, expected = HOLDS[hold]
    assert sent(world, "cbo", *tries()) == [expected]
    _take_up(world, "cbo")
    if end == "consent":
        ended = {**consent(prey("gp"), provision={"type": "permit"}, id="c-ann"), "status": "inactive"}
        assert sent(world, "gp", Try("PUT", "Consent/c-ann", ended)) == [200]
    else:
        cancel = [
            {"op": "replace", "path": "/status", "value": "cancelled"},
            {"op": "add", "path": "/statusReason", "value": {"text": "not needed"}},
        ]
        headers = {**JSON_PATCH, "if_match": current(world, "gp", "Task/t-ann")}
        assert sent(world, "gp", Try("PATCH", "Task/t-ann", cancel, headers)) == [200]
    assert statuses(world, "cbo", BEHIND) == [404] * 5
    assert statuses(world, "gp", BEHIND) == [200] * 5


def test_a_broken_glass_is_not_kept_open_by_writing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CALLERS, "breaker", replace(CALLERS["late"], purpose="BTG", reason="She lies on the floor"))
    world.put(
        {"resourceType": "Patient", "id": "ann", "identifier": [{"system": "urn:t", "value": "7"}]}, "", writer="gp"
    )
    assert sent(world, "breaker", Try("POST", "Patient/$break-the-glass?identifier=urn:t|7")) == [200]
    assert statuses(world, "breaker", RECORDS) == [200] * 4
    assert sent(world, "breaker", *post(named("late")), *post(consent(prey("late")))) == [201, 201]
    assert statuses(world, "late", RECORDS) == [404] * 4


@pytest.mark.parametrize("more", [[], [("POST", "ServiceRequest", "onward")]])
def test_what_is_taken_up_may_be_written_about_in_the_same_transaction(world: World, more: list[Any]) -> None:
    binary = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Task.status"},
        {"name": "value", "valueCode": "accepted"}]}]}  # fmt: skip
    about = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": reference("Patient/ann"),
    }
    entries = [("PATCH", "Task/u-ann", binary), ("POST", "Observation", about)]
    entries += [(method, kind, request(prey("cbo2"))) for method, kind, _ in more]
    made = bundle("transaction", *entries)
    made.body["entry"][0]["request"]["ifMatch"] = 'W/"2"'  # type: ignore[index,call-overload]  # it is a Bundle
    answer = world.ask("cbo2", "POST", "", made.body)
    assert answer.status == 200, answer.body
    assert statuses(world, "cbo2", ("Patient/ann", "ServiceRequest/s-ann", "Observation/apart-ann")) == [200, 200, 404]


def test_who_receives_does_not_close_the_record_to_others_nor_give_a_mandate(world: World) -> None:
    seen = {caller: statuses(world, caller, BEHIND) for caller in CALLERS}
    for who in ("Organization/cbo2", "Organization/gp"):
        assert sent(world, "cbo", *post(consent(prey("cbo"), "deny", who))) == [403]
    everybody = consent(prey("cbo"))
    everybody["provision"] = {"type": "permit", "provision": [{"type": "deny"}]}
    assert sent(world, "cbo", *post(everybody), *post(consent(prey("cbo"), "permit", "RelatedPerson/kin-ann"))) == [
        409,
        409,
    ]  # nobody refers to what it closed to itself, or does not see
    world.put({"resourceType": "RelatedPerson", "id": "friend", "patient": reference("Patient/ann")}, "", writer="cbo")
    assert sent(world, "cbo", *post(consent(prey("cbo"), "permit", "RelatedPerson/friend"))) == [403]
    assert {caller: statuses(world, caller, BEHIND) for caller in CALLERS} == seen


@pytest.mark.parametrize("caller", ["gp", "ann"])
def test_the_person_and_who_keeps_the_record_close_it(world: World, caller: str) -> None:
    assert sent(world, caller, *post(consent(prey(caller), "deny", "Organization/cbo"))) == [201]
    assert statuses(world, "cbo", BEHIND[1:4]) == [404] * 3


def test_a_representative_does_not_prolong_its_own_mandate(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kin = Principal(roles=frozenset({"person"}), person="RelatedPerson/kin-ann")
    monkeypatch.setitem(CALLERS, "kin", kin)
    given = world.ask("ann", "POST", "Consent", consent(prey("ann"), "permit", kin.person))
    assert given.status == 201
    mandate = json.loads(given.body)
    assert statuses(world, "kin", ("Patient/ann",)) == [200]
    longer = {**mandate, "provision": {**mandate["provision"], "period": {"end": "2090-01-01"}}}
    assert sent(
        world, "kin", *post(consent(prey("ann"), "permit", kin.person)), Try("PUT", f"Consent/{mandate['id']}", longer)
    ) == [403, 403]
    assert sent(world, "kin", Try("PUT", f"Consent/{mandate['id']}", {**mandate, "status": "inactive"})) == [200]
    assert statuses(world, "kin", ("Patient/ann",)) == [404]
