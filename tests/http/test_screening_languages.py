"""What is wrong with answers to a questionnaire is told in the language that was asked for, and says in which it is."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

BASE = "https://w3id.org/social-referral"
QR = "QuestionnaireResponse"
CHOSEN = {"system": "urn:x", "code": "always"}


def lonely(*link_ids: str, **more: Any) -> dict[str, Any]:
    made = {
        "resourceType": QR,
        "questionnaire": f"{BASE}/Questionnaire/loneliness-screen",
        "status": "completed",
        "subject": {"reference": "Patient/somebody"},
        "authored": "2026-11-20",
        "item": [{"linkId": one, "answer": [{"valueCoding": CHOSEN}]} for one in link_ids],
    }
    return {name: value for name, value in {**made, **more}.items() if value}


def told(answer: httpx.Response) -> dict[str, str]:
    """Return the texts of an outcome by their keys, the last of each."""
    found = {}
    for issue in answer.json()["issue"]:
        found[issue["details"]["coding"][0]["code"]] = issue["details"]["text"]
    return found


WRONG: Mapping[str, Mapping[str, str]] = {
    "nl": {
        "response-unknown-item": "De vragenlijst heeft geen item 'lonelines.alone'. Is 'loneliness.alone' bedoeld?",
        "answer-not-an-option": "'always' is geen van de antwoorden op 'loneliness.heart'. Kies uit 'never', 'sometimes', 'often'.",
        "response-incomplete": "'loneliness.weekend' moet beantwoord worden.",
    },
    "fr": {
        "response-unknown-item": "Le questionnaire n’a pas d’item 'lonelines.alone'. Est-ce 'loneliness.alone' ?",
        "answer-not-an-option": "'always' n’est pas une des réponses à 'loneliness.heart'. Choisissez parmi 'never', 'sometimes', 'often'.",
        "response-incomplete": "'loneliness.weekend' demande une réponse.",
    },
    "en": {
        "response-unknown-item": "The questionnaire has no item 'lonelines.alone'. Did you mean 'loneliness.alone'?",
        "answer-not-an-option": "'always' is none of the answers to 'loneliness.heart'. Choose from 'never', 'sometimes', 'often'.",
        "response-incomplete": "'loneliness.weekend' must be answered.",
    },
}


@pytest.mark.parametrize("language", WRONG)
@pytest.mark.parametrize("operation", ["$validate", "$extract"])
def test_wrong_answers_are_told_in_the_language_asked(operation: str, language: str, client: httpx.Client) -> None:
    sent = lonely("lonelines.alone", "loneliness.heart")
    answer = client.post(f"{QR}/{operation}", json=sent, headers={"Accept-Language": f"{language}-BE, es;q=0.1"})
    assert answer.status_code == (422 if operation == "$extract" else 200), answer.text
    assert told(answer) == WRONG[language]
    assert answer.headers["content-language"] == language


@pytest.mark.parametrize(
    ("change", "key", "dutch"),
    [
        ({"status": "in-progress"}, "extract-not-final", "De antwoorden hebben de status 'in-progress'"),
        ({"questionnaire": "urn:x"}, "unknown-questionnaire", "Er is hier geen vragenlijst 'urn:x'."),
        ({"questionnaire": None}, "unknown-questionnaire", "De antwoorden noemen geen vragenlijst."),
        ({"subject": None}, "response-subject", "De vragenlijst gaat over een Patient; de antwoorden noemen niemand."),
        ({"subject": {"reference": "Group/g"}}, "response-subject", "De vragenlijst gaat over een Patient; subject is een Group."),
    ],
)  # fmt: skip
def test_what_is_not_extracted_says_why_in_dutch(
    change: dict[str, Any], key: str, dutch: str, client: httpx.Client
) -> None:
    answer = client.post(f"{QR}/$extract", json=lonely(**change), headers={"Accept-Language": "nl"})
    assert answer.status_code == 422
    assert told(answer)[key].startswith(dutch)
    assert answer.headers["content-language"] == "nl"


def test_a_referral_whose_answers_are_refused_says_so_in_french_and_points_at_the_parameter(
    client: httpx.Client,
) -> None:
    known = {"resourceType": "Organization", "id": "practice-fr", "name": "Maison médicale"}
    assert client.put("Organization/practice-fr", json=known).status_code == 201
    helper = {"resourceType": "HealthcareService", "id": "visits-fr", "active": True, "name": "Visites",
              "providedBy": {"reference": "Organization/practice-fr"}}  # fmt: skip
    assert client.put("HealthcareService/visits-fr", json=helper).status_code == 201
    half = lonely("loneliness.alone", subject=None, authored=None)
    sent = [
        {"name": "name", "valueString": "Camille Dubois"}, {"name": "phone", "valueString": "+32 470 12 34 56"},
        {"name": "city", "valueString": "Vilvoorde"}, {"name": "reason", "valueString": "Cherche de la compagnie"},
        {"name": "need", "valueString": "social-connection"}, {"name": "consent-way", "valueCode": "spoken"},
        {"name": "recipient", "valueReference": {"reference": "HealthcareService/visits-fr"}}, {"name": "response", "resource": half},
    ]  # fmt: skip
    acting = {"X-Dev-Organization": "Organization/practice-fr", "X-Dev-Roles": "referrer", "Accept-Language": "fr"}
    answer = client.post("$refer", json={"resourceType": "Parameters", "parameter": sent}, headers=acting)
    assert answer.status_code == 422, answer.text
    assert told(answer)["response-incomplete"] == "'loneliness.weekend' demande une réponse."
    assert answer.headers["content-language"] == "fr"
    assert all("parameter[7].resource" in issue["expression"][0] for issue in answer.json()["issue"])
