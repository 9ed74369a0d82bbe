"""What the server does by itself when its time has come: one scheduler on the store, whatever number of processes there is.

Whoever holds the lease runs the jobs. A job writes under the fence of that lease, so that a process that was asleep and
believes that it still holds it changes nothing; and what a job does and that it was done is one unit of work, so that a
process that is killed anywhere leaves it either done or to be done. When a job is next to run is a record of the store.
"""

import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from fhir_server.interactions.context import Engine
from fhir_server.model.errors import FhirError
from fhir_server.outbound.attempt import place_of
from fhir_server.outbound.lease import Lease, LeaseLost
from fhir_server.store.port import Snapshot, UnitOfWork

TASK: Final = "scheduler"
JOB: Final = "job"
"""Kind of the record of one job; its key is its name, due is when it is next to run."""
_TICK: Final = 1.0
_LEASE_MS: Final = 20_000
"""A process that is killed while it runs the jobs is followed by another after so long."""
_ROUNDS: Final = 100
"""Units that one job may do in a row before the others have their turn."""
_log = structlog.get_logger("fhir_server.scheduler")

Fence = Callable[[UnitOfWork], None]
"""Raises LeaseLost when somebody else runs the jobs now; to be called in every unit of work of a job."""


class Job(Protocol):
    """Something that is to be done again and again."""

    @property
    def name(self) -> str:
        """What it is called; the same in every process and version."""
        ...

    @property
    def every_ms(self) -> int:
        """Milliseconds from one run to the next; 0 for a job that is run at each look and keeps what is due itself."""
        ...

    def run(self, fence: Fence, now: int) -> bool:
        """Do a bounded part of what is due; return whether there is more. What was done already must do nothing."""
        ...


class Scheduler:
    """Runs jobs in a thread of its own, while this process holds the lease."""

    def __init__(
        self,
        engine: Engine,
        jobs: Sequence[Job],
        *,
        holder: str = "",
        tick: float = _TICK,
        lease_ms: int = _LEASE_MS,
    ) -> None:
        """`tick` is how many seconds pass between two looks at the clock."""
        self._engine = engine
        self._jobs = tuple(jobs)
        self._tick = tick
        self._lease = Lease(engine.store, engine.clock, TASK, holder or secrets.token_hex(8), lease_ms)
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the unit of work that runs, and give the lease back."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def run_due(self) -> int:
        """Run every job that is due, if this process has the lease; return how many ran."""
        if not self._lease.hold():
            return 0
        ran = 0
        for job in self._jobs:
            if self._stopped.is_set():
                break
            if self._is_due(job):
                self._run_one(job)
                ran += 1
        return ran

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.run_due()
            except LeaseLost:
                _log.info("another process runs the jobs now")
            except FhirError as error:
                _log.warning("jobs wait for the store", failure=type(error).__name__)
            except Exception as error:  # noqa: BLE001  # a defect of ours must not end the thread: its place is logged
                _log.error("a job failed and is tried again", **place_of(error))
            self._stopped.wait(self._tick)
        try:
            self._lease.release()
        except FhirError:
            _log.info("the lease was not given back; it ends by itself")

    def _is_due(self, job: Job) -> bool:
        """Tell whether the time of a job has come.

        One that is further away than the job ever waits was written before the clock was set back: it is due.
        """
        if not job.every_ms:
            return True
        record = self._engine.store.read(lambda snapshot: snapshot.record(JOB, job.name), once=True)
        now = self._engine.clock.now_ms()
        return record is None or record.due is None or record.due <= now or record.due > now + job.every_ms

    def _run_one(self, job: Job) -> None:
        """Run a job until it has no more to do, and keep when it is to run again; once, however long it was away."""
        now = self._engine.clock.now_ms()
        more = False
        for _ in range(_ROUNDS):
            more = job.run(self._lease.require, now)
            if not more or self._stopped.is_set() or not self._lease.hold():
                break
        if not job.every_ms:
            return
        due = now if more else now + job.every_ms

        def work(uow: UnitOfWork) -> None:
            self._lease.require(uow)
            uow.set_record(JOB, job.name, b"", due)

        self._engine.store.write(work)


def next_runs(snapshot: Snapshot) -> dict[str, int | None]:
    """Return when each job that ever ran is to run next, milliseconds since the epoch."""
    return {record.key: record.due for record in snapshot.records(JOB, "", 1_000)}
