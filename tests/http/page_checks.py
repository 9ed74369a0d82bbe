"""What every page must be for who reads it with a keyboard, a screen reader or bad eyes: checked on the HTML and the CSS."""

import itertools
import re
from pathlib import Path
from xml.etree.ElementTree import Element

from fhir_server.http.security import DEVELOPMENT_NOTICE
from tests.http.page_reader import Page

CSS = (Path(__file__).parents[2] / "fhir_server/http/pages/static/pages.css").read_text(encoding="utf-8")
_FILLED = {"input", "select", "textarea"}


def check_page(page: Page, language: str, notice: str = DEVELOPMENT_NOTICE) -> None:
    """Fail for a page without language, title, landmarks or one heading, with a nameless field, or with script or style in it."""
    assert page.text.startswith("<!DOCTYPE html>")
    assert page.root.get("lang") == language
    assert page.answer.headers["content-language"] == language
    assert "script-src 'self'" in page.answer.headers["content-security-policy"]
    assert "".join(page.all("title")[0].itertext()).strip(" ·")
    assert notice in "".join(page.all("header")[0].itertext())
    assert len(page.all("main")) == len(page.all("h1")) == 1
    assert page.all("a", class_="skip")[0].get("href") == "#main"
    _no_code(page)
    _headings(page)
    _names(page)


def _no_code(page: Page) -> None:
    assert not page.all("script")
    for one in page.root.iter():
        if isinstance(one.tag, str):
            assert not [name for name in one.attrib if name == "style" or name.startswith("on")], one.tag
            for name in ("href", "src", "action"):
                assert not (one.get(name) or "").lower().startswith(("javascript:", "http:", "https:", "//")), one.get(
                    name
                )


def _headings(page: Page) -> None:
    levels = [
        int(one.tag[1]) for one in page.root.iter() if isinstance(one.tag, str) and re.fullmatch("h[1-6]", one.tag)
    ]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels)), levels


def _names(page: Page) -> None:
    ids = [one.get("id") for one in page.root.iter() if one.get("id")]
    assert len(ids) == len(set(ids)), "an id is there twice"
    labelled = {one.get("for") for one in page.all("label")}
    assert labelled <= set(ids)
    for one in page.root.iter():
        for name in ("aria-labelledby", "aria-describedby"):
            assert set((one.get(name) or "").split()) <= set(ids), one.get(name)
        if one.tag in _FILLED and one.get("type") != "hidden":
            assert one.get("id") in labelled, f"{one.tag} {one.get('name')} has no label"
        if one.tag in ("button", "a", "summary", "legend", "option", "th"):
            assert _text(one) or one.get("aria-label") or one.get("value") == "", f"a nameless {one.tag}"
        if one.tag == "nav":
            assert one.get("aria-label")
        if one.tag == "form" and one.get("method") == "post":
            assert any(field.get("name") == "csrf" and field.get("value") for field in one.iter("input"))


def _text(element: Element) -> str:
    return "".join(element.itertext()).strip()


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2, relative luminance)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def colour(name: str) -> str:
    """Return a colour that the style sheet names."""
    found = re.search(rf"--{name}: (#[0-9a-f]{{3,6}})", CSS)
    assert found is not None
    return found[1]
