"""$region-figures and its pages: counts that are right, small ones hidden, and nothing for who may not see them."""

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from fhir_server.interactions.operations.region_counts import rate, told, told_of
from tests.conftest import RunningServer
from tests.http.page_reader import HELPER, PRACTICE, Browser, load_region, refer

Asking = Callable[..., httpx.Response]
SENT = 11
"""Referrals: five run after a contact, one is completed, five wait."""
TOLD = 10


def signalled(base: str, number: int) -> None:
    """Tell of somebody who was not asked yet: no referral, as long as the person did not agree."""
    told = {
        "name": f"Signalled {number}",
        "phone": f"02 555 00 0{number}",
        "reason": "Alone",
        "need": "social-connection",
        "city": "Machelen",
    }
    parameter = [{"name": name, "valueString": text} for name, text in told.items()]
    body = {"resourceType": "Parameters", "parameter": [*parameter, {"name": "consent-pending", "valueBoolean": True}]}
    headers = {
        "X-Dev-Organization": f"Organization/{PRACTICE}",
        "X-Dev-Roles": "referrer",
        "Content-Type": "application/fhir+json",
    }
    answer = httpx.post(f"{base}/$refer", json=body, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    store = tmp_path_factory.mktemp("figures") / "fhir.sqlite"
    running = RunningServer({"store": f"sqlite:///{store}", "enforce_access": True})
    load_region(running.base)
    practice, helper = Browser(running.base), Browser(running.base)
    practice.sign_in(PRACTICE, "referrer")
    helper.sign_in(HELPER, "recipient")
    for number in range(SENT):
        refer(practice, family=f"Counted {number}")
    for number in range(6):
        helper.open("/inbox/new")
        helper.open(str(next(helper.page.all("li", class_="card")[0].iter("a")).get("href")))
        helper.submit("/accept")
        helper.submit("/step", step="contacted")
        if number == 5:
            helper.submit("/feedback", kind="outcome", words="Well", close="yes")
    for _ in range(6):
        practice.open("/refer/services?need=justice&place=1800")
    for number in range(6):
        signalled(running.base, number)
    practice.http.close()
    helper.http.close()
    yield running
    running.stop()


@pytest.fixture
def ask(region: RunningServer) -> Asking:
    def asking(role: str = "operator", **query: str) -> httpx.Response:
        headers = {"X-Dev-Roles": role, "X-Dev-Organization": "Organization/org-aanmeldpunt"}
        return httpx.get(f"{region.base}/$region-figures", params=query, headers=headers, timeout=30)

    return asking


def strata(report: Any, group: str) -> dict[str, Any]:
    found = next(one for one in report["group"] if one["code"]["coding"][0]["code"] == group)
    return {
        stratum["value"]["text"]: stratum["population"][0].get("count")
        for stratifier in found.get("stratifier", ())
        for stratum in stratifier["stratum"]
    } | {"": found["population"][0].get("count"), "score": (found.get("measureScore") or {}).get("value")}


def test_the_figures_are_those_of_what_happened(ask: Asking) -> None:
    answer = ask()
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert report["resourceType"] == "MeasureReport"
    assert strata(report, "referrals") == {"": TOLD, "parenting": TOLD, "Vilvoorde": TOLD, "score": None}
    assert strata(report, "answers") == {"": TOLD, "accepted": 5, "waiting": 5, "score": None}
    contact = strata(report, "first-contact")
    assert (contact[""], contact["within-2-days"]) == (5, 5)
    assert contact["score"] == 0
    assert strata(report, "unmet")["justice"] == 5
    assert strata(report, "outcomes") == {"": None, "score": None}  # one is too few to tell


def test_what_is_hidden_says_so_and_no_person_is_in_it(ask: Asking) -> None:
    answer = ask("link-worker")
    assert '"masked"' in answer.text
    for name in ("Counted", "Erdan", "Patient/", "Task/", "Organization/"):
        assert name not in answer.text
    validated = answer.json()
    assert all("population" in group for group in validated["group"])


def test_the_report_is_valid_r4(region: RunningServer, ask: Asking) -> None:
    headers = {"X-Dev-Roles": "operator", "Content-Type": "application/fhir+json"}
    judged = httpx.post(f"{region.base}/MeasureReport/$validate", content=ask().content, headers=headers).json()
    assert [one["diagnostics"] for one in judged["issue"] if one["severity"] in ("error", "fatal")] == []


@pytest.mark.parametrize("role", ["referrer", "recipient", "auditor", "person"])
def test_the_figures_are_for_operators_and_link_workers(role: str, ask: Asking, refused: Any) -> None:
    refused(ask(role), 403, "access-role")


@pytest.mark.parametrize(
    "query",
    [
        {"start": "2026"},
        {"start": "2020-01-01"},
        {"start": "2099-01-01"},
        {"area": "nowhere"},
        {"end": "x"},
        {"month": "1"},
    ],
)
def test_a_period_or_area_that_cannot_be_is_refused(query: dict[str, str], ask: Asking) -> None:
    answer = ask(**query)
    assert answer.status_code == 400, answer.text
    assert answer.json()["issue"][0]["diagnostics"]


def test_an_area_counts_its_own_people_only(ask: Asking) -> None:
    assert strata(ask(area="area-23088").json(), "referrals")[""] == TOLD
    elsewhere = ask(area="Location/area-23047").json()
    assert strata(elsewhere, "referrals") == {"": None, "score": None}  # nought is fewer than five too
    assert strata(elsewhere, "unmet") == {"": None, "score": None}
    assert strata(ask(start="2020-01-01", end="2020-12-31").json(), "referrals")[""] is None


@pytest.mark.parametrize(
    ("start", "end", "counted"),
    [
        ("2026-11-22", "2026-11-22", ("2026-11-01", "2026-11-30")),
        ("2026-10-01", "2026-11-01", ("2026-10-01", "2026-12-31")),
        ("2026-09-30", "2026-10-01", ("2026-01-01", "2026-12-31")),
        ("", "2024-02-29", ("2024-01-01", "2024-03-31")),
        ("9999-12-31", "9999-12-31", ("9999-12-01", "9999-12-31")),
    ],
)
def test_a_month_a_quarter_or_a_year_is_counted(start: str, end: str, counted: tuple[str, str], ask: Asking) -> None:
    period = ask(**({"start": start} if start else {}), end=end).json()["period"]
    assert (period["start"], period["end"]) == counted


def test_two_periods_or_areas_give_by_their_difference_what_is_told_anyway(ask: Asking) -> None:
    """A day less, or the region less one of its areas, left the one referral that made the difference."""
    today = ask().json()["date"][:10]
    first = f"{today[:8]}01"
    assert ask(start=first, end=today).json()["group"] == ask(start=first, end=first).json()["group"]
    numbers = [
        population.get("count")
        for query in ({}, {"area": "area-23088"}, {"start": today, "end": today})
        for group in ask(**query).json()["group"]
        for one in (group, *(stratum for by in group.get("stratifier", ()) for stratum in by["stratum"]))
        for population in one["population"]
    ]
    assert {number % 5 for number in numbers if number is not None} == {0}
    assert 0 not in numbers


def test_numbers_are_told_in_fives_and_small_ones_not_at_all() -> None:
    assert [told(number) for number in (0, 1, 4, 5, 9, 10, 11)] == [None, None, None, 5, 5, 10, 10]
    assert list(told_of({"a": 3, "b": 9, "c": 20, "d": 7, "": 30}).items()) == [("c", 20), ("b", 5), ("d", 5)]
    assert told_of({"a": 4, "b": 0}) == {}


def test_a_rate_gives_no_small_number_away() -> None:
    assert rate({"accepted": 31, "rejected": 12}) == 0.75
    assert rate({"accepted": 30, "rejected": 2}) is None
    assert rate({"accepted": 30}) is None  # nobody said no, or up to four did
    assert rate({"accepted": 3}) is None


def test_the_page_the_csv_and_the_report_say_the_same(region: RunningServer) -> None:
    browser = Browser(region.base)
    page = browser.sign_in("org-aanmeldpunt", "operator")
    assert page.answer.url.path == "/region"
    assert f"Referrals {TOLD}" in page.said()
    assert "Closed few" in page.said()
    links = {one.get("href") for one in page.all("a", class_="button")}
    sheet = browser.http.get(next(one for one in links if ".csv" in (one or "")) or "")
    assert sheet.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(sheet.text.removeprefix("\ufeff"))))
    assert ["Referrals", "By need", "Parenting support", str(TOLD)] in rows
    assert ["Closed", "", "", ""] in rows
    report = browser.http.get(next(one for one in links if ".json" in (one or "")) or "").json()
    assert strata(report, "referrals")[""] == TOLD
    assert browser.open("/region?start=2020-01-01").status == 400
    browser.http.close()
