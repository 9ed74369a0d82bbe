"""The story of the pages on MongoDB: a questionnaire, a referral with its answers, the inbox, feedback, the figures of the region."""

import json
from typing import Any

import httpx

from tests.contract.store.mongo_server import database_url, running
from tests.http.page_reader import OTHER, PRACTICE, ROOT, Browser, fhir, load_region

SCAN = "/refer/questionnaires/quick-scan"
NEED = "https://w3id.org/social-referral/CodeSystem/social-need|"
DOMAINS = ("body", "mind", "daily-life", "network", "money")


def publish(base: str, name: str) -> None:
    """Put the one questionnaire of a story on a server that does not publish its artefacts."""
    sent = (ROOT / f"profiles/questionnaires/Questionnaire-{name}.json").read_bytes()
    headers = {"X-Dev-Roles": "operator", "Content-Type": "application/fhir+json"}
    assert httpx.put(f"{base}/Questionnaire/{name}", content=sent, headers=headers, timeout=60).status_code == 201


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
        publish(server.base, "quick-scan")
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


def test_a_signal_a_hand_over_and_asking_again_run_on_mongodb(fresh_server: Any) -> None:
    with running() as database:
        server = fresh_server(
            store=database_url(database.url, "pages"), enforce_access=True, publish_artifacts=False,
            cursor_key="ab" * 32, master_key="cd" * 32,
        )  # fmt: skip
        load_region(server.base)
        publish(server.base, "quality-of-life")
        send_signal(server.base)
        worker, other = Browser(server.base), Browser(server.base)
        worker.sign_in("org-aanmeldpunt", "link-worker")
        opened(worker, "/inbox/pool", "A person to be asked")
        assert "Yvonne Peeters" in worker.submit("/accept").said()
        assert "Noted. The referral has left." in worker.submit("/agreed", way="spoken").said()
        worker.click("Go on with the referral at our place")
        worker.submit("/accept")
        worker.click("Hand over to somebody else")
        worker.submit("/hand-over", button="find", find="Werkspoor", reason="Looks for work", way="spoken")
        assert "Handed over." in worker.submit("/hand-over", button="send", recipient=f"Organization/{OTHER}").said()
        other.sign_in(OTHER, "recipient")
        opened(other, "/inbox/new", "Looks for work")
        other.submit("/accept")
        assert "closed" in other.submit("/feedback", kind="outcome", words="Works.", close="yes").said()

        assert "six months" not in worker.open("/inbox/new").said()
        opened(worker, "/inbox/new", "at the start")
        worker.submit("/accept")
        worker.click("Fill in: How do you look at your life?")
        answered = {
            str(one.get("name")): "7" for one in worker.page.all("input") if one.get("inputmode") == "decimal"
        } | {"moment": str(worker.page.all("input", name="moment")[0].get("value"))}
        told = worker.submit("/questions", button="go-on", **answered)
        assert "Saved." in told.said(), told.said()
        opened(worker, "/inbox/later", "Ask how it is now")
        assert worker.submit("/accept").status == 422
        for browser in (worker, other):
            browser.http.close()
        server.stop()


def send_signal(base: str) -> None:
    """Tell of somebody who was not asked yet, with plans for later."""
    plan = "https://w3id.org/social-referral/PlanDefinition/"
    told = {"name": "Yvonne Peeters", "phone": "02 555 01 09", "city": "Vilvoorde", "reason": "Alone", "need": "debt"}
    parameter: list[dict[str, Any]] = [{"name": name, "valueString": text} for name, text in told.items()]
    parameter += [{"name": "plan", "valueCanonical": plan + name} for name in ("outcomes", "follow-up-three-months")]
    parameter.append({"name": "consent-pending", "valueBoolean": True})
    headers = {"X-Dev-Organization": f"Organization/{PRACTICE}", "X-Dev-Roles": "referrer"}
    body = {"resourceType": "Parameters", "parameter": parameter}
    answer = httpx.post(
        f"{base}/$refer", json=body, headers=headers | {"Content-Type": "application/fhir+json"}, timeout=60
    )
    assert answer.status_code == 200, answer.text


def opened(browser: Browser, section: str, words: str) -> None:
    """Open the card with these words."""
    cards = browser.open(section).all("li", class_="card")
    card = next((one for one in cards if words in "".join(one.itertext())), None)
    assert card is not None, (words, browser.page.said())
    assert browser.open(str(next(card.iter("a")).get("href"))).status == 200
