"""The pages in a real browser: axe finds nothing serious, nothing is cut off on a phone, a keyboard is enough (`make test-web`)."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.http.page_reader import HELPER, PRACTICE
from tests.web.chromium import find_chromium
from tests.web.stage import SIZES, Stage

ROOT = Path(__file__).parents[2]
AXE = ROOT / "var/web/node_modules/axe-core/axe.min.js"
LANGUAGES = ("nl", "fr", "en", "de")
PICTURES = ROOT / "var/web/pictures"
pytestmark = [
    pytest.mark.skipif(not os.environ.get("TEST_WEB"), reason="make test-web runs these"),
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium; on Debian: apt-get install chromium"),
]


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
            place, _, part = path.strip("/").partition("?")[0].partition("/")
            name = f"{place}-{part.partition('/')[0][:14]}-{part.partition('/')[2]}".strip("-")
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
