"""The pages in a real browser: axe finds nothing serious, nothing is cut off on a phone, a keyboard is enough (`make test-web`)."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunningServer
from tests.http.page_reader import HELPER, PRACTICE, Browser, load_region, refer
from tests.web.chromium import Chromium, find_chromium

ROOT = Path(__file__).parents[2]
AXE = ROOT / "var/web/node_modules/axe-core/axe.min.js"
LANGUAGES = ("nl", "fr", "en", "de")
PICTURES = ROOT / "var/web/pictures"
SIZES = {"phone": (360, 740), "desktop": (1280, 900)}
pytestmark = [
    pytest.mark.skipif(not os.environ.get("TEST_WEB"), reason="make test-web runs these"),
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium; on Debian: apt-get install chromium"),
]


class Stage:
    """A browser, the server, and where a referral stands in it."""

    def __init__(self, chromium: Chromium, root: str, task: str, new: str, sent: str) -> None:
        self.chromium = chromium
        self.root = root
        self.people = 0
        self.places = {
            PRACTICE: ("referrer", ("/referrals", "/refer", "/refer/questionnaires/psychosocial-needs", "/refer/services?need=parenting&need=debt&place=1800&age=22",
                       "/refer/person?need=parenting&place=1800&service=svc-opvoedingssteun", sent)),
            HELPER: ("recipient", ("/inbox", new, task)),
            "org-aanmeldpunt": ("link-worker", ("/region", "/inbox")),
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


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    store = tmp_path_factory.mktemp("web") / "fhir.sqlite"
    running = RunningServer({"store": f"sqlite:///{store}", "enforce_access": True})
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
    with Chromium() as chromium:
        yield Stage(chromium, running.base.removesuffix("/fhir"), found[0], new, str(sent.answer.url.path))
    practice.http.close()
    helper.http.close()
    running.stop()


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core; make test-web fetches it")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_nothing_serious(language: str, size: str, stage: Stage) -> None:
    axe = AXE.read_text(encoding="utf-8")
    stage.chromium.size(*SIZES[size])
    stage.chromium.open(f"{stage.root}/language/{language}?to=/sign-in")
    for path in stage.pages():
        stage.chromium.run(axe)
        found: Any = stage.chromium.run("axe.run().then(found => found.violations)")
        serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
        assert serious == [], (path, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_fits_in_every_language(language: str, stage: Stage) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    stage.chromium.open(f"{stage.root}/language/{language}?to=/sign-in")
    for size, (width, height) in SIZES.items():
        stage.chromium.size(width, height)
        for path in stage.pages():
            name = path.strip("/").partition("?")[0].replace("/", "-")[:18]
            stage.chromium.picture(PICTURES / f"{name}-{language}-{size}.png")
            assert stage.chromium.run("document.documentElement.scrollWidth") <= width, (path, language)
            small = stage.chromium.run(
                "[...document.querySelectorAll('button, .button, summary, input:not([type=hidden]), select, nav a')]"
                ".filter(one => one.getClientRects().length && (one.closest('.choice') || one).getBoundingClientRect().height < 40)"
                ".map(one => one.outerHTML)"
            )
            assert small == [], (path, language)
            cut = stage.chromium.run(
                "[...document.querySelectorAll('main *')].filter(one => one.getClientRects().length && "
                f"one.getBoundingClientRect().right > {width} + 1).map(one => one.outerHTML.slice(0, 200))"
            )
            assert cut == [], (path, language)


def test_a_keyboard_changes_the_language_of_a_form_and_nothing_of_it_is_lost(stage: Stage) -> None:
    chromium = stage.chromium
    chromium.size(*SIZES["phone"])
    chromium.open(f"{stage.root}/language/en?to=/sign-in")
    stage.sign_in(PRACTICE, "referrer")
    chromium.open(f"{stage.root}/refer/questionnaires/psychosocial-needs?place=1800")
    chromium.run("document.getElementsByName('family.ask')[0].click()")
    chromium.act("document.getElementById('step').requestSubmit(document.querySelector('main [value=look]'))")
    chromium.run("document.getElementsByName('family.words')[0].value = 'Slaapt\\nniet'")
    chromium.press("Tab")
    for _ in range(10):
        chromium.press("Tab")
        if chromium.run("document.activeElement.lang") == "fr":
            break
    assert chromium.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    chromium.leave("Enter")
    assert chromium.run("document.documentElement.lang") == "fr"
    assert chromium.run("document.getElementsByName('family.words')[0].value") == "Slaapt\nniet"
    assert chromium.run("document.getElementsByName('family.ask')[0].checked")


def test_enter_in_a_field_goes_on_and_changes_no_language(stage: Stage) -> None:
    chromium = stage.chromium
    chromium.open(f"{stage.root}/language/de?to=/sign-in")
    stage.sign_in(PRACTICE, "referrer")
    chromium.open(f"{stage.root}/refer")
    assert chromium.run("document.querySelector('body > button').getClientRects().length") == 0
    for path, field, arrives in (
        ("/refer?need=parenting&place=1800", "place", "/refer/services"),
        ("/refer/questionnaires/quick-scan", "q2", "/refer/questionnaires/quick-scan"),
        ("/refer/person?need=parenting&place=1800&service=svc-opvoedingssteun", "given", "/refer/person"),
    ):
        chromium.open(stage.root + path)
        chromium.run(f"document.getElementById('{field}').focus()")
        chromium.leave("Enter")
        assert chromium.run("location.pathname + location.search").partition("?")[0] == arrives
        assert "in=" not in chromium.run("location.search")
        assert chromium.run("document.documentElement.lang") == "de"


def test_going_back_with_answers_needs_no_second_sending(stage: Stage) -> None:
    chromium = stage.chromium
    chromium.open(f"{stage.root}/language/nl?to=/sign-in")
    stage.sign_in(PRACTICE, "referrer")
    for place in stage.answered():
        if place == "answered/person":
            break
    chromium.back()
    assert chromium.run("location.pathname") == "/refer/services"
    assert chromium.run("document.getElementsByName('answers').length") > 0
    chromium.back()
    assert "/refer/questionnaires/" in chromium.run("location.pathname")
    assert chromium.run("document.querySelector('[name=need][value=debt]').checked")
    assert chromium.run("document.getElementsByName('answers').length") > 0
    assert chromium.run("document.getElementById('place').value") == "1800"


def test_a_keyboard_is_enough_to_answer_a_referral(stage: Stage) -> None:
    stage.chromium.size(*SIZES["desktop"])
    stage.sign_in(HELPER, "recipient")
    new = stage.places[HELPER][1][1]
    stage.chromium.open(stage.root + new)
    stage.chromium.press("Tab")
    assert stage.chromium.run("document.activeElement.className") == "skip"
    seen = []
    for _ in range(30):
        seen.append(stage.chromium.run("document.activeElement.textContent.trim()"))
        if stage.chromium.run("(document.activeElement.form?.action || '').endsWith('/accept')"):
            break
        stage.chromium.press("Tab")
    assert stage.chromium.run("document.activeElement.tagName") == "BUTTON", seen
    assert stage.chromium.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    stage.chromium.leave("Enter")
    assert stage.chromium.run("location.search") == "?done=accepted"


def test_a_referral_is_sent_in_a_browser_with_five_fields(stage: Stage) -> None:
    chromium = stage.chromium
    stage.sign_in(PRACTICE, "referrer")
    chromium.open(f"{stage.root}/refer")
    chromium.run("document.getElementById('place').value = 'Vilvoorde'")
    chromium.run("document.getElementById('need-social-connection').click()")
    chromium.act("document.querySelector('main form').requestSubmit()")
    chromium.run("document.querySelector('input[name=service]').click()")
    chromium.act("document.querySelector('main form').requestSubmit()")
    for name, text in {"family": "Peeters", "phone": "+32 2 000 00 00", "reason": "Kent weinig mensen"}.items():
        chromium.run(f"document.getElementById('{name}').value = '{text}'")
    chromium.run("document.getElementById('consented').click(); document.getElementById('way-spoken').click()")
    chromium.act("document.querySelector('main form').requestSubmit(document.querySelector('.bottom button'))")
    assert chromium.run("location.search") == "?done=sent"
    assert chromium.run("performance.getEntriesByType('navigation')[0].duration") < 3000
