"""Random searches, asked over HTTP of a server on SQLite and of one on MongoDB: both answer the same, page by page.

    python -m tests.soak.searches --searches 2000 --seed 1

The resources are those of the examples. Told are the searches that differ. Pages are followed to the end.
"""

import argparse
import random
import sys
import tempfile
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.conftest import FHIR_JSON, RunningServer
from tests.contract.store.mongo_server import database_url, running
from tests.soak.asking import Asker, world_of

MOST_PAGES = 40


def answered(client: httpx.Client, kind: str, asked: list[tuple[str, str]]) -> tuple[int, Any]:
    """Return the status, and every page as (total, links to a next one, mode and name of each entry)."""
    answer = client.get(f"/{kind}?{urlencode(asked)}")
    pages: list[Any] = []
    while answer.status_code == 200 and len(pages) < MOST_PAGES:
        bundle = answer.json()
        listed = [
            (one["search"]["mode"], one["resource"]["resourceType"], one["resource"].get("id", ""))
            for one in bundle.get("entry", ())
        ]
        following = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
        pages.append((bundle.get("total"), bool(following), listed))
        if not following:
            break
        answer = client.get(following)
    if answer.status_code != 200:
        return answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]
    return 200, pages


def compared(searches: int, seed: int, most: int) -> tuple[list[str], dict[int, int], int]:
    """Ask both servers; return the searches that differ, how many had each status, and how many found something."""
    dice = random.Random(seed)
    world = world_of(most, dice)
    different: list[str] = []
    statuses: dict[int, int] = {}
    found = 0
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        database = stack.enter_context(running())
        stores = (f"sqlite:///{folder}/x.sqlite", database_url(database.url, "differential"))
        keys = {"cursor_key": "ab" * 32, "master_key": "cd" * 32}
        clients = []
        for store in stores:
            server = RunningServer({"store": store, "publish_artifacts": False, **keys})
            stack.callback(server.stop)
            clients.append(
                stack.enter_context(
                    httpx.Client(base_url=server.base, timeout=120, headers={"Content-Type": FHIR_JSON})
                )
            )
        for name, body in list(world.resources.items()):
            kept = [client.put(f"/{name}", json=body).status_code for client in clients]
            if kept not in ([201, 201], [200, 200]):
                assert kept[0] == kept[1], (name, kept)
                del world.resources[name], world.entries[name]
        asker = Asker(world, dice)
        for _ in range(searches):
            kind, asked = asker.search()
            first, second = (answered(client, kind, asked) for client in clients)
            statuses[first[0]] = statuses.get(first[0], 0) + 1
            found += first[0] == 200 and any(listed for _, _, listed in first[1])
            if first != second:
                different.append(
                    f"{kind}?{urlencode(asked)}\n  sqlite:  {str(first)[:1500]}\n  mongodb: {str(second)[:1500]}"
                )
    return different, statuses, found


def main() -> int:
    """Compare, and tell what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=2_000)
    parser.add_argument("--resources", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    different, statuses, found = compared(chosen.searches, chosen.seed, chosen.resources)
    sys.stdout.write(
        "\n".join(
            [
                *different,
                f"{chosen.searches} searches, by status {statuses}, {found} found something: {len(different)} differ\n",
            ]
        )
    )
    return bool(different)


if __name__ == "__main__":
    sys.exit(main())
