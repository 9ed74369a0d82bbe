"""Every from × to × actor of both state tables, against moves that were written down independently."""

import pytest

from fhir_server.access.principal import PLATFORM, Principal
from fhir_server.model.errors import FhirError, Forbidden, RuleViolated
from fhir_server.workflow.effects import Change
from fhir_server.workflow.lifecycle import StateTable, render_markdown
from fhir_server.workflow.request_lifecycle import REQUEST_TABLE
from fhir_server.workflow.task_lifecycle import TASK_TABLE, transitions
from tests.unit.workflow.expected_moves import LETTERS, REQUEST_MOVES, TASK_MOVES
from tests.unit.workflow.region import (
    ERDAN,
    FAMILY_WORKER,
    GP,
    NOW,
    STRANGER,
    WORK_COACH,
    Region,
    ref,
    request,
    task,
)

ACTORS: dict[str, Principal] = {
    "R": GP,
    "O": FAMILY_WORKER,
    "C": WORK_COACH,
    "P": ERDAN,
    "S": PLATFORM,
    "-": STRANGER,
}
OUTCOME = {
    "statusReason": {"text": "Erdan verhuist naar Mechelen"},
    "output": [{"type": {"text": "Verslag"}, "valueString": "Drie gesprekken gevoerd"}],
}


@pytest.mark.parametrize("actor", [*"ROPS", "-"])
@pytest.mark.parametrize("source", TASK_MOVES)
def test_a_task_moves_as_the_sources_say_and_not_otherwise(source: str, actor: str) -> None:
    for target in TASK_MOVES:
        before = task(status=source, **OUTCOME)
        region = Region(request(), {**before, "status": target})
        change = Change(before, {**before, "status": target, "note": [{"text": "bekeken"}]})
        legal = target == source or actor in TASK_MOVES[source].get(target, "")
        if legal and actor != "-":
            region.rulebook.review(change, region, ACTORS[actor], NOW)
            continue
        with pytest.raises((RuleViolated, Forbidden)) as refused:
            region.rulebook.review(change, region, ACTORS[actor], NOW)
        _assert_refused(refused.value, "task", source, target, actor, TASK_MOVES)


@pytest.mark.parametrize("target", [status for status in TASK_MOVES if status != "requested"])
def test_who_claims_from_the_pool_takes_a_task_up_but_does_not_reject_or_end_it(target: str) -> None:
    before = task(owner=None, **OUTCOME)
    after = {**before, "owner": ref("Organization/werkwinkel"), "status": target}
    region = Region(request(), after)
    if "C" in TASK_MOVES["requested"].get(target, ""):
        region.rulebook.review(Change(before, after), region, WORK_COACH, NOW)
        return
    with pytest.raises((RuleViolated, Forbidden)) as refused:
        region.rulebook.review(Change(before, after), region, WORK_COACH, NOW)
    _assert_refused(refused.value, "task", "requested", target, "C", TASK_MOVES)


@pytest.mark.parametrize("actor", [*"ROPS", "-"])
@pytest.mark.parametrize("source", REQUEST_MOVES)
def test_a_service_request_moves_as_the_sources_say_and_not_otherwise(source: str, actor: str) -> None:
    for target in REQUEST_MOVES:
        before = request(status=source)
        after = {**before, "status": target, "note": [{"text": "bekeken"}]}
        region = Region(after)
        legal = target == source or actor in REQUEST_MOVES[source].get(target, "")
        if legal and actor in "RPS":
            region.rulebook.review(Change(before, after), region, ACTORS[actor], NOW)
            continue
        with pytest.raises((RuleViolated, Forbidden)) as refused:
            region.rulebook.review(Change(before, after), region, ACTORS[actor], NOW)
        _assert_refused(refused.value, "request", source, target, actor, REQUEST_MOVES)


def _assert_refused(
    error: FhirError, kind: str, source: str, target: str, actor: str, moves: dict[str, dict[str, str]]
) -> None:
    outsider = actor == "-" or (kind == "request" and actor == "O")
    known = target in moves[source] or target == source
    issue = error.issues[0]
    if outsider:
        assert isinstance(error, Forbidden)
        assert issue.key == f"{kind}-actor"
        return
    assert isinstance(error, Forbidden if known else RuleViolated)
    assert issue.key == (f"{kind}-actor" if known else f"{kind}-transition")
    assert issue.expression == ("Task.status" if kind == "task" else "ServiceRequest.status")
    assert f"{source} to {target}" in issue.diagnostics
    for state, who in moves[source].items():
        if actor in who:
            assert state in issue.diagnostics.partition(". ")[2], (
                "the text names every state that this actor may choose"
            )


@pytest.mark.parametrize(("table", "moves"), [(TASK_TABLE, TASK_MOVES), (REQUEST_TABLE, REQUEST_MOVES)])
def test_the_table_holds_no_row_that_the_sources_do_not_have(
    table: StateTable, moves: dict[str, dict[str, str]]
) -> None:
    found = {(row.source, row.target): set(row.who) for row in table.rows}
    expected = {
        (source, target): {LETTERS[letter] for letter in who}
        for source, targets in moves.items()
        for target, who in targets.items()
    }
    assert found == expected
    assert len(table.rows) == len(found), "no move stands twice"


def test_every_row_says_where_it_comes_from_and_reaches_a_state_with_the_needs_of_that_state() -> None:
    assert all(row.origin for row in (*TASK_TABLE.rows, *REQUEST_TABLE.rows))
    needs: dict[str, set[tuple[str, ...]]] = {}
    for row in transitions():
        needs.setdefault(row.target, set()).add(row.needs)
    assert {target: len(found) for target, found in needs.items()} == dict.fromkeys(needs, 1)


def test_the_table_renders_as_markdown_with_one_line_per_move() -> None:
    lines = render_markdown(TASK_TABLE).splitlines()
    assert len(lines) == 2 + len(transitions())
    assert "| accepted | completed | owner, platform | output | Gravity, NL, BSeR |" in lines


def test_an_actor_with_no_move_left_is_told_so() -> None:
    before = task(status="completed", **OUTCOME)
    after = {**before, "status": "in-progress"}
    region = Region(request(), after)
    with pytest.raises(RuleViolated) as refused:
        region.rulebook.review(Change(before, after), region, FAMILY_WORKER, NOW)
    assert "the owner may set it to nothing else" in refused.value.issues[0].diagnostics
