"""$refer takes somebody for a person who is known here only when name, contact and birth date do not say otherwise."""

from collections.abc import Iterator
from itertools import cycle
from typing import Any

import httpx
import pytest

from tests.http.test_refer import named, parameters, ref, short, text

_NEEDS = cycle(
    ("food", "learning", "family", "community", "rights", "living-environment", "economic-stability", "other-need")
)


@pytest.fixture(scope="module")
def gp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    from tests.conftest import RunningServer

    server = RunningServer({"store": f"sqlite:///{tmp_path_factory.mktemp('people') / 'fhir.sqlite'}"})
    headers = {"Content-Type": "application/fhir+json", "X-Dev-Organization": "Organization/praktijk"}
    try:
        with httpx.Client(base_url=server.base, headers={"X-Dev-Roles": "operator"}, timeout=30) as operator:
            for name in ("praktijk", "buurthuis"):
                one = {"resourceType": "Organization", "id": name, "name": name, "active": True}
                assert operator.put(f"/Organization/{name}", json=one).status_code == 201
        with httpx.Client(base_url=server.base, headers=headers, timeout=30) as http:
            yield http
    finally:
        server.stop()


def person(gp: httpx.Client, name: str, **changes: Any) -> str:
    """Refer somebody for what nobody was referred for before; return whom the server took it to be."""
    given = {"recipient": ref("Organization/buurthuis"), "need": text(next(_NEEDS)), **changes}
    (found,) = named(gp.post("/$refer", json=short(name, **given)), "patient")
    return str(found["reference"])


@pytest.mark.parametrize(
    ("name", "phone", "same"),
    [
        ("Lena Bos", "+32 471 00 10 01", True),
        ("lena bos", "0471/00.20.01", True),
        ("Lena Bos", "+32 471 00 30 02", False),
        ("Lena Bosmans", "+32 471 00 40 01", False),
        ("Piet Bos", "+32 471 00 50 01", False),
    ],
)
def test_a_person_is_known_by_name_and_contact_together(gp: httpx.Client, name: str, phone: str, same: bool) -> None:
    known = {"resourceType": "Patient", "name": [{"text": "Lena Bos"}]}
    telecom = [{"system": "phone", "value": f"+32 471 00 {phone[-5]}0 01"}]
    made = gp.post("/Patient", json={**known, "telecom": telecom}).json()["id"]
    assert (person(gp, name, phone=text(phone)) == f"Patient/{made}") is same


@pytest.mark.parametrize("stored", [
    {"text": "Marie-José De Smet"}, {"given": ["Marie-José"], "family": "De Smet"},
    {"given": ["Marie-José"], "family": "De Smet", "text": "M.-J. De Smet"},
], ids=["text", "parts", "both"])  # fmt: skip
def test_a_name_in_one_text_and_one_in_parts_are_the_same_name(gp: httpx.Client, stored: dict[str, Any]) -> None:
    number = f"+32 473 00 00 0{len(stored)}"
    known = {"resourceType": "Patient", "name": [stored], "telecom": [{"system": "phone", "value": number}]}
    made = f"Patient/{gp.post('/Patient', json=known).json()['id']}"
    assert person(gp, "marie-jose de smet", phone=text(number)) == made
    parts = {"resourceType": "Patient", "name": [{"given": ["Marie-José"], "family": "De Smet"}]}
    whole = {"resource": {**parts, "telecom": known["telecom"]}}
    others = {"recipient": ref("Organization/buurthuis"), "need": text(next(_NEEDS)), "patient": whole}
    again = parameters(reason=text("Zoekt gezelschap"), consent_way={"valueCode": "spoken"}, **others)
    assert named(gp.post("/$refer", json=again), "patient") == [{"reference": made}]


def test_two_namesakes_who_share_a_phone_are_not_told_apart_by_chance(gp: httpx.Client) -> None:
    shared = {"phone": text("+32 472 00 00 03")}
    older = person(gp, "Jan Peeters", **shared, birth_date={"valueDate": "1950-01-01"})
    younger = person(gp, "Jan Peeters", **shared, birth_date={"valueDate": "1980-01-01"})
    assert older != younger
    assert person(gp, "Jan Peeters", **shared, birth_date={"valueDate": "1950-01-01"}) == older
    assert person(gp, "Jan Peeters", **shared) not in (older, younger)
