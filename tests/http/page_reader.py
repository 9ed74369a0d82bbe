"""A browser without scripts: it keeps cookies, follows links, fills in forms as they stand in the page, and counts clicks."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin
from xml.etree.ElementTree import Element

import html5lib
import httpx

from tests.conftest import RunningServer

ROOT = Path(__file__).parents[2]
PRACTICE, HELPER, OTHER = "org-praktijk-bea", "org-gezinskompas", "org-werkspoor"


class Page:
    """One answer, parsed by the rules of HTML: a document with a parse error is refused."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.status = answer.status_code
        self.text = answer.text
        parser = html5lib.HTMLParser(namespaceHTMLElements=False, strict=True)
        self.root: Element = parser.parse(answer.text)

    def all(self, tag: str, /, **attributes: str) -> list[Element]:
        return [
            one
            for one in self.root.iter(tag)
            if all(one.get(key.rstrip("_").replace("_", "-")) == value for key, value in attributes.items())
        ]

    def said(self) -> str:
        """Return the text of the main part, blanks folded."""
        return " ".join("".join(self.all("main")[0].itertext()).split())

    def form(self, action: str) -> Element:
        return next(one for one in self.root.iter("form") if (one.get("action") or "").endswith(action))


class Browser:
    """Walks through the pages of one server."""

    def __init__(self, base: str, language: str = "en") -> None:
        self.root = base.removesuffix("/fhir")
        self.http = httpx.Client(
            base_url=self.root, headers={"Accept": "text/html", "Accept-Language": language}, timeout=30
        )
        self.clicks = 0
        self.page: Any = None

    def open(self, path: str) -> Page:
        return self._arrive(self.http.get(path))

    def click(self, text: str) -> Page:
        """Follow the first link with this text."""
        link = next(one for one in self.page.all("a") if text in " ".join("".join(one.itertext()).split()))
        self.clicks += 1
        return self.open(urljoin(str(self.page.answer.url), link.get("href")))

    def submit(self, action: str, button: str = "", **filled: Any) -> Page:
        """Send a form with what stands in it, some of it filled in; `button` is the value of the one that is pressed."""
        form = self.page.form(action)
        pressed = [("do", button)] if button else []
        return self._send(str(form.get("method")), form.get("action") or "", [*_filled(form, filled), *pressed])

    def press(self, formaction: str, /, **filled: Any) -> Page:
        """Press the button that sends its form to an address of its own."""
        button = next(one for one in self.page.all("button") if one.get("formaction") == formaction)
        named, forms = button.get("form"), self.page.all("form")
        form = next(one for one in forms if (one.get("id") == named if named else button in one.iter()))
        pressed = [(button.get("name") or "", button.get("value") or "")] if button.get("name") else []
        method = button.get("formmethod") or str(form.get("method"))
        return self._send(method, formaction, [*_filled(form, filled), *pressed])

    def speak(self, language: str, /, **filled: Any) -> Page:
        """Press the button of a language on a page that is filled in."""
        step = next(one.get("formaction") for one in self.page.all("button", lang=language))
        return self.press(step, **filled)

    def sign_in(self, organization: str, role: str) -> Page:
        self.open("/sign-in")
        return self.submit("/sign-in", organization=f"Organization/{organization}", role=role)

    def _send(self, method: str, action: str, pairs: list[tuple[str, str]]) -> Page:
        self.clicks += 1
        if method == "get":
            return self.open(f"{action}?{urlencode(pairs)}")
        headers = {"Origin": self.root, "Content-Type": "application/x-www-form-urlencoded"}
        return self._arrive(self.http.post(action, content=urlencode(pairs), headers=headers))

    def _arrive(self, answer: httpx.Response) -> Page:
        while answer.status_code in (302, 303, 307):
            answer = self.http.get(answer.headers["location"])
        self.page = Page(answer)
        return self.page


def _filled(form: Element, filled: dict[str, Any]) -> list[tuple[str, str]]:
    pairs = [pair for pair in _fields(form) if pair[0] not in filled]
    for name, value in filled.items():
        pairs += [(name.rstrip("_").replace("__", "-"), one) for one in (value if isinstance(value, list) else [value])]
    return pairs


def _fields(form: Element) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for one in form.iter():
        name, kind = one.get("name") or "", one.get("type")
        if not name or one.tag == "button":
            continue
        if one.tag == "select":
            options = list(one.iter("option"))
            chosen = [option for option in options if option.get("selected") is not None] or options[:1]
            found += [(name, option.get("value") or "") for option in chosen]
        elif one.tag == "textarea":
            found.append((name, one.text or ""))
        elif kind not in ("checkbox", "radio") or one.get("checked") is not None:
            found.append((name, one.get("value") or ""))
    return found


def load_region(base: str) -> None:
    """Put the example region on a server."""
    with httpx.Client(headers={"X-Dev-Roles": "operator", "Content-Type": "application/fhir+json"}, timeout=60) as http:
        for file in sorted((ROOT / "examples/region").glob("*.json")):
            answer = http.post(base, content=file.read_bytes())
            assert answer.status_code == 200, answer.text


@contextmanager
def region_in(folder: Path, **settings: Any) -> Iterator[RunningServer]:
    """A server with settings of its own, on a fresh file in a folder, with the example region."""
    running = RunningServer({"store": f"sqlite:///{folder / 'fhir.sqlite'}", **settings})
    try:
        load_region(running.base)
        yield running
    finally:
        running.stop()


@contextmanager
def signed_in(region: RunningServer, organization: str, role: str) -> Iterator[Browser]:
    """A browser in which somebody of an organisation has signed in (development mode)."""
    browser = Browser(region.base)
    try:
        browser.sign_in(organization, role)
        yield browser
    finally:
        browser.http.close()


def refer(browser: Browser, **person: Any) -> Page:
    """Refer somebody for parenting support, from the first page to the last; return the page that says so."""
    browser.open("/refer")
    browser.submit("/refer/services", need=["parenting"], place="1800", age="22")
    browser.submit("/refer/person", service=["svc-opvoedingssteun"])
    filled = {
        "given": "Erdan", "family": "Demir", "birth": "2004-05-17", "phone": "+32 470 00 00 22", "reason": "Looks for support with his child",
        "consented": "yes", "way": "spoken",
    } | person  # fmt: skip
    return browser.submit("/refer/person", button="send", **filled)


def fhir(browser: Browser, path: str, organization: str, roles: str = "recipient") -> Any:
    """Ask the FHIR interface in the name of an organisation."""
    headers = {
        "X-Dev-Organization": f"Organization/{organization}",
        "X-Dev-Roles": roles,
        "Accept": "application/fhir+json",
    }
    return json.loads(browser.http.get(f"/fhir/{path}", headers=headers).text)
