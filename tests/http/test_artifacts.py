"""The server serves the artefacts that it was built with."""

from typing import Any

import httpx

from fhir_server.artifacts.catalog import Catalog


def test_every_artifact_is_read_by_id_and_found_by_canonical(client: httpx.Client) -> None:
    catalog = Catalog.load()
    assert catalog.types()
    for kind in catalog.types():
        for artifact in catalog.of_type(kind):
            stored = client.get(f"/{kind}/{artifact['id']}")
            assert stored.status_code == 200, f"{kind}/{artifact['id']}"
            assert {**stored.json(), "meta": None} == {**artifact, "meta": None}
            if "url" in artifact and kind != "NamingSystem":
                found = client.get(f"/{kind}", params={"url": artifact["url"]}).json()
                assert [entry["resource"]["id"] for entry in found["entry"]] == [artifact["id"]]


def test_a_restart_publishes_nothing_new(fresh_server: Any, tmp_path: Any) -> None:
    store = f"sqlite:///{tmp_path}/again.sqlite"
    first = fresh_server(store=store)
    before = httpx.get(f"{first.base}/_history?_count=1").json()["total"]
    first.stop()
    again = fresh_server(store=store)
    assert httpx.get(f"{again.base}/_history?_count=1").json()["total"] == before > 0
