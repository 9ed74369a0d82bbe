"""Every text is there in every language, with the same values in it, and is used; every page is sound HTML in each of them."""

import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.http.pages.texts import LANGUAGES, choose, messages
from tests.conftest import RunningServer
from tests.http.page_checks import check_page
from tests.http.page_reader import HELPER, PRACTICE, Browser, refer, region_in

PAGES = Path(__file__).parents[2] / "fhir_server/http/pages"
SOURCES = "\n".join(
    file.read_text(encoding="utf-8") for pattern in ("*.py", "templates/*.html") for file in sorted(PAGES.glob(pattern))
)
WHOLE = re.compile(r"""(?:\bt|texts|self|has|_texts)[(\[]\s*f?["']([a-z0-9.-]+)["']""")
BUILT = re.compile(r'(?:\bt|texts|has)\(\s*"([a-z0-9.-]+\.)" ~|f"([a-z0-9.-]+\.)\{|"((?:answer|waited|status)\.)"')
CHOSEN = re.compile(r'"([a-z-]+\.[a-z.-]+)" if \w+(?:\.\w+)* else "([a-z-]+\.[a-z.-]+)"')


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_missing_or_empty(language: str) -> None:
    assert messages(language).keys() == messages("en").keys()
    assert [name for name, text in messages(language).items() if not text.strip()] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_has_the_same_values_in_every_language(language: str) -> None:
    def values(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    for name, text in messages(language).items():
        assert values(text) == values(messages("en")[name]), name


def test_every_text_is_used_and_every_text_that_is_used_is_there() -> None:
    whole = set(WHOLE.findall(SOURCES)) | {name for pair in CHOSEN.findall(SOURCES) for name in pair}
    prefixes = tuple({name for found in BUILT.findall(SOURCES) for name in found if name})
    known = set(messages("en"))
    assert {name for name in whole if not name.endswith(".")} - known == set()
    assert {name for name in known - whole if not name.startswith(prefixes)} == set()
    assert [prefix for prefix in prefixes if not any(name.startswith(prefix) for name in known)] == []


@pytest.mark.parametrize(
    ("chosen", "accepted", "expected"),
    [
        ("fr", "de", "fr"),
        ("xx", "de-AT,de;q=0.9,en;q=0.8", "de"),
        ("", "pl, en;q=0.3, fr;q=0.7", "fr"),
        ("", "", "nl"),
        ("", "*;q=oops,;;,en;q=zero", "en"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_best_accepted(chosen: str, accepted: str, expected: str) -> None:
    assert choose(chosen, accepted) == expected


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with region_in(tmp_path_factory.mktemp("words"), enforce_access=True) as running:
        yield running


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_sound_and_accessible(language: str, region: RunningServer) -> None:
    practice, helper, worker = (Browser(region.base, language) for _ in range(3))
    try:
        check_page(practice.open("/sign-in"), language)
        check_page(practice.sign_in(PRACTICE, "referrer"), language)
        for path in ("/refer", "/refer/services?need=parenting&place=1800&exclusions=yes", "/refer/services"):
            check_page(practice.open(path), language)
        check_page(practice.open("/refer/person?need=parenting&place=1800&service=svc-opvoedingssteun"), language)
        check_page(practice.submit("/refer/person", button="send"), language)
        check_page(refer(practice, family=f"Demir {language}", reason=f"For {language}"), language)
        check_page(practice.open("/referrals"), language)
        check_page(helper.sign_in(HELPER, "recipient"), language)
        check_page(helper.open("/inbox/new"), language)
        card = next(one for one in helper.page.all("li", class_="card") if f"For {language}" in "".join(one.itertext()))
        check_page(helper.open(str(next(card.iter("a")).get("href"))), language)
        check_page(helper.submit("/accept"), language)
        check_page(helper.submit("/step", step="support-started", words="x"), language)
        check_page(helper.submit("/feedback", kind="outcome", words="y"), language)
        check_page(helper.open("/tasks/none"), language)
        check_page(worker.sign_in("org-aanmeldpunt", "link-worker"), language)
        check_page(worker.open("/region"), language)
        check_page(worker.open("/region?start=never"), language)
    finally:
        for browser in (practice, helper, worker):
            browser.http.close()


def test_a_language_is_kept_once_chosen_and_leads_back(region: RunningServer) -> None:
    browser = Browser(region.base, "en")
    browser.open("/sign-in")
    page = browser.click("Français")
    assert page.answer.url.path == "/sign-in"
    assert page.root.get("lang") == "fr"
    assert browser.open("/sign-in").root.get("lang") == "fr"
    for elsewhere in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        answer = browser.http.get("/language/de", params={"to": elsewhere})
        assert answer.headers["location"] == "/"
    browser.http.close()
