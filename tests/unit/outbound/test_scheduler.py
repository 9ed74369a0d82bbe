"""The scheduler: what is due is done once, whatever is killed, however many processes there are, whatever the clock does."""

import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fhir_server.interactions.context import Engine
from fhir_server.outbound.jobs import FollowDeadlines, TellDeadlines
from fhir_server.outbound.lease import LeaseLost
from fhir_server.outbound.scheduler import Fence, Scheduler, next_runs
from fhir_server.store.port import UnitOfWork
from tests.unit.outbound.scheduler_stage import DAY, START, SetClock, opened, put, scheduler, task, told


def test_a_deadline_is_told_once_when_it_has_passed_and_not_before(engine: Engine, clock: SetClock) -> None:
    put(engine, task("late", START + DAY))
    runs = scheduler(engine)
    runs.run_due()
    assert told(engine) == []
    clock.now += DAY + 1_000
    for _ in range(3):
        runs.run_due()
    assert told(engine) == [("task-overdue", "Task/late")]
    put(engine, {**task("late", START + DAY), "description": "changed, and as late as before"})
    runs.run_due()
    assert told(engine) == [("task-overdue", "Task/late")]


def test_a_deadline_that_was_met_or_moved_or_deleted_in_time_is_not_told(engine: Engine, clock: SetClock) -> None:
    for name in ("met", "moved", "deleted"):
        put(engine, task(name, START + DAY))
    runs = scheduler(engine)
    runs.run_due()
    put(engine, task("met", START + DAY, status="completed"))
    put(engine, task("moved", START + 3 * DAY))
    engine.store.write(lambda uow: uow.delete("Task", "deleted", 2))
    clock.now += 2 * DAY
    runs.run_due()
    assert told(engine) == []
    clock.now += 2 * DAY
    runs.run_due()
    assert told(engine) == [("task-overdue", "Task/moved")]


def test_a_server_that_was_down_for_days_tells_what_passed_meanwhile_once(tmp_path: Path, clock: SetClock) -> None:
    path = tmp_path / "fhir.sqlite"
    with opened(path, clock) as first:
        for number in range(5):
            put(first, task(f"t{number}", START + DAY * (number + 1)))
        scheduler(first).run_due()
    clock.now += 3 * DAY + 1
    with opened(path, clock) as second:
        runs = scheduler(second)
        runs.run_due()
        runs.run_due()
        assert sorted(told(second)) == [("task-overdue", f"Task/t{number}") for number in range(3)]


def test_several_processes_tell_each_deadline_once(tmp_path: Path, clock: SetClock) -> None:
    path = tmp_path / "fhir.sqlite"
    with opened(path, clock) as one, opened(path, clock) as two:
        for number in range(40):
            put(one, task(f"t{number}", START - 1))
        both = [scheduler(one, holder="one", tick=0.01), scheduler(two, holder="two", tick=0.01)]
        for runs in both:
            runs.start()
        done = threading.Event()
        for _ in range(500):
            if len(told(one)) >= 40:
                break
            clock.now += 50
            done.wait(0.01)
        both[0].stop()  # and the other goes on
        put(one, task("last", START - 1))
        for _ in range(500):
            if len(told(one)) >= 41:
                break
            clock.now += 50
            done.wait(0.01)
        both[1].stop()
        assert sorted(told(one)) == sorted(
            ("task-overdue", f"Task/{name}") for name in [*(f"t{n}" for n in range(40)), "last"]
        )


class Sleeper:
    """A job that is overtaken between what it read and what it writes."""

    name = "sleeper"
    every_ms = 1

    def __init__(self, inner: TellDeadlines, meanwhile: Callable[[], None]) -> None:
        self._inner = inner
        self._meanwhile = meanwhile

    def run(self, fence: Fence, now: int) -> bool:
        def late(uow: UnitOfWork) -> None:
            fence(uow)

        self._meanwhile()
        return self._inner.run(late, now)


def test_who_lost_the_lease_while_asleep_changes_nothing(tmp_path: Path, clock: SetClock) -> None:
    path = tmp_path / "fhir.sqlite"
    with opened(path, clock) as one, opened(path, clock) as two:
        put(one, task("t", START - 1))
        FollowDeadlines(one).run(lambda _: None, START)

        def overtake() -> None:
            clock.now += 10_000
            scheduler(two, holder="two").run_due()
            assert told(two) == [("task-overdue", "Task/t")]
            put(two, task("u", START - 1))
            FollowDeadlines(two).run(lambda _: None, START)

        asleep = Scheduler(one, [Sleeper(TellDeadlines(one), overtake)], holder="one", lease_ms=4_000)
        with pytest.raises(LeaseLost):
            asleep.run_due()
        assert told(one) == [("task-overdue", "Task/t")]


KILLED = """
    import sys, time
    from pathlib import Path
    sys.path.insert(0, {root!r})
    from fhir_server.outbound.jobs import all_jobs
    from fhir_server.outbound.scheduler import Scheduler
    from tests.unit.outbound.scheduler_stage import SetClock, opened

    with opened(Path({path!r}), SetClock()) as engine:
        jobs = all_jobs(engine, escalate=False)
        tell = jobs[1]
        before = tell._tell
        def claimed(uow, fence, due):
            before(uow, fence, due)
            print("claimed", flush=True)
            time.sleep(60)
        tell._tell = claimed
        Scheduler(engine, jobs, lease_ms=4_000).run_due()
"""


def test_killed_between_claim_and_done_it_is_done_by_the_next(tmp_path: Path, clock: SetClock) -> None:
    path = tmp_path / "fhir.sqlite"
    with opened(path, clock) as engine:
        put(engine, task("t", START - 1))
    script = textwrap.dedent(KILLED).format(root=str(Path(__file__).parents[3]), path=str(path))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "claimed\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with opened(path, clock) as engine:
        assert told(engine) == []
        runs = scheduler(engine)
        assert runs.run_due() == 0  # the lease of the dead still runs
        clock.now += 5_000
        runs.run_due()
        assert told(engine) == [("task-overdue", "Task/t")]


class Counter:
    name = "counter"
    every_ms = 60_000

    def __init__(self) -> None:
        self.ran: list[int] = []

    def run(self, fence: Fence, now: int) -> bool:  # noqa: ARG002  # the shape of every job
        self.ran.append(now)
        return False


def test_a_clock_that_jumps_runs_a_job_once_and_never_stops_it(engine: Engine, clock: SetClock) -> None:
    counter = Counter()
    runs = Scheduler(engine, [counter], lease_ms=4_000)
    for jump in (0, 1_000, 60_000, 365 * DAY, 1_000, -400 * DAY, 1_000, 60_000):
        clock.now += jump
        runs.run_due()
    gone = [at - START for at in counter.ran]
    first, minute, year = 0, 61_000, 61_000 + 365 * DAY
    back = year + 1_000 - 400 * DAY
    assert gone == [first, minute, year, back, back + 61_000]
    assert engine.store.read(next_runs) == {"counter": counter.ran[-1] + 60_000}


def test_a_deadline_told_before_the_clock_was_set_back_is_not_told_again(engine: Engine, clock: SetClock) -> None:
    put(engine, task("t", START + DAY))
    runs = scheduler(engine)
    for jump in (0, 2 * DAY, -2 * DAY, 2 * DAY):
        clock.now += jump
        runs.run_due()
    assert told(engine) == [("task-overdue", "Task/t")]
