"""Who writes when: one thread takes all units that wait and commits them together; processes take turns by conflict.

A unit that fails before anything of it was sent is left out, for its writes were only in memory. MongoDB has no savepoints:
when it fails later, the transaction is given up and each unit of the group runs again in one of its own. A transaction that
met another one is run again after a pause, until the time is over that a writer may wait.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from fhir_server.model.clock import Clock
from fhir_server.model.errors import Unavailable
from fhir_server.store.mongo.link import Link, explained, is_duplicate, is_transient, translated
from fhir_server.store.mongo.transaction import Transaction
from fhir_server.store.mongo.unit import MongoUnit
from fhir_server.store.port import UnitOfWork

Work = Callable[[UnitOfWork], Any]

GROUP_UNITS = 64
"""The most units in one transaction."""
_AHEAD_MS = 3
"""A clock that is less far behind the newest commit is waited for; further behind, it was set back."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.1


class Job:
    """A unit of work on its way."""

    __slots__ = ("deadline", "future", "work")

    def __init__(self, work: Work, deadline: float) -> None:
        self.work = work
        self.deadline = deadline
        self.future: Future[Any] = Future()


def _cause(error: BaseException | None) -> PyMongoError | None:
    """Return the error of the server that an error came from."""
    while error is not None and not isinstance(error, PyMongoError):
        error = error.__cause__
    return error


class _ApartError(Exception):
    """A unit failed after something of it was sent: the units of the group must run one by one."""


class _AgainError(Exception):
    """The transaction met another one, or the server went away; it may run again."""

    def __init__(self, cause: PyMongoError, *, careful: bool) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.careful = careful


class Writer:
    """The writing side of a store."""

    def __init__(self, link: Link, clock: Clock, busy_seconds: float) -> None:
        self._link = link
        self._clock = clock
        self._busy_seconds = busy_seconds
        self._waiting: deque[Job] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._last_lu = 0
        self._open: list[Mapping[str, Any]] = []
        """The sessions with a transaction whose commit was given up."""
        self._random = random.Random()  # noqa: S311  # pauses need not be secret
        self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True)
        self._thread.start()

    def job(self, work: Work) -> Job:
        """Return a unit that may wait from now on."""
        return Job(work, time.monotonic() + self._busy_seconds)

    def submit(self, jobs: list[Job]) -> None:
        """Let units wait for their turn."""
        with self._wake:
            if self._closing:
                for job in jobs:
                    job.future.set_exception(Unavailable("The store is being closed. Nothing was changed."))
                return
            self._waiting.extend(jobs)
            self._wake.notify()

    def write(self, work: Work) -> Any:
        """Run a unit in the thread of the writer, and wait for its commit."""
        job = self.job(work)
        self.submit([job])
        try:
            return job.future.result(self._busy_seconds + 1)
        except TimeoutError:
            if job.future.done() or not job.future.cancel():  # it runs: its fate is decided by the one who runs it
                return job.future.result()
            raise self._too_busy() from None

    def close(self) -> None:
        """Finish what waits, and end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._closing:
                    self._wake.wait()
                if not self._waiting:
                    return
                taken = [self._waiting.popleft() for _ in range(min(GROUP_UNITS, len(self._waiting)))]
            jobs = [job for job in taken if job.future.set_running_or_notify_cancel()]
            late = [job for job in jobs if job.deadline < time.monotonic()]
            for job in late:
                job.future.set_exception(self._too_busy())
            self._settle([job for job in jobs if job not in late])

    def _settle(self, jobs: list[Job]) -> None:
        """Run units, and tell every caller what came of it."""
        if not jobs:
            return
        try:
            self._group(jobs)
        except BaseException as error:  # noqa: BLE001  # whoever waits must hear of it, and the thread goes on
            for job in jobs:
                if not job.future.done():
                    job.future.set_exception(translated(error))

    def _group(self, jobs: list[Job]) -> None:
        """Run units until their transaction is committed, or the time of the first is over."""
        pause, careful = _FIRST_PAUSE, False
        while True:
            self._wait_for_clock()
            self._end_open()
            try:
                with self._link.client.start_session() as session:
                    self._attempt(session, jobs, careful)
            except _ApartError:
                for job in jobs:
                    self._settle([job])
                return
            except _AgainError as again:
                if again.careful:
                    careful = True
                    continue
                if time.monotonic() + pause > jobs[0].deadline:
                    raise (explained(again.cause, self._retry_after()) or again.cause) from again.cause
            else:
                return
            time.sleep(pause * (0.5 + self._random.random()))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _attempt(self, session: ClientSession, jobs: list[Job], careful: bool) -> None:
        """Run units in one transaction, commit it and tell the callers."""
        outcomes: list[tuple[Job, Any, BaseException | None]] = []
        try:
            transaction = Transaction(self._link, session, self._clock, careful=careful)
            outcomes.extend((job, *self._run(transaction, job, alone=len(jobs) == 1)) for job in jobs)
            writes = transaction.changed or bool(transaction.waiting)
            failed_alone = len(jobs) == 1 and outcomes[0][2] is not None
            if writes and not failed_alone:
                transaction.finish()
        except PyMongoError as error:
            raise self._judged(error, careful) from error
        if writes and not failed_alone:
            self._commit(session, jobs[0].deadline)
            self._last_lu = transaction.lu
        elif session.in_transaction:
            session.abort_transaction()
        for job, value, failure in outcomes:
            if failure is None:
                job.future.set_result(value)
            else:
                job.future.set_exception(failure)

    def _run(self, transaction: Transaction, job: Job, *, alone: bool) -> tuple[Any, BaseException | None]:
        unit = MongoUnit(transaction)
        try:
            value = job.work(unit)
            unit.check()
        except BaseException as error:
            broken = unit.broken or _cause(error)
            if broken is not None and (is_transient(broken) or is_duplicate(broken)):
                raise broken from error
            if (broken is not None or unit.sent) and not alone:
                raise _ApartError from error
            return None, translated(error)
        unit.adopt()
        return value, None

    def _judged(self, error: PyMongoError, careful: bool) -> BaseException:
        """Return what is to be done about an error that ended the transaction."""
        if is_duplicate(error) and not careful:
            return _AgainError(error, careful=True)
        if is_transient(error) or (is_duplicate(error) and careful):
            return _AgainError(error, careful=False)
        return translated(error)

    def _commit(self, session: ClientSession, deadline: float) -> None:
        """Commit; asked again while it is not known whether the server did."""
        while True:
            try:
                session.commit_transaction()
            except PyMongoError as error:
                if error.has_error_label("TransientTransactionError"):
                    raise _AgainError(error, careful=False) from error
                if not error.has_error_label("UnknownTransactionCommitResult"):
                    raise
                if time.monotonic() > deadline:
                    self._open.append(session.session_id)
                    self._end_open()
                    raise Unavailable(
                        "The connection to the store was lost while it committed, and it is not known whether the change "
                        "was stored. Read the resource before you try again.",
                        self._retry_after(),
                    ) from error
                time.sleep(_LONGEST_PAUSE)
            else:
                return

    def _end_open(self) -> None:
        """Let the server end transactions whose commit was given up, which would be in the way of every other writer."""
        if not self._open:
            return
        try:
            self._link.client.admin.command("killSessions", self._open)  # one's own: no privilege is needed
        except PyMongoError:  # it is away still; the next attempt tries again
            return
        self._open = []

    def _wait_for_clock(self) -> None:
        """Let the millisecond of the last commit pass rather than run ahead of the clock."""
        until = time.perf_counter() + (_AHEAD_MS + 1) / 1000
        while 0 <= self._last_lu - self._clock.now_ms() <= _AHEAD_MS and time.perf_counter() < until:
            time.sleep(0.0001)

    def _too_busy(self) -> Unavailable:
        return Unavailable(
            f"The store is busy: no turn to write came within {self._busy_seconds:g} seconds. Nothing was changed; try "
            "again later.",
            retry_after=self._retry_after(),
        )

    def _retry_after(self) -> int:
        return max(1, round(self._busy_seconds))
