"""What stands beside a referral, in a real browser: handing over, a signal, asking again (`make test-web`)."""

import os

import pytest

from tests.http.page_reader import HELPER
from tests.web.chromium import find_chromium
from tests.web.stage import SIZES, Stage

pytestmark = [
    pytest.mark.skipif(not os.environ.get("TEST_WEB"), reason="make test-web runs these"),
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium; on Debian: apt-get install chromium"),
]


def test_a_keyboard_is_enough_to_hand_over(stage: Stage) -> None:
    chromium = stage.chromium
    chromium.size(*SIZES["phone"])
    chromium.open(f"{stage.root}/language/nl?to=/sign-in")
    stage.sign_in(HELPER, "recipient")
    chromium.open(f"{stage.root}{stage.places[HELPER][1][2]}/hand-over")
    chromium.run("document.getElementById('reason').value = 'Zoekt eerst werk'")
    chromium.run("document.getElementById('find').value = 'Werkspoor'")
    chromium.run("document.getElementById('find').focus()")
    chromium.leave("Enter")
    assert chromium.run("document.getElementById('reason').value") == "Zoekt eerst werk"
    chromium.run("document.querySelector('input[value^=Organization]').focus()")
    chromium.press(" ")
    chromium.run("document.getElementById('way-spoken').focus()")
    chromium.press(" ")
    chromium.press("Tab")
    assert chromium.run("document.activeElement.value") == "send"
    chromium.leave("Enter")
    assert chromium.run("location.search") == "?done=handed-over"


def test_a_signal_is_answered_in_a_browser(stage: Stage) -> None:
    chromium = stage.chromium
    stage.sign_in("org-aanmeldpunt", "link-worker")
    chromium.open(stage.root + stage.beside.taken)
    assert "Yvonne" in chromium.run("document.querySelector('h1').textContent")
    chromium.run("document.getElementById('way-spoken').click()")
    chromium.act("document.querySelector('form[action$=\"/agreed\"] button').click()")
    assert chromium.run("location.search") == "?done=agreed"
    chromium.act("document.querySelector('main .plain a').click()")
    assert "/tasks/" in chromium.run("location.pathname")


def test_asking_early_needs_a_tick_and_asking_in_time_stores_the_answers(stage: Stage) -> None:
    chromium = stage.chromium
    stage.sign_in(HELPER, "recipient")
    chromium.open(stage.root + stage.beside.later)
    chromium.run("document.querySelector('form[action$=accept] button').click()")
    assert chromium.run("document.querySelector('#early:invalid') !== null")  # the browser asks for the tick
    chromium.run("document.getElementById('early').click()")
    chromium.act("document.querySelector('form[action$=accept] button').click()")
    assert chromium.run("location.search") == "?done=accepted"
    chromium.open(f"{stage.root}{stage.beside.asked}/questions")
    chromium.run("document.querySelector('fieldset input').click()")
    chromium.run("document.querySelectorAll('input[inputmode=decimal]').forEach(one => one.value = '7')")
    chromium.act("document.querySelector('main form').requestSubmit(document.querySelector('[value=go-on]'))")
    assert chromium.run("location.search") == "?done=told"
