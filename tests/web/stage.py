"""What stands on the server while the pages are looked at: referrals, signals, persons to be asked again, and who looks."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx

from tests.conftest import RunningServer
from tests.http.page_reader import HELPER, PRACTICE, Browser, load_region, refer
from tests.web.chromium import Chromium

SIZES = {"phone": (360, 740), "desktop": (1280, 900)}


class Beside(NamedTuple):
    """The addresses of Tasks beside a referral: signals that wait and that were taken, and asking again, now and later."""

    waiting: str
    taken: str
    asked: str
    later: str


class Stage:
    """A browser, the server, and where a referral stands in it."""

    def __init__(self, chromium: Chromium, root: str, task: str, new: str, sent: str, beside: Beside) -> None:
        self.chromium = chromium
        self.root = root
        self.people = 0
        self.beside = beside
        self.places = {
            PRACTICE: ("referrer", ("/referrals", "/refer", "/refer/questionnaires/psychosocial-needs", "/refer/services?need=parenting&need=debt&place=1800&age=22",
                       "/refer/person?need=parenting&place=1800&service=svc-opvoedingssteun", sent)),
            HELPER: ("recipient", ("/inbox", new, task, f"{task}/hand-over", "/inbox/later", beside.later, beside.asked, f"{beside.asked}/questions")),
            "org-aanmeldpunt": ("link-worker", ("/region", "/inbox", "/inbox/pool", beside.waiting, beside.taken)),
        }  # fmt: skip

    def sign_in(self, organization: str, role: str) -> None:
        self.chromium.open(f"{self.root}/sign-in")
        if self.chromium.run("!!document.querySelector('form.out')"):
            self.chromium.act("document.querySelector('form.out').requestSubmit()")
        self.chromium.run(f"document.getElementById('organization').value = 'Organization/{organization}'")
        self.chromium.run(f"document.getElementById('role-{role}').checked = true")
        self.chromium.act("document.querySelector('main form').requestSubmit()")

    def pages(self) -> Iterator[str]:
        """Open one page after another; those that carry answers are reached by the forms."""
        for organization, (role, paths) in self.places.items():
            self.sign_in(organization, role)
            for path in paths:
                self.chromium.open(self.root + path)
                yield path
            if organization == PRACTICE:
                yield from self.answered()

    def answered(self) -> Iterator[str]:
        """Answer a questionnaire by half, then wholly, and refer with the answers."""
        chromium, scan = self.chromium, "/refer/questionnaires/quick-scan"
        send = "document.querySelector('main form:not(.inline)').requestSubmit(document.querySelector('[value={}]'))"
        chromium.open(self.root + scan)
        chromium.run("document.getElementsByName('money.mark')[0].value = '3'")
        chromium.act(send.format("go-on"))
        yield "answered/half"
        for name in ("body", "mind", "daily-life", "network"):
            chromium.run(f"document.getElementsByName('{name}.mark')[0].value = '8'")
        chromium.run("document.querySelector('input[value$=debt]').click()")
        chromium.act(send.format("go-on"))
        yield "answered/needs"
        chromium.run("document.getElementById('place').value = '1800'")
        chromium.act("document.querySelector('main form:not(.inline)').requestSubmit()")
        yield "answered/services"
        chromium.run("document.querySelector('input[name=service]').checked = true")
        chromium.act("document.querySelector('main form:not(.inline)').requestSubmit()")
        yield "answered/person"
        self.people += 1
        fields = {
            "family": f"Vanderlinden {self.people}",
            "phone": f"+32 470 11 {self.people:04}",
            "reason": "Ongeopende brieven",
        }
        for name, text in fields.items():
            chromium.run(f"document.getElementById('{name}').value = '{text}'")
        chromium.run("document.getElementById('consented').click(); document.getElementById('way-spoken').click()")
        chromium.act(
            "document.querySelector('main form:not(.inline)').requestSubmit(document.querySelector('.bottom button'))"
        )
        assert chromium.run("location.search") == "?done=sent"
        yield "answered/sent"
        for name, often in (("loneliness", 3), ("vulnerability", 4)):
            chromium.open(f"{self.root}/refer/questionnaires/{name}-screen?place=1800")
            chromium.run(
                "document.querySelectorAll('fieldset').forEach((one, at) => "
                f"one.querySelector(at < {often} ? '[value$=often]' : '[value$=never]').click())"
            )
            chromium.act(send.format("go-on"))
            yield f"scores/{name}"


def by_software(base: str, name: str, **more: str | bool) -> None:
    """Refer somebody as the software of the practice does; what begins with http is a plan."""
    told = {"name": name, "phone": "02 555 01 09", "city": "Vilvoorde", "reason": "De gordijnen blijven dicht", "need": "parenting"}  # fmt: skip
    parameter: list[dict[str, Any]] = [{"name": key, "valueString": text} for key, text in told.items()]
    for key, value in more.items():
        kind = "valueBoolean" if value is True else "valueCanonical" if str(value).startswith("http") else "valueCode"
        parameter.append({"name": key.rstrip("_").replace("_", "-"), kind: value})
    if "consent_way" in more:
        parameter.append({"name": "recipient", "valueReference": {"reference": f"Organization/{HELPER}"}})
    headers = {"X-Dev-Organization": f"Organization/{PRACTICE}", "X-Dev-Roles": "referrer"}
    headers["Content-Type"] = "application/fhir+json"
    body = {"resourceType": "Parameters", "parameter": parameter}
    answer = httpx.post(f"{base}/$refer", json=body, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text


def card_of(browser: Browser, section: str, words: str) -> str:
    """Return the address of the card with these words."""
    cards = browser.open(section).all("li", class_="card")
    return str(next(next(one.iter("a")) for one in cards if words in "".join(one.itertext())).get("href"))


def beside_referrals(base: str, helper: Browser, worker: Browser) -> Beside:
    """Make two signals, of which one is taken, and a referral after which the person is asked now and later."""
    plan = "https://w3id.org/social-referral/PlanDefinition/"
    worker.sign_in("org-aanmeldpunt", "link-worker")
    taken = ""
    for name in ("Yvonne Vandenberghe-Peeters", "Karel Janssens"):
        by_software(base, name, consent_pending=True)
        if not taken:
            taken = card_of(worker, "/inbox/pool", "toestemming")
            worker.open(taken)
            worker.submit("/accept")
    waiting = card_of(worker, "/inbox/pool", "toestemming")
    by_software(
        base, "Omar Haddad", consent_way="spoken", plan=f"{plan}outcomes", plan_=f"{plan}follow-up-three-months"
    )
    helper.open(card_of(helper, "/inbox/new", "De gordijnen blijven dicht"))
    helper.submit("/accept")
    helper.submit("/feedback", kind="outcome", words="Het gaat goed.", close="yes")
    asked = card_of(helper, "/inbox/new", "Omar Haddad")
    helper.open(asked)
    helper.submit("/accept")
    return Beside(waiting, taken, asked, card_of(helper, "/inbox/later", "Omar Haddad"))


def staged(store: str) -> Iterator[Stage]:
    running = RunningServer({"store": store, "enforce_access": True})
    load_region(running.base)
    practice, helper = Browser(running.base, "nl"), Browser(running.base, "nl")
    practice.sign_in(PRACTICE, "referrer")
    for number in range(7):
        sent = refer(practice, family=f"Vandenberghe-Demir {number}", preference=["text-message"])
    helper.sign_in(HELPER, "recipient")
    found = []
    for _ in range(2):
        helper.open("/inbox/new")
        helper.open(str(next(helper.page.all("li", class_="card")[0].iter("a")).get("href")))
        helper.submit("/accept")
        helper.submit("/feedback", kind="first-contact", words="Wij spraken af op maandag om half tien, bij hem thuis.")
        found.append(helper.page.answer.url.path)
    helper.open("/inbox/new")
    new = str(next(helper.page.all("li", class_="card")[0].iter("a")).get("href"))
    worker = Browser(running.base, "nl")
    beside = beside_referrals(running.base, helper, worker)
    with Chromium() as chromium:
        yield Stage(chromium, running.base.removesuffix("/fhir"), found[0], new, str(sent.answer.url.path), beside)
    for browser in (practice, helper, worker):
        browser.http.close()
    running.stop()
