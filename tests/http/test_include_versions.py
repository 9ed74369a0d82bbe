"""A reference that names a version brings that version (R4 search.html#versions), on every store and page."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.conftest import FHIR_JSON, RunningServer
from tests.contract.store.mongo_server import database_url, running


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server that takes two includes on a page, with Basic/p in four versions and what refers to them."""
    with ExitStack() as stack:
        settings: dict[str, Any] = {"publish_artifacts": False, "max_includes": 2}
        if request.param == "mongodb":
            database = stack.enter_context(running())
            settings |= {
                "store": database_url(database.url, "versions"),
                "cursor_key": "ab" * 32,
                "master_key": "cd" * 32,
            }
        else:
            settings["store"] = f"sqlite:///{tmp_path_factory.mktemp('versions') / 'x.sqlite'}"
        server = RunningServer(settings)
        stack.callback(server.stop)
        client = httpx.Client(base_url=server.base, timeout=60, headers={"Content-Type": FHIR_JSON})
        stack.enter_context(client)
        for text in ("one", "two", "three", "four"):
            put(client, "Basic/p", code={"text": text})
        put(client, "Basic/p-2", code={"text": "other"})
        put(client, "Provenance/old", target=targets("Basic/p/_history/2"))
        put(client, "Provenance/same", target=targets("Basic/p/_history/4", "Basic/p"))
        put(
            client, "Provenance/none", target=targets("Basic/p/_history/9", "Basic/p/_history/x", "Basic/p/_history/02")
        )
        every = (*(f"Basic/p/_history/{number}" for number in (3, 1, 2, 4)), "Basic/p", "Basic/p-2/_history/1")
        put(client, "Provenance/every", target=targets(*every))
        put(client, "Provenance/further", target=targets("Provenance/old/_history/1"))
        for version in ("1.0", "2.0"):
            put(client, f"PlanDefinition/{version}", url="http://example.org/plan", version=version, status="active")
        put(client, "CarePlan/c", instantiatesCanonical=["http://example.org/plan|2.0"], **CARE_PLAN)
        put(client, "CarePlan/d", instantiatesCanonical=["http://example.org/plan"], **CARE_PLAN)
        yield client


CARE_PLAN = {"status": "active", "intent": "plan", "subject": {"reference": "Patient/x"}}


def put(client: httpx.Client, name: str, **members: Any) -> None:
    kind, _, identity = name.partition("/")
    body = {"resourceType": kind, "id": identity, **members}
    if kind == "Provenance":
        body |= {"recorded": "2026-01-01T00:00:00Z", "agent": [{"who": {"display": "x"}}]}
    answer = client.put(f"/{name}", json=body)
    assert answer.status_code in (200, 201), answer.text


def targets(*references: str) -> list[dict[str, str]]:
    return [{"reference": reference} for reference in references]


def brought(client: httpx.Client, url: str) -> list[str]:
    """Follow every page and return `id/version` of the includes; each page has at most two."""
    found: list[str] = []
    while url:
        bundle = client.get(url).raise_for_status().json()
        included = [one["resource"] for one in bundle.get("entry", ()) if one["search"]["mode"] == "include"]
        assert len(included) <= 2
        found += [f"{one['id']}/{one['meta']['versionId']}" for one in included]
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    return found


@pytest.mark.parametrize(
    ("search", "includes"),
    [
        ("Provenance?_id=old&_include=Provenance:target", ["p/2"]),
        ("Provenance?_id=same&_include=Provenance:target", ["p/4"]),
        ("Provenance?_id=none&_include=Provenance:target", []),
        ("Provenance?_id=every&_include=Provenance:target", ["p/4", "p-2/1", "p/1", "p/2", "p/3"]),
        ("Provenance?_id=every&_include=Provenance:target:Basic", ["p/4", "p-2/1", "p/1", "p/2", "p/3"]),
        ("Provenance?_id=further&_include:iterate=Provenance:target", ["old/1", "p/2"]),
        ("Provenance?_id=old,same,none&_include=*", ["p/4", "p/2"]),
        ("Basic?_id=p&_revinclude=Provenance:target&_include:iterate=Provenance:target",
         ["every/1", "none/1", "old/1", "same/1", "p-2/1", "p/1", "p/2", "p/3"]),
        ("CarePlan?_id=c&_include=CarePlan:instantiates-canonical", ["2.0/1"]),
        ("CarePlan?_id=d&_include=CarePlan:instantiates-canonical", ["1.0/1", "2.0/1"]),
    ],
)  # fmt: skip
def test_the_version_that_is_named_comes_along(client: httpx.Client, search: str, includes: list[str]) -> None:
    assert brought(client, f"/{search}") == includes
