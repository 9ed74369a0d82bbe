"""$everything on records of their own: one that is larger than the largest page, and that of the worked example."""

import json
from pathlib import Path
from typing import Any

import httpx

from tests.http.everything_pages import ids, pages, refer

ERDAN = Path(__file__).parents[2] / "examples" / "erdan"


def test_a_record_larger_than_the_largest_page_is_paged_without_being_asked(fresh_server: Any) -> None:
    entries = [
        {"resource": resource, "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}}
        for resource in (
            {"resourceType": "Patient", "id": "large"},
            *({"resourceType": "Practitioner", "id": f"p{number}"} for number in range(30)),
            *(
                {
                    "resourceType": "Observation", "id": f"o{number}", "status": "final", "code": {"text": "x"},
                    "subject": refer("Patient/large"), "performer": [refer(f"Practitioner/p{number % 30}")],
                }
                for number in range(2100)
            ),
        )
    ]  # fmt: skip
    base = fresh_server(max_count=250, publish_artifacts=True).base
    with httpx.Client(base_url=base, timeout=60) as client:
        sent = client.post("/", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert sent.status_code == 200, sent.text[:500]
        found = pages(client, "/Patient/large/$everything")
        names = [name for page in found for name in ids(page)]
        assert len(names) == len(set(names)) == len(entries)
        assert [len(page["entry"]) for page in found] == [250] * 8 + [131]
        assert all("total" not in page for page in found)
        assert len(ids(client.get("/Patient/large/$everything?_type=Practitioner").json())) == 30


def test_the_record_of_the_worked_example(fresh_server: Any) -> None:
    """Erdan's record holds the referral, its tasks, consent and needs, and the parties that they name."""
    running = fresh_server()
    with httpx.Client(base_url=running.base, headers={"X-Dev-Roles": "operator"}, timeout=60) as operator:
        for path in sorted((ERDAN.parent / "region").glob("*.json")):
            assert operator.post("/", json=json.loads(path.read_text())).status_code == 200
    party = {"X-Dev-Organization": "Organization/org-praktijk-bea"}
    with httpx.Client(base_url=running.base, headers=party, timeout=60) as client:
        sent = client.post("/", json=json.loads((ERDAN / "01-referral-bundle.json").read_text()))
        assert sent.status_code == 200, sent.text
        bundle = client.get("/Patient/erdan/$everything").json()
        names, matches = ids(bundle), set(ids(bundle, "match"))
        assert len(names) == len(set(names))
        assert {
            "Patient/erdan", "Consent/erdan-consent", "Observation/erdan-finding", "Condition/erdan-need-work",
            "Condition/erdan-need-parenting", "ServiceRequest/erdan-referral",
        } <= matches  # fmt: skip
        tasks = ids(client.get("/Task?patient=Patient/erdan").json())
        assert tasks
        assert set(tasks) <= matches, "tasks are not in the compartment of R4, but they are about the patient"
        assert "Organization/org-praktijk-bea" in ids(bundle, "include")
        assert ids(client.get("/Patient/erdan/$everything?_type=ServiceRequest").json()) == [
            "ServiceRequest/erdan-referral"
        ]
        split = pages(client, "/Patient/erdan/$everything?_count=4")
        assert [name for page in split for name in ids(page)] == names
