"""A record read through $everything: its resources and its pages."""

from typing import Any

import httpx

Json = dict[str, Any]


def refer(target: str) -> Json:
    return {"reference": target}


def ids(bundle: Json, mode: str | None = None) -> list[str]:
    return [
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for entry in bundle.get("entry", ())
        if mode in (None, entry["search"]["mode"])
    ]


def next_of(bundle: Json) -> str | None:
    return next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)


def pages(client: httpx.Client, url: str | None) -> list[Json]:
    found = []
    while url:
        found.append(client.get(url).json())
        assert found[-1]["resourceType"] == "Bundle", found[-1]
        url = next_of(found[-1])
    return found
