"""The lexical rules of the primitive types, one row each: type, JSON value, key of the fault or nothing.

https://hl7.org/fhir/R4/datatypes.html#primitive
"""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.model.codec import Literal
from fhir_server.validation import primitives
from fhir_server.validation.pipeline import Validator

VALIDATOR = Validator.load()

GOOD: tuple[tuple[str, Any], ...] = (
    ("boolean", True),
    ("boolean", False),
    ("integer", 0),
    ("integer", -(2**31)),
    ("integer", 2**31 - 1),
    ("unsignedInt", 0),
    ("positiveInt", 1),
    ("decimal", 1),
    ("decimal", Decimal("72.50")),
    ("decimal", Decimal("-0.000000000000000001")),
    ("decimal", Literal("1E3")),
    ("decimal", 0.5),
    ("string", "   "),
    ("string", "a"),
    ("string", " leading and trailing are allowed "),
    ("string", "tab\tand\r\nline"),
    ("string", "ça va, naïef, Ελληνικά, 日本語, 😀"),
    ("string", "non-breaking\u00a0space"),
    ("string", "x" * 1024 * 1024),
    ("markdown", "# Title\n\n* item"),
    ("code", "active"),
    ("code", "two words"),
    ("id", "a"),
    ("id", "A-z.0-9" + "x" * 57),
    ("uri", "urn:oid:1.2.3"),
    ("uri", "http://example.org/fhir?x=1#y"),
    ("url", "https://example.org"),
    ("canonical", "http://example.org/ValueSet/a|1.0"),
    ("oid", "urn:oid:2.16.840.1"),
    ("uuid", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"),
    ("date", "2026"),
    ("date", "2026-11"),
    ("date", "2024-02-29"),
    ("date", "2026-12-31"),
    ("dateTime", "2026"),
    ("dateTime", "2026-11-21"),
    ("dateTime", "2026-11-21T10:00:00Z"),
    ("dateTime", "2026-11-21T10:00:00.123456789+14:00"),
    ("dateTime", "2016-12-31T23:59:60Z"),
    ("instant", "2026-11-21T10:00:00.000+01:00"),
    ("time", "23:59:59"),
    ("time", "10:00:00.5"),
    ("base64Binary", "aGFsbG8="),
    ("base64Binary", "aGFs\nbG8="),
    ("base64Binary", "+/+/"),
)

BAD: tuple[tuple[str, Any, str], ...] = (
    ("boolean", "true", "json-type"),
    ("boolean", 1, "json-type"),
    ("boolean", 0, "json-type"),
    ("boolean", None, "json-null"),
    ("integer", 2**31, "primitive-range"),
    ("integer", -(2**31) - 1, "primitive-range"),
    ("integer", Decimal("1.0"), "primitive-format"),
    ("integer", Literal("1E2"), "primitive-format"),
    ("integer", 1.5, "primitive-format"),
    ("integer", "1", "json-type"),
    ("integer", True, "json-type"),
    ("unsignedInt", -1, "primitive-range"),
    ("positiveInt", 0, "primitive-range"),
    ("decimal", "72.5", "json-type"),
    ("decimal", True, "json-type"),
    ("decimal", Decimal("1E309"), "primitive-range"),
    ("decimal", Decimal("1E-309"), "primitive-range"),
    ("decimal", Decimal("1E999999"), "primitive-range"),
    ("decimal", 10**400, "primitive-range"),
    ("decimal", Decimal("NaN"), "primitive-range"),
    ("decimal", float("inf"), "primitive-range"),
    ("decimal", Decimal("0." + "1" * 500), "primitive-range"),
    ("string", "", "primitive-empty"),
    ("string", "nul\x00", "control-character"),
    ("string", "bell\x07", "control-character"),
    ("string", "\ud800", "control-character"),
    ("string", "x" * (1024 * 1024 + 1), "string-too-long"),
    ("string", 5, "json-type"),
    ("string", {}, "json-type"),
    ("string", ["a"], "json-type"),
    ("string", [], "empty-array"),
    ("string", None, "json-null"),
    ("markdown", "", "primitive-empty"),
    ("code", " active", "primitive-format"),
    ("code", "active ", "primitive-format"),
    ("code", "two  spaces", "primitive-format"),
    ("code", "", "primitive-empty"),
    ("id", "x" * 65, "primitive-format"),
    ("id", "under_score", "primitive-format"),
    ("id", "", "primitive-empty"),
    ("uri", "http://example.org/a b", "primitive-format"),
    ("uri", "line\nbreak", "primitive-format"),
    ("uri", "", "primitive-empty"),
    ("uri", "oid:1.2.3", "primitive-format"),
    ("uri", "uuid:c757873d-ec9a-4326-a141-556f43239520", "primitive-format"),
    ("url", "two words", "primitive-format"),
    ("canonical", "two words", "primitive-format"),
    ("oid", "1.2.3", "primitive-format"),
    ("oid", "urn:oid:3.1", "primitive-format"),
    ("oid", "urn:oid:1.02", "primitive-format"),
    ("uuid", "c757873d-ec9a-4326-a141-556f43239520", "primitive-format"),
    ("uuid", "urn:uuid:C757873D-EC9A-4326-A141-556F43239520", "primitive-format"),
    ("date", "2026-02-30", "primitive-format"),
    ("date", "2025-02-29", "primitive-format"),
    ("date", "2026-04-31", "primitive-format"),
    ("date", "2026-13", "primitive-format"),
    ("date", "2026-1-1", "primitive-format"),
    ("date", "0000", "primitive-format"),
    ("date", "21-11-2026", "primitive-format"),
    ("date", "2026-11-21T10:00:00Z", "primitive-format"),
    ("date", "٢٠٢٦", "primitive-format"),
    ("date", 2026, "json-type"),
    ("dateTime", "2026-11-21T10:00:00", "primitive-format"),
    ("dateTime", "2026-11-21T10:00Z", "primitive-format"),
    ("dateTime", "2026-11-21T24:00:00Z", "primitive-format"),
    ("dateTime", "2026-11-21T10:00:00+15:00", "primitive-format"),
    ("dateTime", "2026-02-30T10:00:00Z", "primitive-format"),
    ("dateTime", "2026-11-21 10:00:00Z", "primitive-format"),
    ("date", "2026-W01-1", "primitive-format"),
    ("date", "20260101", "primitive-format"),
    ("dateTime", "2026-11-21T10:00:00+14:30", "primitive-format"),
    ("dateTime", "2026-11-21T10:00:00,5Z", "primitive-format"),
    ("dateTime", "2026-11-21T10:00:00+01:60", "primitive-format"),
    ("dateTime", "2026-11-21T10:00:00+0100", "primitive-format"),
    ("dateTime", "2026-W47-6T10:00:00Z", "primitive-format"),
    ("dateTime", "2026-11-21T10:00:61Z", "primitive-format"),
    ("instant", "2026-11-21T10:00:00", "primitive-format"),
    ("instant", "2026-11-21", "primitive-format"),
    ("time", "24:00:00", "primitive-format"),
    ("time", "10:00", "primitive-format"),
    ("time", "10:00:00Z", "primitive-format"),
    ("base64Binary", "a", "primitive-format"),
    ("base64Binary", "aGFsbG8", "primitive-format"),
    ("base64Binary", "aGF!", "primitive-format"),
    ("base64Binary", "=aaa", "primitive-format"),
    ("base64Binary", "", "primitive-empty"),
)


def parameters(kind: str, value: Any) -> dict[str, Any]:
    name = f"value{kind[0].upper()}{kind[1:]}"
    return {"resourceType": "Parameters", "parameter": [{"name": "p", name: value}]}


@pytest.mark.parametrize(("kind", "value"), GOOD, ids=lambda value: repr(value)[:30])
def test_a_value_within_the_rule_is_accepted(kind: str, value: Any) -> None:
    assert VALIDATOR.validate(parameters(kind, value)) == []


@pytest.mark.parametrize(("kind", "value", "key"), BAD, ids=lambda value: repr(value)[:30])
def test_a_value_beyond_the_rule_is_refused_at_its_element(kind: str, value: Any, key: str) -> None:
    (issue,) = VALIDATOR.validate(parameters(kind, value))
    assert (issue.key, issue.expression) == (key, f"Parameters.parameter[0].value.ofType({kind})")
    assert issue.severity == "error"
    assert issue.diagnostics.endswith((".", "?"))


@given(st.from_regex(r"[0-9]{4}[-0-9][0-9W]{2}[-0-9][0-9]{2}", fullmatch=True))
def test_the_quick_parser_accepts_nothing_that_the_grammar_refuses(text: str) -> None:
    if primitives._is_usual_date(text):
        assert primitives._PATTERNS["date"].fullmatch(text)
        assert primitives._missing_day("date", text) is None
