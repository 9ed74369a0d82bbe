"""The example region in protected mode, with accounts that sign in with password and device, and what a practice's own software sends."""

from pathlib import Path
from typing import Any

import pyotp

from fhir_server.access.accounts import Accounts
from fhir_server.access.keys import KeyFolder
from fhir_server.access.principal import Principal
from fhir_server.app import build_engine
from fhir_server.interactions.context import Engine
from fhir_server.interactions.perform import perform
from fhir_server.interactions.request import Request
from fhir_server.model.clock import SystemClock
from fhir_server.model.codec import decode_stored, encode
from fhir_server.settings import Settings
from tests.conftest import RunningServer
from tests.http.page_reader import HELPER, PRACTICE, ROOT, Browser
from tests.http.smart_client import prepare

POINT = "org-aanmeldpunt"
PEOPLE = {
    "practice": (PRACTICE, "referrer"),
    "helper": (HELPER, "recipient"),
    "worker": (POINT, "link-worker"),
}
OPERATOR = Principal(roles=frozenset({"operator"}), agent="test")
REFERRER = Principal(f"Organization/{PRACTICE}", frozenset({"referrer"}), agent="test")


class ProtectedRegion:
    """A running server; what a practice refers by `$refer` goes past HTTP, since it needs no page."""

    def __init__(self, folder: Path) -> None:
        settings = prepare(folder)
        self._engine: Engine = build_engine(Settings(**settings))
        for file in sorted((ROOT / "examples/region").glob("*.json")):
            self._ask("POST", "", file.read_bytes(), OPERATOR)
        scan = ROOT / "profiles/questionnaires/Questionnaire-quality-of-life.json"
        self._ask("PUT", "Questionnaire/quality-of-life", scan.read_bytes(), OPERATOR)
        self._accounts = Accounts(
            self._engine.store, self._engine.clock, KeyFolder(folder / "keys", SystemClock()).secret()
        )
        self._added = 0
        self.server = RunningServer(settings)

    def browser(self, person: str, language: str = "en") -> Browser:
        """Return a browser in which one of PEOPLE has signed in, with an account of its own: a code of a device serves once."""
        organization, role = PEOPLE[person]
        self._added += 1
        name = f"{person}-{self._added}@example.org"
        given = {"name": name, "organization": f"Organization/{organization}", "roles": [role]}
        credentials = self._engine.store.write(lambda uow: self._accounts.add(uow, given, OPERATOR))
        browser = Browser(self.server.base, language)
        browser.open("/sign-in")
        code = pyotp.TOTP(pyotp.parse_uri(credentials.totp_uri).secret).now()
        page = browser.submit("/sign-in", name=name, password=credentials.password, code=code)
        assert page.status == 200, page.said()
        browser.clicks = 0
        return browser

    def refer(self, *parameter: dict[str, Any]) -> Any:
        """Refer somebody as the software of the practice does; return the answer."""
        body = encode({"resourceType": "Parameters", "parameter": list(parameter)})
        return self._ask("POST", "$refer", body, REFERRER)

    def read(self, path: str, principal: Principal = REFERRER) -> Any:
        """Return what stands in the store, as the practice sees it."""
        address, _, query = path.partition("?")
        pairs = tuple((name, value) for name, _, value in (one.partition("=") for one in query.split("&")) if name)
        result = perform(self._engine, Request("GET", address, pairs, principal=principal))
        return decode_stored(result.body or b"null")

    def stop(self) -> None:
        """End the server."""
        self.server.stop()
        self._engine.store.close()

    def _ask(self, method: str, path: str, body: bytes, principal: Principal) -> Any:
        request = Request(
            method,
            path,
            body=body,
            content_type="application/fhir+json",
            principal=principal,
            returns="representation",
        )
        return decode_stored(perform(self._engine, request).body or b"null")


def said(name: str, text: str, kind: str = "valueString") -> dict[str, Any]:
    """Return a parameter of `$refer`."""
    return {"name": name, kind: text}


def short(name: str, reason: str, **more: str) -> list[dict[str, Any]]:
    """Return the parameters that every referral here has."""
    found = {"name": name, "phone": "02 555 01 09", "city": "Vilvoorde", "reason": reason} | more
    return [said(key.replace("_", "-"), text) for key, text in found.items()]
