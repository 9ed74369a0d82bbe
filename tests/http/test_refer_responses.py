"""$refer says where the answers that came along are stored, the same each time, and to nobody who may not see them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import FHIR_JSON, RunningServer

EXAMPLES = Path(__file__).parents[2] / "examples"
PRACTICE, HELPER = "org-praktijk-bea", "org-gezinskompas"
Asking = Callable[[str], httpx.Client]


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """A region under access control; each organisation asks with the rights of its own."""
    store = f"sqlite:///{tmp_path_factory.mktemp('responses') / 'fhir.sqlite'}"
    server = RunningServer({"store": store, "enforce_access": True})
    open_clients: dict[str, httpx.Client] = {}

    def client(organization: str) -> httpx.Client:
        headers = {"Content-Type": FHIR_JSON, "X-Dev-Roles": "operator"}
        if organization:
            headers |= {"X-Dev-Organization": f"Organization/{organization}", "X-Dev-Roles": "referrer,recipient"}
        return open_clients.setdefault(organization, httpx.Client(base_url=server.base, headers=headers, timeout=60))

    for path in sorted((EXAMPLES / "region").glob("*.json")):
        assert client("").post("/", content=path.read_bytes()).status_code == 200
    yield client
    for one in open_clients.values():
        one.close()
    server.stop()


def answered(name: str, **more: Any) -> dict[str, Any]:
    sent: dict[str, Any] = json.loads((EXAMPLES / "screening" / name).read_bytes())
    kept = ("resourceType", "questionnaire", "status", "item")
    return {key: sent[key] for key in kept} | more


def body(person: str, *responses: dict[str, Any], **more: Any) -> dict[str, Any]:
    digits = "".join(str(ord(letter) % 10) for letter in person.lower())[:8].ljust(8, "7")
    listed: list[tuple[str, dict[str, Any]]] = [
        ("name", {"valueString": person}), ("phone", {"valueString": f"+32 470 {digits}"}), ("city", {"valueString": "Vilvoorde"}),
        ("reason", {"valueString": "Looks for support"}), ("need", {"valueString": "parenting"}),
        ("recipient", {"valueReference": {"reference": "HealthcareService/svc-opvoedingssteun"}}),
        ("consent-way", {"valueCode": "spoken"}), *more.items(), *(("response", {"resource": one}) for one in responses),
    ]  # fmt: skip
    return {"resourceType": "Parameters", "parameter": [{"name": name, **value} for name, value in listed]}


def own(number: str) -> dict[str, Any]:
    return {"identifier": {"valueIdentifier": {"system": "urn:epd:referral", "value": number}}}


def sent(http: httpx.Client, parameters: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Return the responses that the answer names, and the request in it."""
    answer = http.post("/$refer", json=parameters)
    assert answer.status_code == 200, answer.text
    listed = answer.json()["parameter"]
    (request,) = [one["resource"] for one in listed if one["name"] == "request"]
    return [one["valueReference"]["reference"] for one in listed if one["name"] == "response"], request


def test_the_answer_names_each_response_in_the_order_they_were_sent(asking: Asking) -> None:
    gp = asking(PRACTICE)
    first, second = (
        answered("02-needs.json"),
        answered("03-vulnerability.json", identifier={"system": "urn:x", "value": "1"}),
    )
    for person, responses in (
        ("Erdan One", (first, second)),
        ("Erdan Two", (second | {"identifier": {"value": "2"}}, first)),
    ):
        named, request = sent(gp, body(person, *responses))
        stored = [gp.get(f"/{one}").json() for one in named]
        assert [one["questionnaire"] for one in stored] == [one["questionnaire"] for one in responses]
        assert all(one["subject"] == request["subject"] for one in stored)
    assert sent(gp, body("Erdan Three"))[0] == []


@pytest.mark.parametrize("known_by", [
    {}, {"authored": "2026-11-20"}, {"id": "epd-17"}, {"identifier": {"system": "urn:epd", "value": "again"}},
])  # fmt: skip
def test_sent_again_the_same_responses_are_named(asking: Asking, known_by: dict[str, Any]) -> None:
    gp, number = asking(PRACTICE), "-".join(known_by) or "nothing"
    parameters = body(f"Again {number.title()}", answered("02-needs.json", **known_by), **own(number))
    named, request = sent(gp, parameters)
    assert len(named) == 1
    assert sent(gp, parameters) == (named, gp.get(f"/ServiceRequest/{request['id']}").json())
    assert sent(gp, body("Anything else", **own(number)))[0] == [], "only what was sent along is told"


def test_who_may_not_see_the_answers_is_not_told_where_they_are(asking: Asking) -> None:
    gp, helper = asking(PRACTICE), asking(HELPER)
    parameters = body("Seen By Few", answered("02-needs.json"), **own("few"))
    (named,), request = sent(gp, parameters)
    (task,) = [
        one["resource"] for one in gp.post("/$refer", json=parameters).json()["parameter"] if one["name"] == "task"
    ]
    version = helper.get(f"/Task/{task['id']}").json()["meta"]["versionId"]
    accepted = helper.patch(
        f"/Task/{task['id']}", content=json.dumps([{"op": "add", "path": "/status", "value": "accepted"}]),
        headers={"Content-Type": "application/json-patch+json", "If-Match": f'W/"{version}"'},
    )  # fmt: skip
    assert accepted.status_code == 200, accepted.text
    assert helper.get(f"/{named}").status_code == 404
    seen, same = sent(helper, parameters)
    assert (seen, same["id"]) == ([], request["id"])


def test_the_definition_names_what_comes_out(asking: Asking) -> None:
    definition = asking("").get("/OperationDefinition/refer").json()
    (told,) = [one for one in definition["parameter"] if (one["name"], one["use"]) == ("response", "out")]
    assert (told["type"], told["min"], told["max"]) == ("Reference", 0, "*")
