"""What the jobs of the scheduler end and forget by themselves."""

import json

from fhir_server.interactions.context import Engine
from fhir_server.model.clock import render_instant
from fhir_server.outbound.jobs import DEADLINE, EndSubscriptions, ForgetRecords
from fhir_server.store.port import UnitOfWork
from tests.unit.outbound.scheduler_stage import DAY, START, SetClock, put


def test_a_subscription_ends_when_it_said(engine: Engine, clock: SetClock) -> None:
    for name, end in (("ends", START + DAY), ("stays", START + 9 * DAY)):
        put(
            engine,
            {
                "resourceType": "Subscription", "id": name, "status": "active", "reason": "r", "criteria": "Task?",
                "end": render_instant(end), "channel": {"type": "websocket"},
            },
        )  # fmt: skip
    job = EndSubscriptions(engine)
    job.run(lambda _: None, clock.now)
    clock.now += 2 * DAY
    job.run(lambda _: None, clock.now)

    def status(name: str) -> str:
        version = engine.store.read(lambda snapshot: snapshot.current("Subscription", name))
        assert version is not None
        return str(json.loads(version.body or b"")["status"])

    assert (status("ends"), status("stays")) == ("off", "active")


def test_what_is_of_no_use_any_more_is_forgotten_and_nothing_else(engine: Engine) -> None:
    def work(uow: UnitOfWork) -> None:
        for number in range(450):
            uow.set_record("used-assertion", f"old{number:03d}", b"", START - 1)
        uow.set_record("used-assertion", "new", b"", START + 1)
        uow.set_record("session", "ended", b"{}", START - 1)
        uow.set_record("client", "kept", b"{}", START - 1)
        uow.set_record(DEADLINE, "Task/x task-overdue", b'{"at":1}', START + 1)

    engine.store.write(work)
    job = ForgetRecords(engine)
    rounds = 1
    while job.run(lambda _: None, START):
        rounds += 1
    assert rounds == 3

    def kept(kind: str) -> list[str]:
        return [record.key for record in engine.store.read(lambda snapshot: snapshot.records(kind, "", 1_000))]

    assert [kept(kind) for kind in ("used-assertion", "session", "client", DEADLINE)] == [
        ["new"],
        [],
        ["kept"],
        ["Task/x task-overdue"],
    ]
