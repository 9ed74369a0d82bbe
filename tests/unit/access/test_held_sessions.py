"""A session ends when nobody uses it, and in the end even when somebody does."""

import asyncio
from pathlib import Path

from fhir_server.access.principal import Principal
from fhir_server.access.sessions import Session, Sessions
from fhir_server.store.sqlite.store import SqliteStore
from tests.unit.access.test_accounts import SECRET, StillClock

MINUTE = 60_000
HELPER = Principal("Organization/caw", frozenset({"recipient"}), "user:https://idp.example#an")


def seen_at(folder: Path, minutes: list[int]) -> list[Session | None]:
    """Open a session and look for it at these minutes after."""
    clock = StillClock()
    store = SqliteStore(folder / "fhir.sqlite", clock)
    sessions = Sessions(store, clock, SECRET, idle_minutes=30, hours=2)
    begun = clock.now

    async def play() -> list[Session | None]:
        token = (await sessions.open(HELPER)).token
        found = []
        for one in minutes:
            clock.now = begun + one * MINUTE
            found.append(await sessions.find(token))
        return found

    try:
        return asyncio.run(play())
    finally:
        store.close()


def test_a_session_in_use_stays_open_until_its_last_hour_is_over(tmp_path: Path) -> None:
    found = seen_at(tmp_path, [20, 40, 60, 80, 100, 119, 120, 121])
    assert [one is not None for one in found] == [True] * 6 + [False] * 2
    assert all(one.principal == HELPER for one in found if one is not None)


def test_a_session_that_nobody_uses_ends_and_does_not_open_again(tmp_path: Path) -> None:
    found = seen_at(tmp_path, [29, 58, 88, 89])
    assert [one is not None for one in found] == [True, True, False, False]
