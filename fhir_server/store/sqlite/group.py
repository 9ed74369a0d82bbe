"""Group commit: units of work that wait together run one after another in one physical transaction.

Each unit has a savepoint of its own, so that one that fails is undone alone. No caller hears of success before the
commit is on disk; when the commit fails, every unit of the group hears that.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from fhir_server.model.clock import Clock
from fhir_server.model.errors import Unavailable
from fhir_server.store.port import UnitOfWork
from fhir_server.store.sqlite.link import Link, explained, is_busy
from fhir_server.store.sqlite.names import Names
from fhir_server.store.sqlite.unit import SqliteUnit, Transaction

Work = Callable[[UnitOfWork], Any]


class Job:
    """A unit of work on its way: what to do, then what came of it."""

    __slots__ = ("cancelled", "done", "error", "value", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.value: Any = None
        self.error: BaseException | None = None
        self.done = False
        self.cancelled: Callable[[], bool] = _never

    def result(self) -> Any:
        """Return what the work returned, or raise what it raised."""
        if self.error is not None:
            raise self.error
        return self.value


def _never() -> bool:
    return False


class Group:
    """One physical transaction. Whoever uses it holds the write lock of the store."""

    __slots__ = ("_jobs", "_link", "_transaction")

    def __init__(self, link: Link, names: Names, clock: Clock) -> None:
        """Begin. Raises sqlite3.OperationalError, busy when another process writes."""
        self._link = link
        self._jobs: list[Job] = []
        link.execute("BEGIN IMMEDIATE")
        try:
            self._transaction = Transaction(link, names, clock)
        except BaseException:
            _roll_back(link)
            raise

    @property
    def lu(self) -> int:
        """The time of this commit."""
        return self._transaction.lu

    def run(self, job: Job) -> None:
        """Run one unit in its savepoint; nothing of it remains when it fails."""
        if job.cancelled():
            return
        if not self._link.connection.in_transaction:  # an earlier unit met an error that ended the transaction
            self._jobs.append(job)
            return
        mark = self._transaction.mark()
        unit = SqliteUnit(self._transaction)
        try:
            self._link.execute("SAVEPOINT unit")
            job.value = job.work(unit)
            unit.check()
            self._link.execute("RELEASE unit")
        except BaseException as error:  # noqa: BLE001  # it belongs to the caller of the unit, whatever it is
            job.error = translated(error)
            job.done = True
            self._undo(mark)
        else:
            self._jobs.append(job)

    def commit(self) -> None:
        """Make the group durable, or fail every unit of it."""
        try:
            self._transaction.finish()
            self._link.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001  # every waiting caller must hear of it
            _roll_back(self._link)
            for job in self._jobs:
                job.error = translated(error)
        else:
            self._transaction.names.commit()
        for job in self._jobs:
            job.done = True

    def abandon(self, error: BaseException) -> None:
        """Give the transaction up: every unit of it fails with this error."""
        _roll_back(self._link)
        for job in self._jobs:
            job.error = error
            job.done = True

    def _undo(self, mark: Any) -> None:
        self._transaction.restore(mark)
        if not self._link.connection.in_transaction:
            return
        try:
            self._link.execute("ROLLBACK TO unit")
            self._link.execute("RELEASE unit")
        except sqlite3.Error:
            _roll_back(self._link)  # the units before it fail at commit


def translated(error: BaseException) -> BaseException:
    """Return the domain error for an error of the database; any other error as it is."""
    if isinstance(error, sqlite3.Error):
        return explained(error) or error
    return error


def fail(jobs: Sequence[Job], error: BaseException) -> None:
    """Give units that never ran the same error."""
    for job in jobs:
        job.error = error
        job.done = True


def too_busy(seconds: float) -> Unavailable:
    """Return the refusal of a writer that waited for its turn long enough."""
    return Unavailable(
        f"The store is busy: no turn to write came within {seconds:g} seconds. Nothing was changed; try again later.",
        retry_after=max(1, round(seconds)),
    )


def _roll_back(link: Link) -> None:
    try:
        if link.connection.in_transaction:
            link.execute("ROLLBACK")
    except sqlite3.Error:
        # SQLite has rolled back on its own, or the file is gone: the next BEGIN says so to the next writer.
        return


__all__ = ["Group", "Job", "Work", "fail", "is_busy", "too_busy", "translated"]
