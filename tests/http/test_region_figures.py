"""$region-figures and its pages: counts that are right, small ones hidden, and nothing for who may not see them."""

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from fhir_server.interactions.operations.region_counts import rate, suppressed, told
from tests.conftest import RunningServer
from tests.http.page_reader import HELPER, PRACTICE, Browser, load_region, refer

Asking = Callable[..., httpx.Response]
SENT = 11
"""Referrals: five run after a contact, one is completed, five wait."""


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
    assert strata(report, "referrals") == {"": SENT, "parenting": SENT, "Vilvoorde": SENT, "score": None}
    assert strata(report, "answers") == {"": SENT, "accepted": 6, "waiting": 5, "score": 1.0}
    contact = strata(report, "first-contact")
    assert (contact[""], contact["within-2-days"]) == (6, 6)
    assert contact["score"] == 0
    assert strata(report, "unmet")["justice"] == 6
    assert strata(report, "outcomes") == {"": None, "completed": None, "score": None}  # one is too few to tell


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
    assert strata(ask(area="area-23088").json(), "referrals")[""] == SENT
    elsewhere = ask(area="Location/area-23047").json()
    assert strata(elsewhere, "referrals") == {"": 0, "score": None}
    assert strata(elsewhere, "unmet") == {"": 0, "score": None}
    assert strata(ask(start="2020-01-01", end="2020-12-31").json(), "referrals")[""] == 0


@pytest.mark.parametrize(
    ("group", "shown"),
    [
        ({"a": 3, "b": 9, "c": 20}, {"a": None, "b": None, "c": 20}),
        ({"a": 3, "b": 2, "c": 20}, {"a": None, "b": None, "c": 20}),
        ({"a": 5, "b": 0}, {"a": 5, "b": 0}),
        ({"a": 4, "b": 0}, {"a": None, "b": 0}),
        ({}, {}),
    ],
)
def test_a_small_number_does_not_follow_from_the_others(group: dict[str, int], shown: dict[str, Any]) -> None:
    assert suppressed(group) == shown


def test_a_rate_gives_no_small_number_away() -> None:
    assert rate({"accepted": 30, "rejected": 10}) == 0.75
    assert rate({"accepted": 30, "rejected": 2}) is None
    assert rate({"accepted": 30, "waiting": 2}) is None  # the accepted are hidden with the waiting
    assert rate({"accepted": 3}) is None
    assert [told(number) for number in (0, 1, 4, 5)] == [0, None, None, 5]


def test_the_page_the_csv_and_the_report_say_the_same(region: RunningServer) -> None:
    browser = Browser(region.base)
    page = browser.sign_in("org-aanmeldpunt", "operator")
    assert page.answer.url.path == "/region"
    assert f"Referrals {SENT}" in page.said()
    assert "100 % of the answers were yes" in page.said()
    links = {one.get("href") for one in page.all("a", class_="button")}
    sheet = browser.http.get(next(one for one in links if ".csv" in (one or "")) or "")
    assert sheet.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(sheet.text.removeprefix("\ufeff"))))
    assert ["Referrals", "By need", "Parenting support", str(SENT)] in rows
    assert ["Closed", "By outcome", "Completed", ""] in rows
    report = browser.http.get(next(one for one in links if ".json" in (one or "")) or "").json()
    assert strata(report, "referrals")[""] == SENT
    assert browser.open("/region?start=2020-01-01").status == 400
    browser.http.close()
