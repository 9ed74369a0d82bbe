"""Asserts one refusal: its class, key, expression, and words that its text must hold."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fhir_server.model.errors import Forbidden, RuleViolated
from fhir_server.workflow.keys import RULES


@contextmanager
def violates(key: str, expression: str, *words: str) -> Iterator[None]:
    """The block must break this rule; the rule stands in the registry and the text holds the words."""
    with pytest.raises(RuleViolated) as refused:
        yield
    found = {(issue.key, issue.expression): issue.diagnostics for issue in refused.value.issues}
    assert (key, expression) in found
    _assert_text(key, found[key, expression], words)


@contextmanager
def forbids(key: str, expression: str, *words: str) -> Iterator[None]:
    """The block must be refused to this actor."""
    with pytest.raises(Forbidden) as refused:
        yield
    (issue,) = refused.value.issues
    assert (issue.key, issue.expression) == (key, expression)
    _assert_text(key, issue.diagnostics, words)


def _assert_text(key: str, text: str, words: tuple[str, ...]) -> None:
    assert key in RULES
    assert text.endswith(".")
    for word in words:
        assert word in text
