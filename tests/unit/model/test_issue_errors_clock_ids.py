"""Issues, the error tree, the clock and the source of ids."""

import inspect
from typing import get_args

import pytest

from fhir_server.model import errors
from fhir_server.model.clock import SystemClock, render_instant
from fhir_server.model.ids import RandomIds
from fhir_server.model.issue import KEY_SYSTEM, Issue, IssueCode, has_errors, operation_outcome
from fhir_server.model.reference import ID_PATTERN


def test_an_issue_is_rendered_with_its_key() -> None:
    issue = Issue("task-transition", "business-rule", "From draft to done is not allowed.", "Task.status")
    assert issue.to_json() == {
        "severity": "error",
        "code": "business-rule",
        "details": {
            "coding": [{"system": KEY_SYSTEM, "code": "task-transition"}],
            "text": "From draft to done is not allowed.",
        },
        "diagnostics": "From draft to done is not allowed.",
        "expression": ["Task.status"],
    }
    assert "expression" not in issue._replace(expression="").to_json()


def test_an_outcome_always_has_an_issue() -> None:
    fine = operation_outcome([])
    assert [issue["severity"] for issue in fine["issue"]] == ["information"]
    two = operation_outcome(iter([Issue("a", "value", "A."), Issue("b", "value", "B.", severity="warning")]))
    assert [issue["severity"] for issue in two["issue"]] == ["error", "warning"]
    assert two["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("severity", "bad"), [("fatal", True), ("error", True), ("warning", False), ("information", False)]
)
def test_only_errors_count_as_errors(severity: str, bad: bool) -> None:
    assert has_errors([Issue("k", "value", "x", severity=severity)]) is bad  # type: ignore[arg-type]  # the parameter is any text
    assert not has_errors([])


TREE = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, errors.FhirError)]


@pytest.mark.parametrize("error", TREE)
def test_each_error_has_a_code_of_r4_a_key_and_a_meaning(error: type[errors.FhirError]) -> None:
    raised = error("What is wrong.")
    (issue,) = raised.issues
    assert issue.code in get_args(IssueCode)
    assert (issue.key, issue.diagnostics, issue.severity, str(raised)) == (
        error.key,
        "What is wrong.",
        "error",
        "What is wrong.",
    )
    assert error.__doc__


def test_keys_of_errors_are_unique() -> None:
    keys = [error.key for error in TREE]
    assert len(keys) == len(set(keys))


def test_an_error_may_be_more_exact_or_carry_many_issues() -> None:
    exact = errors.RuleViolated("No.", key="task-x", code="conflict", expression="Task.status")
    assert exact.issues == (Issue("task-x", "conflict", "No.", "Task.status"),)
    several = errors.Invalid(issues=(Issue("a", "value", "A."), Issue("b", "value", "B.")))
    assert [issue.key for issue in several.issues] == ["a", "b"]
    assert str(several) == "A."


def test_some_errors_say_what_is_possible() -> None:
    assert errors.MethodNotAllowed("No.", ("GET", "POST")).allowed == ("GET", "POST")
    assert errors.Unavailable("Busy.", 7).retry_after == 7


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_763_806_059_090, "2025-11-22T10:07:39.090Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_instants_have_three_decimals(ms: int, text: str) -> None:
    assert render_instant(ms) == text


def test_the_clock_of_the_machine_goes_forward() -> None:
    clock = SystemClock()
    assert 1_700_000_000_000 < clock.now_ms() <= clock.now_ms()


def test_ids_are_valid_and_differ() -> None:
    ids = {RandomIds().new_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert all(ID_PATTERN.fullmatch(one) and len(one) == 32 and one == one.lower() for one in ids)
