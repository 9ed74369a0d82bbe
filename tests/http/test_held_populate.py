"""$populate takes an option only for the value it stands for, and leaves out a language that is not wanted at all."""

from typing import Any

import httpx
import pytest

from tests.http.test_screening_populate import POPULATE, initial, item, outputs, parameters

TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"


@pytest.fixture(scope="module")
def person(client: httpx.Client) -> str:
    return f"Patient/{client.post('Patient', json={'resourceType': 'Patient', 'active': True}).json()['id']}"


OPTIONS: dict[str, list[dict[str, Any]]] = {
    "text": [{"valueString": "alone"}, {"valueString": "together"}],
    "number": [{"valueInteger": 1}, {"valueInteger": 2}],
    "date": [{"valueDate": "2026-01-01"}, {"valueDate": "2026-07-01"}],
    "code": [{"valueCoding": {"system": "urn:s", "code": code}} for code in ("a", "b")],
}


@pytest.mark.parametrize(
    ("options", "known", "answer", "open_answer"),
    [
        ("text", "'together'", "together", "together"),
        ("text", "'elsewhere'", None, "elsewhere"),
        ("number", "2", 2, 2),
        ("number", "3", None, None),
        ("number", "true", None, None),
        ("date", "@2026-07-01", "2026-07-01", "2026-07-01"),
        ("date", "@2026-02-01", None, "2026-02-01"),
        ("code", "'b'", {"system": "urn:s", "code": "b"}, {"system": "urn:s", "code": "b"}),
        ("code", "'c'", None, "c"),
    ],
)
def test_of_options_the_one_that_is_known_is_chosen_and_no_other(
    client: httpx.Client, person: str, options: str, known: str, answer: Any, open_answer: Any
) -> None:
    """What is none of the options is left out and told; only an open question takes it, as a text."""
    asked = [
        item(kind, kind, answerOption=OPTIONS[options], extension=initial(known)) for kind in ("choice", "open-choice")
    ]
    found, issues = outputs(client.post(POPULATE, json=parameters(person, *asked)))
    wanted = {"choice": answer, "open-choice": open_answer}
    assert found == {kind: [value] for kind, value in wanted.items() if value is not None}
    left_out = [one for one in issues if "it was left out" in one]
    assert [kind for kind in wanted if any(f"'{kind}'" in one for one in left_out)] == [
        kind for kind, value in wanted.items() if value is None
    ]


def translated(**texts: str) -> dict[str, Any]:
    parts = [
        [{"url": "lang", "valueCode": language}, {"url": "content", "valueString": text}]
        for language, text in texts.items()
    ]
    return {"extension": [{"url": TRANSLATION, "extension": one} for one in parts]}


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("fr", "Nom"),
        ("fr;q=0.1", "Nom"),
        ("fr;q=0", "Naam"),
        ("fr; q=0.000, de;q=0", "Naam"),
        ("fr;q=0, de;q=0.2", "Name"),
        ("fr;q=0.5, de;q=0.7, nl;q=0.1", "Name"),
        ("nl;q=0, fr;q=0.3", "Nom"),
    ],
)
def test_a_language_of_weight_zero_is_not_spoken(client: httpx.Client, person: str, header: str, text: str) -> None:
    """RFC 9110, 12.4.2: a weight of 0 means not acceptable."""
    asked = {
        "resourceType": "Questionnaire", "status": "active", "language": "nl",
        "item": [item("name", "string", text="Naam", _text=translated(fr="Nom", de="Name"), initial=[{"valueString": "x"}])],
    }  # fmt: skip
    given = [
        {"name": "questionnaire", "resource": asked},
        {"name": "subject", "valueReference": {"reference": person}},
    ]
    sent = {"resourceType": "Parameters", "parameter": given}
    answer = client.post(POPULATE, json=sent, headers={"Accept-Language": header})
    assert answer.status_code == 200, answer.text
    response = next(one["resource"] for one in answer.json()["parameter"] if one["name"] == "response")
    assert response["item"][0]["text"] == text
    assert response.get("language") == {"Nom": "fr", "Name": "de", "Naam": "nl"}[text]
