"""Patterns: what is taken, what is refused, and that none runs away."""

import time

import pytest

from fhir_server.fhirpath import FhirPathError
from fhir_server.fhirpath.regex import compile_regex
from fhir_server.model.errors import TooCostly


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)*", "(a*)*b", "(a+)+$", "(a|aa)+$", "(a|a?)+", "([a-z]+)*", "(.*)*", "((ab)*)*", "(a[a-z]*)*b", "(x+x+)+y",
        "(?:a{1,20})*", "(a?){30,}", "(-[a-z-]+)*", r"(\w+\s?)*$", "(a|b|ab)*c", "(.+,)*",
        "(.|a)*b", "(.|.)*b", "(a|a)*b", "((a)|a)*b", "(ab|a)*c", "(a|)*b", r"(\w|a)*b", "([ab]|[bc])*d",
    ],
)  # fmt: skip
def test_a_pattern_that_could_take_for_ever_is_refused(pattern: str) -> None:
    with pytest.raises(FhirPathError, match="repeats a group"):
        compile_regex(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["(", "[a", "a{2,1}", "*", "(?=a)b", "(?!a)", "(?<n>a)", r"(a)\1", r"\p{L}", "a++", "a" * 1_001, "()" * 31, "a\\"],
)
def test_a_pattern_that_is_wrong_or_foreign_is_refused(pattern: str) -> None:
    with pytest.raises(FhirPathError):
        compile_regex(pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("[A-Z]([A-Za-z0-9_]){0,254}", "Name_1", True), ("[A-Z]([A-Za-z0-9_]){0,254}", "name", False),
        (r"^[A-Za-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*(\[x])?)*$", "Patient.deceased[x]", True),
        (r"^(?:[0-9]{2}\.){2}[0-9]{2}-[0-9]{3}\.[0-9]{2}$", "74.12.25-001.37", True), ("^(jan|feb|maart)$", "feb", True),
        ("^(a|b)*$", "abba", True), ("^https?://[^/]+/.*$", "https://x.example/a/b", True), ("a{2}", "caab", True), ("^a{2,3}?$", "aaaa", False),
        ("^[^|#]*$", "http://x|1", False), ("[]]", "]", True), ("^.$", "\n", True), ("é", "café", True), (r"\u0041", "A", True),
        ("", "x", True), ("a||b", "zzz", True), ("^a{,}$", "a{,}", False),
    ],
)  # fmt: skip
def test_a_pattern_is_searched(pattern: str, text: str, found: bool) -> None:
    assert compile_regex(pattern).found_in(text) is found


def test_a_text_beyond_the_limit_of_its_pattern_is_refused() -> None:
    simple, wide = compile_regex("^[a-z]+$"), compile_regex(".*a.*b.*c")
    assert simple.found_in("x" * 10_000)
    with pytest.raises(TooCostly, match="up to 10000 characters"):
        simple.found_in("x" * 10_001)
    assert wide.longest < 200
    with pytest.raises(TooCostly):
        wide.found_in("x" * 5_000)


@pytest.mark.parametrize(
    "pattern", ["^[a-z]+$", ".*a.*b", ".*.*.*x", "a*a*a*a*b", "[ab]*[bc]*[cd]*e", "^(a|b)*c", r"^(\.a*)*$"]
)
def test_the_worst_text_within_the_limit_ends_soon(pattern: str) -> None:
    regex = compile_regex(pattern)
    begun = time.perf_counter()
    regex.found_in("a" * regex.longest)
    assert time.perf_counter() - begun < 5


def test_a_substitution_may_name_groups() -> None:
    regex = compile_regex("([0-9]+)-([0-9]+)")
    assert regex.replaced("12-34", r"$2\$1") == r"34\12"
    with pytest.raises(FhirPathError, match="not there"):
        regex.replaced("12-34", "$3")
