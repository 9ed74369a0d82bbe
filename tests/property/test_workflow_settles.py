"""Random parties make random moves: whatever is let through is legal, and effects come to rest."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.access.principal import Principal
from fhir_server.model.errors import Forbidden, RuleViolated
from fhir_server.model.resource import Resource
from fhir_server.workflow.codes import REQUEST_STATUSES, TASK_ENDED, TASK_STATUSES
from tests.unit.workflow.expected_moves import REQUEST_MOVES, TASK_MOVES
from tests.unit.workflow.region import (
    ERDAN,
    FAMILY,
    FAMILY_WORKER,
    GP,
    LINK_WORKER,
    STRANGER,
    WORK,
    WORK_COACH,
    Region,
    ref,
    request,
    task,
)

KEY = "ServiceRequest/erdan-steun"
REASON = {"text": "Afgesproken met Erdan"}
OUTPUT = [{"type": {"text": "Verslag"}, "valueString": "Gesprek gevoerd"}]

PARTIES = (GP, FAMILY_WORKER, WORK_COACH, LINK_WORKER, ERDAN, STRANGER)
ACTING_FOR = {party.organization: party for party in PARTIES}
OWNERS = (FAMILY, WORK, LINK_WORKER.organization, STRANGER.organization)
KINDS = ("step",) * 8 + ("part",) * 3 + ("move", "claim", "reroute", "request", "performer", "hold", "consent")

Move = tuple[str, int, int, int]
"""What is tried; by whom, on which Task and with which value, as numbers that are reduced to what there is."""
moves = st.tuples(st.sampled_from(KINDS), st.integers(0, 5), st.integers(0, 5), st.integers(0, 11))


def attempt(region: Region, move: Move) -> None:
    """Try a move: mostly a legal step of the owner of a Task, else anything by anyone."""
    kind, who, index, value = move
    principal = PARTIES[who]
    if kind == "request":
        region.update(principal, KEY, status=REQUEST_STATUSES[value % len(REQUEST_STATUSES)])
    elif kind == "hold":
        region.update(GP, KEY, status=("on-hold", "active", "active")[value % 3])
    elif kind == "performer":
        region.update(GP, KEY, performer=[*region.record[KEY].get("performer", ()), ref(OWNERS[value % 4])])
    elif kind == "consent":
        region.update(ERDAN, "Consent/erdan-2026", status="inactive" if value == 0 else "active")
    else:
        tasks = region.tasks()
        open_tasks = [one for one in tasks if one["status"] not in TASK_ENDED] if kind in ("step", "part") else tasks
        if open_tasks:
            chosen = open_tasks[index % len(open_tasks)]
            owner = ACTING_FOR.get(chosen.get("owner", {}).get("reference", ""), principal)
            region.commit(owner if kind in ("step", "part") else principal, _changed(move, owner, chosen, len(tasks)))


def _changed(move: Move, owner: Principal, chosen: Resource, count: int) -> dict[str, Any]:
    kind, who, _, value = move
    changed = {**chosen, "statusReason": REASON, "output": OUTPUT}
    match kind:
        case "step":
            ways = [to for to, by in TASK_MOVES[chosen["status"]].items() if "O" in by]
            return {**changed, "owner": ref(owner.organization), "status": ways[value % len(ways)] if ways else "draft"}
        case "claim":
            return {**chosen, "owner": ref(PARTIES[who].organization), "status": ("requested", "accepted")[value % 2]}
        case "reroute":
            return {**chosen, "owner": ref(OWNERS[value % 4])}
        case "part":
            parent, own = ref(f"Task/{chosen['id']}"), ref(owner.organization)
            return task(id=f"deel-{count}", requester=own, owner=ref(OWNERS[value % 4]), partOf=[parent])
        case _:
            return {**changed, "status": TASK_STATUSES[value]}


def refusal_of(region: Region, move: Move) -> RuleViolated | Forbidden | None:
    try:
        attempt(region, move)
    except (RuleViolated, Forbidden) as refused:
        return refused
    return None


def assert_consistent(region: Region) -> None:
    tasks = {f"Task/{one['id']}": one for one in region.tasks()}
    still_open = {key for key, one in tasks.items() if one["status"] not in TASK_ENDED}
    status = region.record[KEY]["status"]
    if status in ("revoked", "entered-in-error", "completed"):
        assert not still_open
    if status == "completed":
        assert any(before != "completed" and after == "completed" for _, before, after, _ in region.moves)
    for key in still_open:
        for parent in tasks[key].get("partOf", ()):
            assert parent["reference"] in still_open, "a part never outlives its whole"
    if region.record["Consent/erdan-2026"]["status"] != "active":
        assert status not in ("active", "on-hold"), "nothing stays open without consent"


def assert_legal(region: Region) -> None:
    for key, before, after, roles in region.moves:
        if key.startswith("Consent/"):
            continue
        table = TASK_MOVES if key.startswith("Task/") else REQUEST_MOVES
        who = table[before][after]
        assert ("platform" not in roles) or "S" in who, f"the server moved {key} from {before} to {after}"


@settings(max_examples=500, deadline=None)
@given(
    start=st.sampled_from([[FAMILY, WORK], [FAMILY], []]),
    born=st.sampled_from(["active", "active", "draft"]),
    story=st.lists(moves, min_size=5, max_size=40),
)
def test_whatever_is_tried_the_record_stays_legal_and_comes_to_rest(
    start: list[str], born: str, story: list[Move]
) -> None:
    region = Region()
    region.commit(GP, request(status=born, performer=[ref(one) for one in start] or None))
    for move in story:
        refused = refusal_of(region, move)
        assert refused is None or all(issue.diagnostics and issue.expression for issue in refused.issues)
        assert_consistent(region)
    assert_legal(region)


@settings(max_examples=100, deadline=None)
@given(claims=st.lists(st.sampled_from([FAMILY_WORKER, WORK_COACH, STRANGER]), min_size=1, max_size=6))
def test_of_all_who_reach_into_the_pool_exactly_the_first_gets_the_task(claims: list[Principal]) -> None:
    region = Region(request(), task(owner=None))
    won = []
    for principal in claims:
        before = region.record["Task/erdan-gezin"]
        try:
            region.commit(principal, {**before, "owner": ref(principal.organization), "note": [{"text": "van ons"}]})
        except Forbidden:
            continue
        won.append(principal)
    assert set(won) == {claims[0]}
    assert region.record["Task/erdan-gezin"]["owner"] == ref(claims[0].organization)
