"""Forms that are not ours, sessions that are over, and text that would be a script or a formula."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pyotp
import pytest

from fhir_server.access.accounts import Accounts
from fhir_server.access.keys import KeyFolder
from fhir_server.access.principal import Principal
from fhir_server.app import build_engine
from fhir_server.http.pages.region import cell
from fhir_server.model.clock import SystemClock
from fhir_server.settings import Settings
from tests.conftest import RunningServer
from tests.http.page_checks import colour, contrast
from tests.http.page_reader import HELPER, PRACTICE, Browser, refer, region_in
from tests.http.smart_client import prepare

SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}"
OPERATOR = Principal(roles=frozenset({"operator"}), agent="test")


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with region_in(tmp_path_factory.mktemp("safety"), enforce_access=True) as running:
        yield running


@pytest.fixture
def browser(region: RunningServer) -> Iterator[Browser]:
    made = Browser(region.base)
    yield made
    made.http.close()


def test_text_of_people_is_shown_and_never_obeyed(region: RunningServer, browser: Browser) -> None:
    browser.sign_in(PRACTICE, "referrer")
    page = refer(browser, given=SCRIPT, family=SCRIPT, reason=SCRIPT)
    helper = Browser(region.base)
    helper.sign_in(HELPER, "recipient")
    card = next(one for one in helper.page.all("li", class_="card") if "alert(1)" in "".join(one.itertext()))
    helper.open(str(next(card.iter("a")).get("href")))
    helper.submit("/accept")
    helper.submit("/step", step="contacted", words=SCRIPT)
    seen = [page, helper.submit("/feedback", kind="progress", words=SCRIPT), helper.open("/inbox")]
    seen.append(browser.open(str(page.answer.url.path)))
    seen.append(browser.open("/referrals"))
    seen.append(browser.open(f"/refer?place={quote(SCRIPT[:70])}"))
    helper.http.close()
    for one in seen:
        assert not one.all("script")
        assert not one.all("img")
        assert SCRIPT in "".join(one.root.itertext()) or one.all("input", name="place", value=SCRIPT[:70])


@pytest.mark.parametrize("token", ["", "0" * 64, None])
def test_a_form_without_our_token_changes_nothing(token: str | None, browser: Browser) -> None:
    browser.sign_in(PRACTICE, "referrer")
    form: dict[str, str] = {"family": "Forged", "do": "send"} | ({} if token is None else {"csrf": token})
    for path in ("/refer/person", "/sign-out", "/referrals/x/withdraw", "/tasks/x/accept"):
        answer = browser.http.post(path, data=form)
        assert answer.status_code == 403, path
        assert "no longer valid" in answer.text
    assert browser.open("/referrals").status == 200
    stranger = httpx.post(
        f"{browser.root}/sign-in", data={"organization": f"Organization/{HELPER}", "role": "recipient"}
    )
    assert stranger.status_code == 403


def test_a_form_from_another_site_changes_nothing_even_with_the_token(browser: Browser) -> None:
    browser.sign_in(PRACTICE, "referrer")
    csrf = browser.page.form("/sign-out").find("input").get("value")
    for origin in ("https://evil.example", "http://127.0.0.1:1"):
        answer = browser.http.post("/sign-out", data={"csrf": csrf}, headers={"Origin": origin})
        assert answer.status_code == 403
    assert browser.http.post("/sign-out", data={"csrf": csrf}).status_code == 303


def test_who_has_not_signed_in_is_asked_and_led_back(browser: Browser) -> None:
    asked = browser.open("/inbox/closed")
    assert asked.answer.url.path == "/sign-in"
    assert (
        browser.submit("/sign-in", organization=f"Organization/{HELPER}", role="recipient").answer.url.path
        == "/inbox/closed"
    )
    browser.http.cookies.set("session", "gone")
    assert "Your session has ended" in browser.open("/inbox").said()
    assert browser.http.post("/tasks/x/accept", data={}).headers["location"].startswith("/sign-in")


def test_signing_out_ends_the_session_for_good(browser: Browser) -> None:
    browser.sign_in(PRACTICE, "referrer")
    kept = browser.http.cookies["session"]
    assert "You have signed out." in browser.submit("/sign-out").said()
    browser.http.cookies.set("session", kept)
    assert browser.open("/referrals").answer.url.path == "/sign-in"


def test_too_large_and_broken_forms_are_refused(browser: Browser) -> None:
    browser.sign_in(PRACTICE, "referrer")
    assert browser.http.post("/refer/person", content=b"a=" + b"x" * 300_000).status_code == 413
    assert browser.http.post("/refer/person", content=b"&".join(b"a=%d" % n for n in range(1100))).status_code == 400
    csrf = browser.page.form("/sign-out").find("input").get("value")
    for field in ({"reason": "x" * 501}, {"family": "\x00"}):
        assert browser.http.post("/refer/person", data={"csrf": csrf, "do": "send"} | field).status_code == 422


def test_development_choices_are_for_this_machine_only(browser: Browser) -> None:
    browser.open("/sign-in")
    form = {
        "csrf": browser.page.form("/sign-in").find("input").get("value"),
        "organization": "Organization/x",
        "role": "operator",
    }
    assert browser.http.post("/sign-in", data=form, headers={"Host": "evil.example"}).status_code == 403
    for bad in ({"role": "platform"}, {"organization": "Patient/1"}):
        assert browser.http.post("/sign-in", data=form | bad).status_code == 400


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "  =1"])
def test_no_cell_of_a_file_begins_a_formula(text: str) -> None:
    written = io.StringIO()
    csv.writer(written).writerow([cell(text), cell("Vilvoorde")])
    assert next(csv.reader(io.StringIO(written.getvalue()))) == [f"'{text}", "Vilvoorde"]


def test_the_colours_can_be_told_apart() -> None:
    for one, other in (
        ("ink", "ground"),
        ("soft", "ground"),
        ("soft", "paper"),
        ("accent", "ground"),
        ("accent-dark", "tint"),
        ("late", "late-tint"),
    ):
        assert contrast(colour(one), colour(other)) >= 4.5, (one, other)
    assert contrast("#fff", colour("accent")) >= 4.5
    assert contrast("#7a878e", "#ffffff") >= 3  # the edge of a field


def test_pages_can_be_left_out(fresh_server: Any) -> None:
    server = fresh_server(pages=False, publish_artifacts=False)
    root = server.base.removesuffix("/fhir")
    assert httpx.get(f"{root}/sign-in").status_code == 404
    assert httpx.get(root).headers["location"] == "/fhir/metadata"


def test_systems_and_people_find_the_front_door(region: RunningServer) -> None:
    root = region.base.removesuffix("/fhir")
    assert httpx.get(root).headers["location"].endswith("/fhir/metadata")
    assert httpx.get(root, headers={"Accept": "text/html"}).headers["location"] == "/sign-in"


def test_an_account_with_a_device_signs_in_and_sees_no_warning(tmp_path: Path, fresh_server: Any) -> None:
    settings = prepare(tmp_path)
    engine = build_engine(Settings(**settings))
    accounts = Accounts(engine.store, engine.clock, KeyFolder(tmp_path / "keys", SystemClock()).secret())
    given = {"name": "dora@example.org", "organization": "Organization/caw", "roles": ["recipient"]}
    credentials = engine.store.write(lambda uow: accounts.add(uow, given, OPERATOR))
    engine.store.close()
    browser = Browser(fresh_server(**settings).base)
    page = browser.open("/sign-in")
    assert "Development mode" not in page.text
    refused = browser.submit("/sign-in", name="dora@example.org", password="wrong", code="000000")
    assert refused.status == 401
    assert "Name, password or code is not right" in refused.said()
    code = pyotp.TOTP(pyotp.parse_uri(credentials.totp_uri).secret).now()
    page = browser.submit("/sign-in", name="Dora@example.org", password=credentials.password, code=code)
    assert page.answer.url.path == "/inbox"
    assert "CAW" in "".join(page.all("header")[0].itertext())
    cookie = next(one for one in browser.http.cookies.jar if one.name == "session")
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert browser.open("/sign-in/with?provider=https://evil.example").status in (400, 403)
    assert browser.open("/sign-in/return?state=x&code=y").status in (401, 403)
    browser.http.close()
