"""Accounts: what opens them, what never does, and how they wait."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from argon2 import PasswordHasher

from fhir_server.access.accounts import Accounts, Credentials, disable_account, find_account, list_accounts
from fhir_server.access.principal import PLATFORM
from fhir_server.access.sessions import Sessions
from fhir_server.http.cookies import Cookies
from fhir_server.model.errors import Conflict, FhirError, Malformed, NotFound, Unauthenticated
from fhir_server.store.sqlite.store import SqliteStore

SECRET = b"s" * 32
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
STATED = {"name": "An@CAW.example", "organization": "Organization/caw", "roles": ["recipient"]}


class StillClock:
    def __init__(self) -> None:
        self.now = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.now


class Stage:
    """A store with an organisation, accounts and sessions, at a time that the test sets."""

    def __init__(self, folder: Path) -> None:
        self.clock = StillClock()
        self.store = SqliteStore(folder / "fhir.sqlite", self.clock)
        self.store.write(lambda uow: uow.put("Organization", "caw", 1, b"{}", (), "PUT"))
        self.accounts = Accounts(self.store, self.clock, SECRET, hasher=QUICK)
        self.sessions = Sessions(self.store, self.clock, SECRET, idle_minutes=30, hours=10)

    def add(self, **changed: Any) -> Credentials:
        return self.store.write(lambda uow: self.accounts.add(uow, STATED | changed, PLATFORM))

    def code(self, made: Credentials, ahead: int = 0) -> str:
        device = pyotp.parse_uri(made.totp_uri)
        assert isinstance(device, pyotp.TOTP)
        return device.at(self.clock.now // 1000 + ahead)

    def sign_in(self, password: str, code: str, name: str = "an@caw.example") -> Any:
        return asyncio.run(self.accounts.sign_in(name, password, code))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.store.close()


def test_password_and_code_together_open_an_account(stage: Stage) -> None:
    made = stage.add()
    account = stage.sign_in(made.password, stage.code(made), "AN@caw.EXAMPLE")
    assert account.principal.organization == "Organization/caw"
    assert account.principal.roles == {"recipient"}
    kept = stage.store.read(lambda snapshot: snapshot.record("account", "an@caw.example"))
    assert kept is not None
    assert b"argon2id" in kept.body
    secret = re.search(r"secret=(\w+)", made.totp_uri)
    assert secret is not None
    assert secret[1].encode() not in kept.body


def test_all_else_is_refused_in_the_same_words(stage: Stage) -> None:
    made = stage.add()
    words = set()
    for password, code, name in (
        ("wrong", stage.code(made), "an@caw.example"),
        (made.password, "000000", "an@caw.example"),
        (made.password, "", "an@caw.example"),
        (made.password, stage.code(made, 120), "an@caw.example"),
        ("x" * 5000, "٠٠٠٠٠٠", "nobody"),
    ):
        with pytest.raises(Unauthenticated) as refused:
            stage.sign_in(password, code, name)
        words.add(str(refused.value))
    assert len(words) == 1


def test_a_code_serves_once(stage: Stage) -> None:
    made = stage.add()
    code = stage.code(made)
    stage.sign_in(made.password, code)
    with pytest.raises(Unauthenticated):
        stage.sign_in(made.password, code)
    stage.clock.now += 30_000
    stage.sign_in(made.password, stage.code(made))


def test_failures_make_an_account_wait_ever_longer_and_a_success_ends_that(stage: Stage) -> None:
    made = stage.add()
    waits = []
    for _ in range(8):
        with pytest.raises(Unauthenticated):
            stage.sign_in("wrong", "000000")
        account = stage.store.read(lambda snapshot: find_account(snapshot, "an@caw.example"))
        assert account is not None
        waits.append(max(0, account.locked_until - stage.clock.now))
        if waits[-1]:
            with pytest.raises(Unauthenticated):  # not even the right ones help now
                stage.sign_in(made.password, stage.code(made))
            stage.clock.now += waits[-1] + 1
    assert waits[:4] == [0, 0, 0, 0]
    assert all(wait > 14_000 for wait in waits[4:])
    assert waits[4] < waits[5] < waits[6] < waits[7]
    stage.sign_in(made.password, stage.code(made))
    account = stage.store.read(lambda snapshot: find_account(snapshot, "an@caw.example"))
    assert account is not None
    assert (account.failures, account.locked_until) == (0, 0)


def test_many_guesses_at_once_are_no_way_around_the_wait(stage: Stage) -> None:
    stage.add()

    async def rush() -> list[Any]:
        guesses = (stage.accounts.sign_in("an@caw.example", f"guess {number}", "000000") for number in range(20))
        return await asyncio.gather(*guesses, return_exceptions=True)

    assert all(isinstance(answer, Unauthenticated) for answer in asyncio.run(rush()))
    account = stage.store.read(lambda snapshot: find_account(snapshot, "an@caw.example"))
    assert account is not None
    assert account.failures == 5  # the others were not judged at all


def test_a_person_changes_the_password(stage: Stage) -> None:
    made = stage.add()
    for new in ("short", "AN@caw.example", "x" * 201):
        with pytest.raises(Malformed):
            asyncio.run(stage.accounts.change_password("an@caw.example", made.password, new))
    with pytest.raises(Unauthenticated):
        asyncio.run(stage.accounts.change_password("an@caw.example", "wrong", "a long new password"))
    asyncio.run(stage.accounts.change_password("an@caw.example", made.password, "a long new password"))
    with pytest.raises(Unauthenticated):
        stage.sign_in(made.password, stage.code(made))
    stage.sign_in("a long new password", stage.code(made))


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"name": "a"}, Malformed),
        ({"name": "with space"}, Malformed),
        ({"roles": []}, Malformed),
        ({"roles": ["platform"]}, Malformed),
        ({"organization": "Organization/none"}, Malformed),
        ({"organization": "Patient/1"}, Malformed),
        ({"areas": ["Patient/1"]}, Malformed),
        ({}, Conflict),
    ],
)
def test_an_account_that_cannot_be_is_refused(changed: dict[str, Any], error: type[FhirError], stage: Stage) -> None:
    if not changed:
        stage.add()
    with pytest.raises(error):
        stage.add(**changed)


def test_disabling_and_resetting_end_sessions(stage: Stage) -> None:
    made = stage.add()
    first = asyncio.run(stage.sessions.open(stage.sign_in(made.password, stage.code(made))))
    assert asyncio.run(stage.sessions.find(first.token)) is not None
    again = stage.store.write(lambda uow: stage.accounts.reset(uow, "an@caw.example", PLATFORM))
    assert asyncio.run(stage.sessions.find(first.token)) is None
    stage.clock.now += 30_000
    second = asyncio.run(stage.sessions.open(stage.sign_in(again.password, stage.code(again))))
    stage.store.write(lambda uow: disable_account(uow, "an@caw.example", PLATFORM))
    assert asyncio.run(stage.sessions.find(second.token)) is None
    with pytest.raises(Unauthenticated):
        stage.sign_in(again.password, stage.code(again, 30))
    assert [account.active for account in stage.store.read(list_accounts)] == [False]
    with pytest.raises(NotFound):
        stage.store.write(lambda uow: disable_account(uow, "nobody", PLATFORM))


def test_a_session_ends_with_rest_with_the_day_and_by_signing_out(stage: Stage) -> None:
    made = stage.add()
    opened = asyncio.run(stage.sessions.open(stage.sign_in(made.password, stage.code(made))))
    for _ in range(30):
        stage.clock.now += 19 * 60_000
        found = asyncio.run(stage.sessions.find(opened.token))
        assert found is not None
        assert found.principal == opened.principal
    stage.clock.now += 31 * 60_000
    assert asyncio.run(stage.sessions.find(opened.token)) is None
    vouched = asyncio.run(stage.sessions.open(opened.principal))
    stage.clock.now += 29 * 60_000
    assert asyncio.run(stage.sessions.find(vouched.token)) is not None
    stage.clock.now += 31 * 60_000
    assert asyncio.run(stage.sessions.find(vouched.token)) is None
    third = asyncio.run(stage.sessions.open(opened.principal))
    asyncio.run(stage.sessions.close(third.token))
    assert asyncio.run(stage.sessions.find(third.token)) is None
    for wrong in ("", "x", "x" * 500, third.token[:-1] + "é"):
        assert asyncio.run(stage.sessions.find(wrong)) is None


def test_a_form_is_believed_only_from_a_page_of_its_session(stage: Stage) -> None:
    one = asyncio.run(stage.sessions.open(PLATFORM))
    other = asyncio.run(stage.sessions.open(PLATFORM))
    assert stage.sessions.is_own_form(one, one.csrf)
    for wrong in (other.csrf, "", "é", one.csrf[:-1], one.token):
        assert not stage.sessions.is_own_form(one, wrong)


@pytest.mark.parametrize("secure", [True, False])
def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(secure: bool) -> None:
    cookies = Cookies(secure=secure)
    written = cookies.session("abc")
    for word in ("HttpOnly", "SameSite=Lax", "Path=/"):
        assert word in written
    assert ("Secure" in written) == written.startswith("__Host-") == secure
    assert "Domain" not in written
    sent = {b"cookie": f"other=1; {written.partition(';')[0]}".encode()}
    assert cookies.session_in(sent) == "abc"
    assert cookies.attempt_in({b"cookie": cookies.attempt("s").partition(";")[0].encode()}) == "s"
    assert cookies.session_in({}) == ""
    assert "Max-Age=0" in cookies.no_session()
