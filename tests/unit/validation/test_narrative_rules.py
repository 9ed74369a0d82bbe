"""Narrative: what XHTML may stand in `text.div`, and that no text can make the check work without bound."""

import time

import pytest

from fhir_server.validation import narrative
from fhir_server.validation.finding import Scope
from fhir_server.validation.narrative import check_narrative
from fhir_server.validation.pipeline import Validator

VALIDATOR = Validator.load()
OPEN = '<div xmlns="http://www.w3.org/1999/xhtml"'


def div(content: str, attributes: str = "") -> str:
    return f"{OPEN}{attributes}>{content}</div>"


GOOD = (
    div("hallo"),
    div("<p>a &amp; b &lt; c</p>"),
    div("a&#160;b"),
    div("<table border='1'><tr><td colspan=\"2\">x</td></tr></table>"),
    div('<a href="https://example.org?a=1&amp;b=2">link</a>'),
    div('<img src="#photo" alt="x"/>'),
    div("<p style='color: red' class=\"x\">x<br/>y</p>", ' xml:lang="nl" lang="nl"'),
    div("<!-- a comment --><b>x</b>"),
    div("<ul><li>één</li><li>😀</li></ul>"),
    " " + div("leading whitespace"),
)

BAD = (
    ("", "primitive-empty"),
    (5, "json-type"),
    (None, "json-null"),
    ("hallo", "xhtml"),
    (div("<p>open"), "xhtml"),
    (div("<b><i>crossed</b></i>"), "xhtml"),
    (div("a & b"), "xhtml"),
    (div("a&nbsp;b"), "xhtml"),
    (div("a < b"), "xhtml"),
    (div("x") + div("y"), "xhtml"),
    (div("x") + "tail", "xhtml"),
    (div('<p class="a" class="b">x</p>'), "xhtml"),
    (div("control \x01"), "xhtml"),
    (div("surrogate \ud800"), "xhtml"),
    ("<div>no namespace</div>", "txt-root"),
    ('<div xmlns="http://example.org">x</div>', "txt-root"),
    ('<p xmlns="http://www.w3.org/1999/xhtml">x</p>', "txt-root"),
    (div("<script>alert(1)</script>"), "txt-1"),
    (div('<p onclick="x()">x</p>'), "txt-1"),
    (div("<form><input/></form>"), "txt-1"),
    (div('<iframe src="x"/>'), "txt-1"),
    (div("<DIV>case</DIV>"), "txt-1"),
    (div('<a href="javascript:x()">x</a>'), "txt-1"),
    (div('<a href=" JavaScript:x()">x</a>'), "txt-1"),
    (div('<a href="java&#115;cript:x()">x</a>'), "txt-1"),
    (div('<a href="java&#10;script:x()">x</a>'), "txt-1"),
    (div("<svg:rect/>"), "txt-1"),
    (div("<?php x ?>y"), "txt-1"),
    ("<!DOCTYPE html>" + div("x"), "txt-1"),
    ('<!DOCTYPE d [<!ENTITY a "aaa">]>' + div("&a;"), "txt-1"),
    ('<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + div("&a;"), "txt-1"),
    (div("   "), "txt-2"),
    (div("<p> \n</p>"), "txt-2"),
    (div("<b>" * 200 + "x" + "</b>" * 200), "too-deep"),
)


@pytest.mark.parametrize("text", GOOD)
def test_plain_xhtml_is_accepted(text: str) -> None:
    assert check_narrative(text, Scope({}, {})) is None


@pytest.mark.parametrize(("text", "key"), BAD, ids=lambda value: repr(value)[-40:])
def test_what_a_narrative_must_not_hold_is_refused(text: str, key: str) -> None:
    found = check_narrative(text, Scope({}, {}))
    assert found is not None
    assert [finding.key for finding in found] == [key]


@pytest.mark.parametrize(
    ("text", "key"), [row for row in BAD if isinstance(row[0], str)], ids=lambda value: repr(value)[-40:]
)
def test_the_quick_path_accepts_nothing_that_the_parser_refuses(text: str, key: str) -> None:
    assert not narrative._plain(text)


def test_a_fault_stands_at_the_div() -> None:
    (issue,) = VALIDATOR.validate(
        {"resourceType": "Patient", "text": {"status": "generated", "div": div("<script>x</script>")}}
    )
    assert (issue.key, issue.expression) == ("txt-1", "Patient.text.div")


@pytest.mark.parametrize(
    "text",
    [
        div("<p" + " " * 200_000 + "x"),
        div('<p class="' + "a" * 200_000 + ">"),
        div("<" * 100_000),
        div("&amp" * 100_000),
        div("<p " + 'a="b" ' * 50_000 + ">x</p>"),
        div("<b>" * 100_000),
        '<!DOCTYPE d [<!ENTITY a "a">'
        + "".join(f'<!ENTITY a{n} "{"&a;" * 10}">' for n in range(1000))
        + "]>"
        + div("&a9;"),
    ],
    ids=["spaces", "attribute", "brackets", "entities", "attributes", "depth", "entity bomb"],
)
def test_hostile_text_costs_no_more_than_its_length(text: str) -> None:
    started = time.process_time()
    assert check_narrative(text, Scope({}, {}))
    assert time.process_time() - started < 1.0
