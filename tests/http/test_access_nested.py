"""Under access control every search is answered, however much the policy nests beside what was asked.

What is seen of a person's record depends on consents and referrals, several links away: the condition takes more to parse
than the database holds when the search adds links and an order of its own.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import FHIR_JSON, RunningServer
from tests.http.test_refer_answers import EXAMPLES, HELPER, PRACTICE, answered, sent

PERSON = "Nora Nested"
SEARCHES = (
    "{0}?{1}=Patient/{2}",
    "{0}?{1}=Patient/{2}&_sort=-_id",
    "{0}?{1}=Patient/{2}&_include=*&_sort=_id",
    "{0}?{1}=Patient/{2}&_total=accurate",
    "{0}?_sort=-_id&_count=50",
    "{0}?{1}:Patient.name=Nora&_sort=_id",
    "{0}?{1}:Patient.general-practitioner:Organization.name=Bea&_sort=_id",
    "{0}?{1}:Patient._has:Task:patient:status=requested&_sort=_id",
    "{0}?{1}:Patient._has:ServiceRequest:subject:status=active&_sort=-_lastUpdated",
)
TYPES = (
    ("Observation", "subject"), ("Condition", "subject"), ("QuestionnaireResponse", "subject"), ("Consent", "patient"),
    ("ServiceRequest", "subject"), ("Task", "patient"), ("RiskAssessment", "subject"), ("Provenance", "target"),
    ("CarePlan", "subject"), ("Goal", "subject"),
)  # fmt: skip


class Callers:
    """A practice that referred with answers, and who was referred to; `patient` is the person's id."""

    def __init__(self, folder: Path) -> None:
        settings = {"store": f"sqlite:///{folder / 'fhir.sqlite'}", "enforce_access": True}
        self.server = RunningServer(settings)
        for path in sorted((EXAMPLES / "region").glob("*.json")):
            with self.client("", "operator") as operator:
                operator.post("/", content=path.read_bytes()).raise_for_status()
        self.practice = self.client(PRACTICE, "referrer")
        self.helper = self.client(HELPER, "recipient")
        body = sent(PERSON, answered("02-needs.json"), answered("03-vulnerability.json"))
        self.practice.post("/$refer", json=body).raise_for_status()
        self.patient = self.practice.get("/Patient?name=Nora").json()["entry"][0]["resource"]["id"]

    def client(self, organization: str, role: str) -> httpx.Client:
        headers = {"Content-Type": FHIR_JSON, "X-Dev-Roles": role}
        if organization:
            headers["X-Dev-Organization"] = f"Organization/{organization}"
        return httpx.Client(base_url=self.server.base, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callers]:
    found = Callers(tmp_path_factory.mktemp("nested"))
    yield found
    found.practice.close()
    found.helper.close()
    found.server.stop()


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize(("resource_type", "param"), TYPES)
def test_every_search_is_answered(callers: Callers, resource_type: str, param: str, search: str) -> None:
    for client in (callers.practice, callers.helper):
        answer = client.get("/" + search.format(resource_type, param, callers.patient))
        assert answer.status_code == 200, answer.text


def test_what_is_found_does_not_depend_on_how_it_was_put(callers: Callers) -> None:
    plain, ordered, linked = (
        callers.practice.get(f"/Observation?{query}&_count=100").json()
        for query in (
            f"subject=Patient/{callers.patient}",
            f"subject=Patient/{callers.patient}&_sort=date",
            "subject:Patient.name=Nora&_sort=date",
        )
    )
    ids = [sorted(one["resource"]["id"] for one in found["entry"]) for found in (plain, ordered, linked)]
    assert ids[0] == ids[1] == ids[2]
    assert len(ids[0]) > 5
    for query in (f"subject=Patient/{callers.patient}&_sort=date", "subject:Patient.name=Nora&_sort=date"):
        assert callers.helper.get(f"/Observation?{query}").json()["total"] == 0
