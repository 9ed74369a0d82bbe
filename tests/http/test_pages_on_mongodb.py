"""The story of the pages on MongoDB: a questionnaire, a referral with its answers, the inbox, feedback, the figures of the region."""

import json
from typing import Any

import httpx

from tests.contract.store.mongo_server import database_url, running
from tests.http.page_reader import PRACTICE, ROOT, Browser, fhir, load_region

SCAN = "/refer/questionnaires/quick-scan"
NEED = "https://w3id.org/social-referral/CodeSystem/social-need|"
DOMAINS = ("body", "mind", "daily-life", "network", "money")


def publish_scan(base: str) -> None:
    """Put the one questionnaire of the story on a server that does not publish its artefacts."""
    sent = (ROOT / "profiles/questionnaires/Questionnaire-quick-scan.json").read_bytes()
    headers = {"X-Dev-Roles": "operator", "Content-Type": "application/fhir+json"}
    assert httpx.put(f"{base}/Questionnaire/quick-scan", content=sent, headers=headers, timeout=60).status_code == 201


def referred(practice: Browser) -> str:
    """Answer the quick scan and send the referral; return the id of the ServiceRequest."""
    practice.sign_in(PRACTICE, "referrer")
    practice.open("/refer")
    assert SCAN in {one.get("formaction") for one in practice.page.all("button")}
    practice.open(SCAN)
    marks = {f"{domain}.mark": "8" for domain in DOMAINS} | {"money.mark": "3"}
    practice.submit(SCAN, button="look", **marks)
    practice.submit(SCAN, button="go-on", **{"money.needs": f"{NEED}debt"})
    practice.submit("/refer/services", place="1800", age="40")
    practice.submit("/refer/person", service=["svc-schuldhulp"])
    filled = {
        "family": "Story",
        "phone": "+32 470 00 00 55",
        "reason": "Letters unopened",
        "consented": "yes",
        "way": "spoken",
    }
    sent = practice.submit("/refer/person", button="send", **filled)
    assert sent.status == 200, sent.said()
    assert "Sent." in sent.said()
    assert "scores: 6" in sent.said()
    return str(sent.answer.url.path).rpartition("/")[2]


def test_the_whole_story_of_the_pages_runs_on_mongodb(fresh_server: Any) -> None:
    with running() as database:
        server = fresh_server(
            store=database_url(database.url, "pages"), enforce_access=True, publish_artifacts=False,
            cursor_key="ab" * 32, master_key="cd" * 32,
        )  # fmt: skip
        load_region(server.base)
        publish_scan(server.base)
        practice, helper, worker = (Browser(server.base) for _ in range(3))
        made = referred(practice)
        request = fhir(practice, f"ServiceRequest/{made}", PRACTICE, "referrer")
        owner = fhir(practice, f"Task?focus=ServiceRequest/{made}", PRACTICE, "referrer")["entry"][0]["resource"][
            "owner"
        ]
        organization = owner["reference"].partition("/")[2]

        inbox = helper.sign_in(organization, "recipient")
        assert "Letters unopened" in inbox.said()
        assert "Story" not in inbox.said()
        card = next(one for one in inbox.all("li", class_="card") if "Letters unopened" in "".join(one.itertext()))
        helper.open(str(next(card.iter("a")).get("href")))
        assert "+32 470 00 00 55" in helper.submit("/accept").said()
        told = helper.submit("/feedback", kind="outcome", words="Paid off.", close="yes")
        assert "closed" in told.said()
        (reason,) = request["reasonReference"]
        assert fhir(helper, reason["reference"], organization)["code"]["coding"][0]["code"] == "debt"
        for hidden in ("QuestionnaireResponse", "Observation", "RiskAssessment"):
            seen = fhir(helper, f"{hidden}?subject={request['subject']['reference']}", organization)
            assert "entry" not in seen, json.dumps(seen)

        practice.open(f"/referrals/{made}")
        assert "Paid off." in practice.page.said()
        worker.sign_in("org-aanmeldpunt", "link-worker")
        figures = worker.open("/region").said()
        for words in ("Referrals few", "First contact few", "Closed few", "Unmet needs few"):
            assert words in figures, figures
        for browser in (practice, helper, worker):
            browser.http.close()
        server.stop()
