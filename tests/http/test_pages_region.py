"""The page of the region: a period is chosen from a list, and nothing is drawn that is not told."""

from collections.abc import Iterator

import pytest

from fhir_server.http.pages.periods import days_of, of_days
from fhir_server.model.errors import Malformed
from tests.conftest import RunningServer
from tests.http.page_checks import check_page
from tests.http.page_reader import PRACTICE, Browser, load_region, refer

SVG = "{http://www.w3.org/2000/svg}svg"
TOLD = 6
"""Referrals of this quarter: five are told."""


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    store = tmp_path_factory.mktemp("periods") / "fhir.sqlite"
    running = RunningServer({"store": f"sqlite:///{store}", "enforce_access": True, "publish_artifacts": False})
    load_region(running.base)
    practice = Browser(running.base)
    practice.sign_in(PRACTICE, "referrer")
    for number in range(TOLD):
        refer(practice, family=f"Counted {number}")
    practice.http.close()
    yield running
    running.stop()


@pytest.fixture
def worker(region: RunningServer) -> Iterator[Browser]:
    browser = Browser(region.base)
    browser.sign_in("org-aanmeldpunt", "link-worker")
    yield browser
    browser.http.close()


@pytest.mark.parametrize(
    ("period", "start", "end", "last"),
    [
        ("2026-11", "2026-11-01", "2026-11-28", "2026-11-30"),
        ("2026-02", "2026-02-01", "2026-02-28", "2026-02-28"),
        ("2026-Q1", "2026-01-01", "2026-03-28", "2026-03-31"),
        ("2026-Q4", "2026-10-01", "2026-12-28", "2026-12-31"),
        ("2025", "2025-01-01", "2025-12-28", "2025-12-31"),
    ],
)
def test_a_period_of_the_list_asks_for_itself(period: str, start: str, end: str, last: str) -> None:
    assert days_of(period) == [("start", start), ("end", end)]
    assert of_days(start, last) == period


@pytest.mark.parametrize("period", ["", "2026-13", "2026-Q5", "0000", "2026-11-22", "2026-11 ", "١٢٣٤"])
def test_anything_else_is_no_period(period: str) -> None:
    with pytest.raises(Malformed):
        days_of(period)


def test_months_quarters_and_years_are_chosen_from_one_list(worker: Browser) -> None:
    page = worker.open("/region")
    (chosen,) = [one for one in page.all("option") if one.get("selected") is not None]
    assert "Q" in str(chosen.get("value"))  # the running quarter
    assert [one.get("label") for one in page.all("optgroup")] == ["Quarter", "Month", "Year"]
    assert not page.all("input", type="date")
    for one in page.all("option"):
        value = str(one.get("value"))
        seen = worker.open(f"/region?period={value}")
        assert seen.status == 200
        assert [two.get("value") for two in seen.all("option") if two.get("selected") is not None] == [value]
    older = worker.open("/region?period=2019-05")
    assert "May 2019" in [one.text for one in older.all("option") if one.get("selected") is not None]


def test_the_list_gives_what_the_report_counted(worker: Browser) -> None:
    worker.open("/region")
    newest = worker.page.all("optgroup", label="Year")[0].find("option").get("value")
    page = worker.submit("/region", period=newest)
    assert page.answer.url.query.decode() == f"period={newest}"
    assert "Referrals 5" in page.said()
    report = worker.http.get(str(page.all("a", class_="button")[1].get("href"))).json()
    assert report["period"] == {"start": f"{newest}-01-01", "end": f"{newest}-12-31"}
    empty = worker.open("/region?period=2019")
    assert "Referrals few" in empty.said()
    assert not empty.all(SVG)


def test_a_bar_is_drawn_only_beside_a_number(worker: Browser) -> None:
    page = worker.open("/region")
    rows = [one for one in page.all("tr") if one.find("td") is not None]
    assert rows
    for row in rows:
        drawn, told = list(row.iter(SVG)), "".join(row.find("td").itertext()).strip()  # type: ignore[union-attr]  # asked above
        assert told.isdecimal() == bool(drawn)
        assert not told.isdecimal() or int(told) % 5 == 0


@pytest.mark.parametrize(
    ("language", "why"), [("nl", "overlappen"), ("fr", "chevauchent"), ("en", "overlap"), ("de", "überschneiden")]
)
def test_the_page_says_why_a_period_is_whole(language: str, why: str, region: RunningServer) -> None:
    browser = Browser(region.base, language)
    browser.sign_in("org-aanmeldpunt", "link-worker")
    page = browser.open("/region")
    check_page(page, language)
    assert why in page.said()
    refused = browser.open("/region?period=tomorrow")
    assert refused.status == 400
    check_page(refused, language)
    assert refused.all("select", id="period")
    browser.http.close()
