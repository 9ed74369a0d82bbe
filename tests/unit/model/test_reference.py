"""Reference texts and their kinds (R4 references.html)."""

import pytest

from fhir_server.model.reference import ID_PATTERN, ParsedReference, parse_reference


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patient/1", ParsedReference("relative", "Patient/1", "Patient", "1")),
        ("Patient/a-B.9", ParsedReference("relative", "Patient/a-B.9", "Patient", "a-B.9")),
        ("Patient/1/_history/3", ParsedReference("relative", "Patient/1/_history/3", "Patient", "1", "3")),
        ("https://x.example/fhir/Patient/1", ParsedReference("absolute", "https://x.example/fhir/Patient/1", "Patient", "1", "", "https://x.example/fhir")),
        ("http://x.example/Patient/1/_history/2", ParsedReference("absolute", "http://x.example/Patient/1/_history/2", "Patient", "1", "2", "http://x.example")),
        ("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", ParsedReference("urn", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0")),
        ("#p1", ParsedReference("fragment", "#p1")), ("#", ParsedReference("fragment", "#")),
        ("Patient?identifier=a|b", ParsedReference("conditional", "Patient?identifier=a|b", "Patient", query="identifier=a|b")),
        ("https://x.example/page.html", ParsedReference("other", "https://x.example/page.html")), ("", ParsedReference("other", "")),
        ("patient/1", ParsedReference("other", "patient/1")), ("Patient/", ParsedReference("other", "Patient/")), ("Patient/a b", ParsedReference("other", "Patient/a b")),
        ("Patient/" + "a" * 65, ParsedReference("other", "Patient/" + "a" * 65)), ("Patient/1\n", ParsedReference("other", "Patient/1\n")), ("Patient?", ParsedReference("other", "Patient?")),
        ("/Patient/1", ParsedReference("other", "/Patient/1")), ("Patient/1/2", ParsedReference("other", "Patient/1/2")), ("ftp://x.example/Patient/1", ParsedReference("other", "ftp://x.example/Patient/1")),
    ],
)  # fmt: skip
def test_a_reference_is_taken_apart(text: str, expected: ParsedReference) -> None:
    assert parse_reference(text) == expected


def test_own_references_become_relative() -> None:
    own = "https://care.example/fhir"
    assert parse_reference(f"{own}/Task/9/_history/2", own) == ParsedReference(
        "relative", "Task/9/_history/2", "Task", "9", "2"
    )
    assert parse_reference("https://care.example/fhir2/Task/9", own).kind == "absolute"
    assert parse_reference(f"{own}/Task?x=1", own).kind == "conditional"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Patient/1/_history/3", "Patient/1"),
        ("https://x.example/Patient/1", "Patient/1"),
        ("#a", "#a"),
        ("urn:x", "urn:x"),
        ("Patient?a=b", "Patient?a=b"),
    ],
)
def test_the_key_has_no_version(text: str, key: str) -> None:
    assert parse_reference(text).key == key


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("a", True),
        ("A-9.b", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("", False),
        ("a_b", False),
        ("é", False),
        ("a\n", False),
    ],
)
def test_ids_follow_the_datatype(text: str, valid: bool) -> None:
    assert (ID_PATTERN.fullmatch(text) is not None) is valid
