"""Waking who waits for a change: at once for what this process did, soon for others, and never for nothing."""

import asyncio
import threading
import time

from fhir_server.interactions.signal import Signal


def test_who_waits_is_woken_by_a_touch_and_by_what_others_did() -> None:
    newest = [3]
    signal = Signal(lambda: newest[0], poll_seconds=0.05)
    signal.start()
    assert signal.sequence == 3
    newest[0] = 4
    signal.touch()
    assert signal.wait_blocking(3, 5) == 4
    newest[0] = 5  # another process; nobody touches
    began = time.monotonic()
    assert signal.wait_blocking(4, 5) == 5
    assert time.monotonic() - began < 1
    assert signal.wait_blocking(5, 0.02) == 5
    signal.stop()


def test_many_tasks_of_a_loop_wait_at_once_and_a_time_out_wakes_none_of_the_others() -> None:
    newest = [0]
    signal = Signal(lambda: newest[0], poll_seconds=0.02)
    signal.start()

    async def scene() -> list[int]:
        early = asyncio.create_task(signal.wait(0, 0.05))
        waiting = [asyncio.create_task(signal.wait(0, 10)) for _ in range(200)]
        assert await early == 0
        newest[0] = 7
        signal.touch()
        return await asyncio.gather(*waiting)

    assert asyncio.run(scene()) == [7] * 200
    signal.stop()


def test_the_end_of_the_server_wakes_everybody() -> None:
    signal = Signal(lambda: 1)
    signal.start()
    found: list[int] = []
    waiter = threading.Thread(target=lambda: found.append(signal.wait_blocking(1, 30)))
    waiter.start()
    signal.stop()
    waiter.join(5)
    assert found == [1]
