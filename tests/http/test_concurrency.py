"""Many clients at once over real sockets."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx


def test_pollers_miss_nothing_and_see_nothing_twice(fresh_server: Any) -> None:
    """Writers create Tasks for one owner while pollers ask `_lastUpdated=gt<last seen>`, as R4 clients do."""
    base = fresh_server().base
    writers, each = 8, 40
    done = threading.Event()

    def write(number: int) -> list[str]:
        made = []
        with httpx.Client(base_url=base, timeout=60) as client:
            for _ in range(each):
                task = {
                    "resourceType": "Task", "status": "requested", "intent": "order",
                    "owner": {"reference": "Organization/poll"}, "description": str(number),
                }  # fmt: skip
                made.append(client.post("/Task", json=task).json()["id"])
        return made

    def poll(_: int) -> list[str]:
        seen: list[str] = []
        last = "2000-01-01T00:00:00Z"
        finished = False
        with httpx.Client(base_url=base, timeout=60) as client:
            while not finished:
                finished = done.is_set()  # one more round after the last write
                url: str | None = "/Task"
                params: dict[str, str] | None = {
                    "owner": "Organization/poll", "_lastUpdated": f"gt{last}", "_sort": "_lastUpdated", "_count": "15"
                }  # fmt: skip
                while url:
                    bundle = client.get(url, params=params).json()
                    for entry in bundle.get("entry", []):
                        seen.append(entry["resource"]["id"])
                        last = entry["resource"]["meta"]["lastUpdated"]
                    url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
                    params = None
        return seen

    with ThreadPoolExecutor(writers + 3) as pool:
        polls = [pool.submit(poll, n) for n in range(3)]
        made = [resource_id for ids in pool.map(write, range(writers)) for resource_id in ids]
        done.set()
        for future in polls:
            seen = future.result()
            assert len(seen) == len(set(seen)) == writers * each
            assert set(seen) == set(made)
