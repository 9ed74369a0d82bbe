"""search over several types (R4 http.html#search)."""

from typing import Any

import httpx


def test_types_are_merged_in_the_order_of_their_changes(fresh_server: Any, refused: Any) -> None:
    base = fresh_server(publish_artifacts=False).base
    with httpx.Client(base_url=base) as client:
        for number in range(7):
            kind = "Group" if number % 2 else "Basic"
            body: dict[str, Any] = {"resourceType": kind, "id": f"m{number}"}
            body |= {"type": "person", "actual": True} if number % 2 else {"code": {"text": "x"}}
            assert client.put(f"/{kind}/m{number}", json=body).status_code == 201
        url: str | None = "/?_type=Basic,Group&_sort=_lastUpdated&_count=3"
        seen = []
        while url:
            bundle = client.get(url).json()
            seen += [entry["resource"]["id"] for entry in bundle["entry"]]
            url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
        assert seen == [f"m{number}" for number in range(7)]
        everything = client.get("/").json()
        assert [entry["resource"]["id"] for entry in everything["entry"]] == [f"m{n}" for n in reversed(range(7))]
        assert client.get("/?_summary=count&_type=Basic").json()["total"] == 4
        posted = client.post("/_search", data={"_type": "Group", "_id": "m1,m3"})
        assert posted.json()["total"] == 2
        refused(client.get("/?_type=Banana"), 400, "unknown-type")
        refused(client.get("/?_type=Basic,Group&actual=true"), 400, "search-unknown-parameter")
        refused(client.get("/?_type=Basic&_sort=code"), 400, "search-bad-sort")
