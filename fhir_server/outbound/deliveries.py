"""Telling subscribers: each in the order of its events, one call at a time, and none held up by another.

One thread decides what is due and keeps what came of it; the calls run in threads of their own, at most a few to one
place, and those to places that fail or are slow never take more than half of all. An outcome is kept before the next event
of the subscription is sent. Killed between call and outcome, the same notification is sent again with the same key.
"""

import heapq
import queue
import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import structlog

from fhir_server.interactions.context import Engine
from fhir_server.interactions.subscriptions_events import event_count
from fhir_server.interactions.subscriptions_lanes import Lane, all_lanes, lane_of
from fhir_server.model.errors import FhirError
from fhir_server.outbound.attempt import Attempt, Kind, Result, Todo, place_of
from fhir_server.outbound.channel import Channel
from fhir_server.outbound.lease import LeaseLost
from fhir_server.outbound.lines import Duty, Fence, Line, due_of, kind_of
from fhir_server.outbound.outcomes import Outcomes
from fhir_server.outbound.roster import Known
from fhir_server.store.port import Snapshot

TICK: Final = 0.25
_GRACE: Final = 2.0
_THREADS: Final = 64
_AT_ONCE: Final = 4
"""Calls to one place at the same time."""
_STRAINED: Final = _THREADS // 2
"""Calls at the same time to places whose last call failed or was slow."""
_SLOW_MS: Final = 2_000
_PATIENCE_MS: Final = 500
_BATCH: Final = 200
_log = structlog.get_logger("fhir_server.outbound")


class _News(NamedTuple):
    """Something for the deciding thread."""

    counts: Mapping[str, int] = {}
    changed: Mapping[str, Known | None] = {}
    result: Result | None = None
    lead: tuple[Mapping[str, Known], Fence] | None = None
    rest: bool = False


class Deliveries:
    """Tells subscribers; `channels` by their type."""

    def __init__(
        self,
        engine: Engine,
        channels: Mapping[str, Channel],
        *,
        chance: Callable[[], float] = random.random,
        tick: float = TICK,
    ) -> None:
        self._engine = engine
        self._channels = channels
        self._attempt = Attempt(engine, channels)
        self._outcomes = Outcomes(engine, chance)
        self._news: queue.SimpleQueue[_News] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="delivery")
        self._duty: Duty | None = None
        self._calls: Counter[str] = Counter()
        self._strained: set[str] = set()
        self._tick = tick
        self._stopped = False
        self._thread: threading.Thread | None = None

    # --- what others say (any thread) ------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to wait for what is to be told."""
        self._thread = threading.Thread(target=self._run, name="deliveries", daemon=True)
        self._thread.start()

    def stop(self, hurry: Callable[[], None], seconds: float = _GRACE) -> None:
        """Begin nothing more, wait for what is under way and keep its outcome; `hurry` cuts short what takes longer."""
        self._stopped = True
        self._news.put(_News())
        if self._thread is not None:
            self._thread.join(seconds)
            hurry()
            self._thread.join()
        self._pool.shutdown()

    def lead(self, known: Mapping[str, Known], fence: Fence) -> None:
        """Tell these from now on; `fence` raises LeaseLost in a unit of work when another process does it."""
        self._news.put(_News(lead=(dict(known), fence)))

    def rest(self) -> None:
        """Tell nothing any more: another process does."""
        self._news.put(_News(rest=True))

    def offer(self, counts: Mapping[str, int]) -> None:
        """Say that subscriptions have events up to these numbers."""
        self._news.put(_News(counts=counts))

    def changed(self, known: Mapping[str, Known | None]) -> None:
        """Say that subscriptions changed; None for one that lives no more."""
        self._news.put(_News(changed=known))

    # --- the deciding thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopped or self._calls:
            try:
                self._round(self._gathered())
            except LeaseLost:
                self._duty = None
            except FhirError as error:
                _log.warning("deliveries wait for the store", failure=type(error).__name__)
            except Exception as error:  # noqa: BLE001  # a defect of ours must not end the thread: its place is logged
                _log.error("deliveries failed and go on", **place_of(error))

    def _gathered(self) -> list[_News]:
        """Wait for news, until the next delivery is due; return all that there is."""
        wait = self._tick
        if self._duty is not None and self._duty.heap:
            wait = min(wait, max(0.0, (self._duty.heap[0][0] - self._engine.clock.now_ms()) / 1000))
        found: list[_News] = []
        try:
            found.append(self._news.get(timeout=wait) if wait else self._news.get_nowait())
            while len(found) < _BATCH:
                found.append(self._news.get_nowait())
        except queue.Empty:
            pass
        return found

    def _round(self, news: list[_News]) -> None:
        results: list[Result] = []
        for one in news:
            if one.lead is not None:
                self._begin(*one.lead)
            if one.rest:
                self._duty = None
            if one.result is not None:
                self._returned(one.result)
                results.append(one.result)
            duty = self._duty
            if duty is not None:
                for identity, known in one.changed.items():
                    self._change(duty, identity, known)
                for identity, count in one.counts.items():
                    if (line := duty.lines.get(identity)) is not None:
                        line.count = max(line.count, count)
                        duty.schedule(identity, line)
        duty = self._duty
        if duty is None:
            return
        self._settle(duty, results)
        if not self._stopped:
            self._start_due(duty)

    def _begin(self, known: Mapping[str, Known], fence: Fence) -> None:
        self._duty = duty = Duty(fence)

        def read(snapshot: Snapshot) -> tuple[dict[str, Lane], dict[str, int]]:
            return all_lanes(snapshot), {one: event_count(snapshot, one) for one in known}

        lanes, counts = self._engine.store.read(read)
        for identity, one in known.items():
            duty.lines[identity] = self._line(one, lanes.get(identity, Lane()), counts[identity])
            duty.schedule(identity, duty.lines[identity])

    def _line(self, known: Known, lane: Lane, count: int) -> Line:
        channel = self._channels.get(known.subscription.channel)
        return Line(known, lane, count, channel.destination(known.subscription) if channel else "")

    def _change(self, duty: Duty, identity: str, known: Known | None) -> None:
        """Take over a subscription as it is now; what runs for it runs on, and its outcome finds the new one."""
        old = duty.lines.pop(identity, None)
        if known is None:
            return
        lane, count = self._engine.store.read(
            lambda snapshot: (lane_of(snapshot, identity), event_count(snapshot, identity))
        )
        line = self._line(known, lane, count)
        line.busy = old.busy if old is not None else False
        duty.lines[identity] = line
        duty.schedule(identity, line)

    def _settle(self, duty: Duty, results: list[Result]) -> None:
        """Keep outcomes in one unit of work, and go on with what they free."""
        if not results:
            return
        try:
            lanes = self._outcomes.keep(duty.fence, results)
        except FhirError as error:  # not kept, so it will be sent again: at least once
            _log.warning("outcomes are not kept", failure=type(error).__name__, outcomes=len(results))
            lanes = {}
        for result in results:
            line = duty.lines.get(result.subscription)
            if line is None:
                continue
            line.busy = False
            if result.kind == "end":  # the feed will say so too
                del duty.lines[result.subscription]
                continue
            if result.outcome.delivered and result.kind in ("handshake", "activate") and result.subscription in lanes:
                told = line.known.subscription._replace(status="active")  # the feed will say so too
                line.known = line.known._replace(subscription=told)
            line.lane = lanes.get(result.subscription, line.lane)
            duty.schedule(result.subscription, line)

    def _returned(self, result: Result) -> None:
        """Count a call that is over, and how its place does."""
        self._calls[result.destination] -= 1
        if not self._calls[result.destination]:
            del self._calls[result.destination]
        if result.outcome.delivered and result.took_ms < _SLOW_MS:
            self._strained.discard(result.destination)
        else:
            self._strained.add(result.destination)
        duty = self._duty
        waiting = duty.waiting.get(result.destination) if duty is not None else None
        for _ in range(min(len(waiting or ()), _AT_ONCE)):
            identity = waiting.popleft() if waiting else ""
            if duty is not None and (line := duty.lines.get(identity)) is not None:
                duty.schedule(identity, line)

    def _start_due(self, duty: Duty) -> None:
        now = self._engine.clock.now_ms()
        while duty.heap and duty.heap[0][0] <= now:
            due, identity = heapq.heappop(duty.heap)
            line = duty.lines.get(identity)
            if line is None or line.due != due or line.busy:
                continue
            line.due = -1
            kind = kind_of(line, now)
            if kind is None or (due_of(line) or 0) > now:
                duty.schedule(identity, line)
            elif self._has_room(line.destination):
                self._call(identity, line, kind)
            elif self._calls[line.destination]:
                duty.waiting.setdefault(line.destination, deque()).append(identity)
            else:  # too many strained places: nobody there will say that it is over
                line.due = now + _PATIENCE_MS
                heapq.heappush(duty.heap, (line.due, identity))

    def _has_room(self, destination: str) -> bool:
        if destination not in self._strained:
            return self._calls[destination] < _AT_ONCE
        strained = sum(number for place, number in self._calls.items() if place in self._strained)
        return self._calls[destination] < 1 and strained < _STRAINED

    def _call(self, identity: str, line: Line, kind: Kind) -> None:
        line.busy = True
        self._calls[line.destination] += 1
        todo = Todo(identity, line.known, line.lane, line.count, kind, line.destination)
        self._pool.submit(self._carried_out, todo)

    def _carried_out(self, todo: Todo) -> None:
        self._news.put(_News(result=self._attempt.carry_out(todo)))
