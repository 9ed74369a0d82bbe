"""What a search or condition looks up before it runs, through the interactions, on every store: as of its unit, and undone
with it.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fhir_server.interactions.perform import perform
from fhir_server.interactions.request import Preconditions, Request, Result
from fhir_server.model.codec import decode, encode
from fhir_server.model.errors import NotFound
from tests.contract.store.conftest import new_database
from tests.contract.store.mongo_engine import BASE, SOMEBODY, Asker, asking, entry
from tests.contract.store.mongo_server import database_url

SYSTEM = "http://example.org/s"
VALUES = "http://example.org/v"


@pytest.fixture(params=["sqlite", "mongo"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Asker]:
    """Places in each other: land > north > town, land > south."""
    url = f"sqlite:///{tmp_path / 'x.sqlite'}"
    if request.param == "mongo":
        url = database_url(request.getfixturevalue("mongo_url"), new_database())
    with asking(url, publish_artifacts=False) as asker:
        asker.transaction(*(entry("PUT", f"Location/{name}", place(name, whole)) for name, whole in PLACES.items()))
        yield asker


PLACES = {"land": "", "north": "land", "south": "land", "town": "north"}


def place(name: str, whole: str) -> dict[str, Any]:
    part = {"partOf": {"reference": f"Location/{whole}"}} if whole else {}
    return {"resourceType": "Location", "id": name, **part}


def thing(where: str, code: str = "a", **more: Any) -> dict[str, Any]:
    coding = {"coding": [{"system": SYSTEM, "code": code}]}
    return {"resourceType": "Basic", "code": coding, "subject": {"reference": f"Location/{where}"}, **more}


def values(code: str) -> dict[str, Any]:
    compose = {"include": [{"system": SYSTEM, "concept": [{"code": code}]}]}
    return {"resourceType": "ValueSet", "id": "v", "url": VALUES, "status": "active", "compose": compose}


def ask(
    server: Asker, method: str, path: str, body: Any = None, *query: tuple[str, str], exist: str | None = None
) -> Result:
    sent = None if body is None else encode(body)
    kind = "application/json-patch+json" if isinstance(body, list) else "application/fhir+json"
    preconditions = Preconditions(if_none_exist=exist)
    request = Request(method, path, query, sent, kind, preconditions, principal=SOMEBODY, base=BASE)
    return perform(server.engine, request)


def found(server: Asker, *query: tuple[str, str]) -> list[str]:
    bundle = decode(ask(server, "GET", "Basic", None, *query).body or b"")
    return sorted(str(one["resource"]["id"]) for one in bundle.get("entry", ()))


def test_every_conditional_interaction_follows_hierarchies_and_value_sets(server: Asker) -> None:
    ask(server, "PUT", "ValueSet/v", values("a"))
    north, coded = ("subject:below", "Location/north"), ("code:in", VALUES)
    made = ask(server, "POST", "Basic", thing("town"), exist="subject:below=Location/north&code:in=" + VALUES).version
    assert made is not None
    again = ask(server, "POST", "Basic", thing("north"), exist="subject:below=Location/land").version
    assert again == made
    updated = ask(server, "PUT", "Basic", thing("north"), north, coded).version
    assert updated is not None
    assert (updated.id, updated.version) == (made.id, 2)
    change = [{"op": "replace", "path": "/subject/reference", "value": "Location/south"}]
    assert ask(server, "PATCH", "Basic", change, north, coded).version is not None
    with pytest.raises(NotFound):
        ask(server, "PATCH", "Basic", change, north, coded)
    assert found(server, ("subject:above", "Location/south")) == [made.id]
    ask(server, "DELETE", "Basic", None, ("subject:below", "Location/land"), ("code:not-in", VALUES))
    assert found(server) == [made.id]
    ask(server, "DELETE", "Basic", None, ("subject:below", "Location/land"))
    assert found(server) == []


def test_of_many_creations_under_one_hierarchy_one_is_made_while_the_hierarchy_grows(server: Asker) -> None:
    """Each makes a place in the north, and a thing in it unless there is one anywhere in the north."""

    def create(number: int) -> list[str]:
        part = place(f"n{number}", "north")
        condition = {"ifNoneExist": "subject:below=Location/north"}
        told = server.transaction(
            entry("PUT", f"Location/n{number}", part), entry("POST", "Basic", thing(f"n{number}"), **condition)
        )
        return [str(one["response"]["status"]) for one in told]

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(create, range(8)))
    assert sorted(status[:3] for _, status in told) == ["200"] * 7 + ["201"]
    assert len(found(server, ("subject:below", "Location/land"))) == 1


def test_a_search_in_a_transaction_sees_what_it_wrote_and_leaves_nothing_behind_when_it_is_undone(
    server: Asker,
) -> None:
    """The terminology that searches of all callers share holds nothing of a transaction that came to nothing."""
    for name, code in (("old", "old"), ("new", "new")):
        ask(server, "PUT", f"Basic/{name}", thing("south", code, id=name))
    ask(server, "PUT", "ValueSet/v", values("old"))
    assert found(server, ("code:in", VALUES)) == ["old"]
    asked = entry("GET", f"Basic?code:in={VALUES}&subject:below=Location/land")
    expanded = entry("GET", f"ValueSet/$expand?url={VALUES}")
    changed = entry("PUT", "ValueSet/v", values("new"))
    with pytest.raises(NotFound):
        server.transaction(changed, asked, expanded, entry("GET", "Basic/none"))
    ask(server, "PUT", "Basic/other", thing("south", "other", id="other"))
    assert found(server, ("code:in", VALUES)) == ["old"]
    told = server.transaction(changed, asked, expanded)
    assert [one["resource"]["id"] for one in told[1]["resource"]["entry"]] == ["new"]
    assert [one["code"] for one in told[2]["resource"]["expansion"]["contains"]] == ["new"]
    assert found(server, ("code:in", VALUES)) == ["new"]
