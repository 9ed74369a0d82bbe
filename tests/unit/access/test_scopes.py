"""Scopes have one grammar, and are only ever narrowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.access.scopes import (
    Scope,
    narrowed,
    parse_scope,
    parse_scopes,
    permitting,
    render_scopes,
    resource_scopes,
)
from fhir_server.model.errors import Malformed

TYPES = ("*", "Task", "Patient", "ServiceRequest")
LETTERS = ("c", "cr", "r", "rs", "cruds", "us", "d")
scopes = st.builds(
    lambda level, kind, letters, where: Scope(level, kind, frozenset(letters), where),
    st.sampled_from(["system", "user", "patient"]),
    st.sampled_from(TYPES),
    st.sampled_from(LETTERS),
    st.sampled_from([(), (("owner", "Organization/1"),), (("status", "requested"), ("code", "a|b c"))]),
)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("system/Task.read", "system/Task.rs"),
        ("system/Task.write", "system/Task.cud"),
        ("user/*.*", "user/*.cruds"),
        ("patient/Observation.rs", "patient/Observation.rs"),
        ("system/Task.rus?owner=Organization/1", "system/Task.rus?owner=Organization/1"),
        ("system/Task.rs?code=http://x|y&status=a", "system/Task.rs?code=http://x|y&status=a"),
    ],
)
def test_both_versions_are_read_as_one_grammar(text: str, meaning: str) -> None:
    assert parse_scope(text).text == meaning


@pytest.mark.parametrize(
    "text",
    [
        "", "Task.rs", "system/Task", "system/Task.", "system/Task.sr", "system/Task.rr", "system/task.rs", "system/Tusk.rs",
        "admin/Task.rs", "system/Task.readwrite", "system/Task.rs?", "system/Task.rs?owner", "system/Task.rs?owner=",
        "system/Task.rs?=x", "system/*.**", "system/Task.RS", " system/Task.rs", "system/Task.rs?a=%FF", "openid",
    ],
)  # fmt: skip
def test_what_is_not_in_the_grammar_is_refused_with_the_scope(text: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse_scope(text)
    assert refused.value.issues[0].key == "bad-scope"
    assert repr(text) in refused.value.issues[0].diagnostics


def test_too_many_scopes_are_refused() -> None:
    with pytest.raises(Malformed, match="201 scopes"):
        parse_scopes("system/Task.r " * 201)


def test_scopes_of_other_kinds_are_passed_over_in_the_tokens_of_others() -> None:
    assert render_scopes(resource_scopes("openid fhirUser launch patient/Task.rs")) == "patient/Task.rs"


@given(scopes)
def test_what_is_rendered_is_read_again(scope: Scope) -> None:
    assert parse_scope(scope.text) == scope


@given(st.lists(scopes, max_size=4), st.lists(scopes, max_size=4))
def test_narrowing_never_gives_more_than_either_side(asked: list[Scope], allowed: list[Scope]) -> None:
    for found in narrowed(asked, allowed):
        for side in (asked, allowed):
            assert any(
                found.level == one.level
                and one.resource_type in ("*", found.resource_type)
                and found.permissions <= one.permissions
                and set(one.where) <= set(found.where)
                for one in side
            )


@given(st.lists(scopes, min_size=1, max_size=4))
def test_narrowing_by_itself_loses_nothing(given_scopes: list[Scope]) -> None:
    again = narrowed(given_scopes, given_scopes)
    for kind in TYPES[1:]:
        for letter in "cruds":
            assert bool(permitting(given_scopes, kind, letter)) == bool(permitting(again, kind, letter))  # type: ignore[arg-type]  # letters
