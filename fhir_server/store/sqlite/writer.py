"""Who writes when: threads and event loops take turns at one writing connection.

Threads: the first that gets the lock leads and runs the units of all that wait behind it. An event loop: one task takes
what has been asked since its last commit; the units run on the loop (a change of thread costs more than they do), the
commit, which waits for the disk, in a thread, while the loop goes on and the next group collects.
"""

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

from fhir_server.model.clock import Clock
from fhir_server.model.errors import Unavailable
from fhir_server.store.sqlite.group import Group, Job, Work, fail, too_busy, translated
from fhir_server.store.sqlite.link import Link, Settings, is_busy
from fhir_server.store.sqlite.names import Names

GROUP_UNITS = 64
"""The most units in one physical transaction."""

_SLICE_SECONDS = 0.002
"""How long units run on the event loop before others get a turn."""

_AHEAD_MS = 3
"""A clock that is less far behind the newest commit is waited for; further behind, it was set back."""

_THREADS = 4
"""Threads that commit and wait for turns: one for each event loop, so that none stands in the way of another."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02


class Writer:
    """The writing side of a store."""

    def __init__(self, link: Link, names: Names, clock: Clock, settings: Settings) -> None:
        self._link = link
        self._names = names
        self._clock = clock
        self._busy_seconds = settings.busy_seconds
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store-commit")
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()
        self._loops: dict[asyncio.AbstractEventLoop, _Line] = {}
        self._last_lu = 0
        self.committed: Callable[[], None] = lambda: None
        """Called after each commit, with the lock held."""

    @property
    def turn(self) -> AbstractContextManager[object]:
        """The lock that a writer holds while it writes."""
        return self._lock

    def close(self) -> None:
        """Let what is being written finish, within the time that a writer may wait, and release the connection."""
        self._threads.shutdown(wait=True)
        self._lock.acquire(timeout=self._busy_seconds)  # for good: nothing is written any more
        self._link.close()

    # --- threads -------------------------------------------------------------------------------------------------

    def write(self, work: Work) -> Any:
        """Run a unit and commit it, in this thread or in that of a writer who came before."""
        job = Job(work)
        self._waiting.append(job)
        deadline = time.monotonic() + self._busy_seconds
        while not job.done:
            if self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                try:
                    if not job.done:
                        self._lead(deadline)
                finally:
                    self._lock.release()
            else:
                self._withdraw(job)
        return job.result()

    def _withdraw(self, job: Job) -> None:
        try:
            self._waiting.remove(job)
        except ValueError:  # it is being run: its fate is decided by the one who runs it
            with self._lock:
                return
        fail([job], too_busy(self._busy_seconds))

    def _lead(self, deadline: float) -> None:
        self._wait_for_clock()
        jobs = _take(self._waiting)
        pause = _FIRST_PAUSE
        while True:
            try:
                group = Group(self._link, self._names, self._clock)
                break
            except sqlite3.Error as error:
                if is_busy(error) and time.monotonic() < deadline:
                    time.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    continue
                fail(jobs, too_busy(self._busy_seconds) if is_busy(error) else translated(error))
                return
        for job in jobs:
            group.run(job)
        self._commit(group)

    def _commit(self, group: Group) -> None:
        group.commit()
        self._last_lu = group.lu
        self.committed()

    def _wait_for_clock(self) -> None:
        """Let the millisecond of the last commit pass rather than run ahead of the clock."""
        ahead = self._ahead()
        until = time.perf_counter() + (ahead + 1) / 1000
        while self._ahead() >= 0 and time.perf_counter() < until:
            time.sleep(0.0001)

    def _ahead(self) -> int:
        """Return by how many milliseconds the last commit is not in the past; negative when there is nothing to wait for."""
        ahead = self._last_lu - self._clock.now_ms()
        return ahead if ahead <= _AHEAD_MS else -1

    # --- event loops ---------------------------------------------------------------------------------------------

    async def write_async(self, work: Work) -> Any:
        """Run a unit on this event loop and commit it with those that wait beside it."""
        loop = asyncio.get_running_loop()
        line = self._loops.get(loop)
        if line is None:
            self._loops = {known: its for known, its in self._loops.items() if not known.is_closed()}
            line = self._loops[loop] = _Line()
        job = Job(work)
        future: asyncio.Future[Any] = loop.create_future()
        job.cancelled = future.cancelled
        line.waiting.append((job, future, time.monotonic() + self._busy_seconds))
        if line.task is None:
            line.task = loop.create_task(self._serve(loop, line))
        return await future

    async def _serve(self, loop: asyncio.AbstractEventLoop, line: "_Line") -> None:
        try:
            while line.waiting:
                await asyncio.sleep(0)  # those who are about to ask may still join
                await self._serve_group(loop, line)
        finally:
            line.task = None
            for _, future, _ in line.waiting:
                future.cancel()

    async def _serve_group(self, loop: asyncio.AbstractEventLoop, line: "_Line") -> None:
        deadline = line.waiting[0][2]
        if self._ahead() >= 0:
            await loop.run_in_executor(self._threads, self._wait_for_clock)
        error: BaseException | None = None
        taken = [line.waiting.popleft() for _ in range(min(GROUP_UNITS, len(line.waiting)))]
        jobs = [job for job, _, _ in taken]
        try:
            await self._take_turn(loop, deadline)
        except Unavailable as refusal:
            fail(jobs, refusal)
        else:
            error = await self._run(loop, jobs, deadline)
        for job, future, _ in taken:
            _settle(job, future)
        if error is not None:
            raise error

    async def _run(self, loop: asyncio.AbstractEventLoop, jobs: list[Job], deadline: float) -> BaseException | None:
        """Run and commit a group with the lock held, and release it."""
        committing = False
        group: Group | None = None
        try:
            group = await self._begin(deadline)
            until = time.perf_counter() + _SLICE_SECONDS
            for job in jobs:
                group.run(job)
                if time.perf_counter() > until:
                    await asyncio.sleep(0)
                    until = time.perf_counter() + _SLICE_SECONDS
            committing = True
            await loop.run_in_executor(self._threads, self._commit_and_release, group)
        except (sqlite3.Error, Unavailable) as error:
            fail(jobs, translated(error))
        except BaseException as error:  # noqa: BLE001  # the loop is being closed: leave the file in order, then go
            if group is not None and not committing:
                group.abandon(error)
            return error
        finally:
            if not committing:
                self._lock.release()
        return None

    def _commit_and_release(self, group: Group) -> None:
        try:
            self._commit(group)
        finally:
            self._lock.release()

    async def _begin(self, deadline: float) -> Group:
        pause = _FIRST_PAUSE
        while True:
            try:
                return Group(self._link, self._names, self._clock)
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise
                if time.monotonic() >= deadline:
                    raise too_busy(self._busy_seconds) from error
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _take_turn(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        """Acquire the lock without blocking the loop. Raises Unavailable."""
        if self._lock.acquire(blocking=False):
            return
        wait = max(0.0, deadline - time.monotonic())
        turn = self._threads.submit(self._lock.acquire, timeout=wait)
        try:
            acquired = await asyncio.wrap_future(turn, loop=loop)
        except asyncio.CancelledError:
            turn.add_done_callback(self._give_back)
            raise
        if not acquired:
            raise too_busy(self._busy_seconds)

    def _give_back(self, turn: "Future[bool]") -> None:
        if not turn.cancelled() and turn.result():
            self._lock.release()


class _Line:
    """The units that wait on one event loop, and the task that serves them."""

    __slots__ = ("task", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[tuple[Job, asyncio.Future[Any], float]] = deque()
        self.task: asyncio.Task[None] | None = None


def _take(waiting: deque[Job]) -> list[Job]:
    jobs: list[Job] = []
    while waiting and len(jobs) < GROUP_UNITS:
        jobs.append(waiting.popleft())
    return jobs


def _settle(job: Job, future: asyncio.Future[Any]) -> None:
    if future.done():
        return
    if job.error is not None:
        future.set_exception(job.error)
    else:
        future.set_result(job.value)
