"""The compiler on its own: what a query asks of the indexes of MongoDB, without a server.

On MongoDB a stage has an index when it asks one field of one: `_id`, or an equality or a bounded part of `k`, an equality on
`w`, or the type. A pattern has bounds when it begins with `^` and plain text.
"""

from typing import Any

import pytest

from fhir_server.search import query as q
from fhir_server.search.query import And, Node, Or, Prefix, TextMode
from fhir_server.store.mongo.encode import integer, real
from fhir_server.store.mongo.filters import Place, holds
from fhir_server.store.mongo.pieces import successor
from fhir_server.store.mongo.stages import matching

OWNER = q.RefersTo("owner", "Organization/1")
STATUS = q.TokenIs("status", None, "requested")
SINCE = q.LastUpdated(Prefix.GT, 0, 1_000)


class Found:
    """Lookups that found these."""

    def targets(self, node: q.Chain) -> list[str]:
        return [f"{node.target}/1", f"{node.target}/2"]

    def referred(self, node: q.Has, place: Place) -> list[str]:
        return [f"{place.type}/{node.param}"]

    def positions(self, node: q.Near, place: Place) -> list[str]:
        return [place.head(node.param, "g") + real(node.latitude) + real(node.longitude)]


def stages(node: Node) -> list[dict[str, Any]] | None:
    return matching("Task", node, lambda part: holds(part, Place("Task"), Found()))


def first(node: Node) -> dict[str, Any]:
    found = stages(node)
    assert found
    return dict(found[0]["$match"])


ANCHORED: list[tuple[Node, dict[str, Any]]] = [
    (OWNER, {"k": "Task.owner.r Organization/1"}),
    (STATUS, {"k": {"$in": ["Task.status.c requested", "Task.status.k requested"]}}),
    (And((SINCE, STATUS, OWNER)), {"k": "Task.owner.r Organization/1"}),
    (Or((OWNER, q.RefersTo("patient", "Patient/1"))), {"k": {"$in": ["Task.owner.r Organization/1", "Task.patient.r Patient/1"]}}),
    (q.IdIs(("1",)), {"_id": "Task/1"}),
    (q.Chain("owner", "Organization", STATUS), {"k": {"$in": ["Task.owner.r Organization/1", "Task.owner.r Organization/2"]}}),
    (q.Has("Provenance", "target", q.EVERYTHING), {"_id": "Task/target"}),
    (q.FullText("_text", ("housing",)), {"w": "Task._text housing"}),
    (q.UriIs("url", TextMode.ABOVE, "u:/a"), {"k": {"$in": ["Task.url.u u:/a", "Task.url.u u:", "Task.url.u u:/"]}}),
    (q.StringIs("name", TextMode.EXACT, "Été"), {"k": "Task.name.s ete\x1fÉté"}),
]  # fmt: skip


@pytest.mark.parametrize(("node", "wanted"), ANCHORED, ids=lambda value: type(value).__name__)
def test_an_equality_comes_first_and_needs_no_type_beside_it(node: Node, wanted: dict[str, Any]) -> None:
    assert first(node) == wanted
    assert all("t" not in stage["$match"] for stage in stages(node) or ())


RANGES: list[Node] = [
    q.DateCompare("authored-on", Prefix.GE, 5, 6),
    q.NumberCompare("n", Prefix.LT, 5, 4.5, 5.5),
    q.StringIs("name", TextMode.STARTS, "an"),
    q.TokenText("code", "hou"),
    q.TokenIs("code", "http://s", None),
    q.Not(STATUS),
    q.Missing("owner", True),
    q.EVERYTHING,
]


@pytest.mark.parametrize("node", RANGES, ids=lambda node: type(node).__name__)
def test_whatever_else_comes_after_the_type(node: Node) -> None:
    assert first(node) == {"t": "Task"}


def test_a_range_is_asked_of_one_element_within_its_own_parameter() -> None:
    found = holds(q.StringIs("name", TextMode.STARTS, "an"), Place("Task"), Found())
    assert found == {"k": {"$elemMatch": {"$gte": "Task.name.s an", "$lt": "Task.name.s ao"}}}
    found = holds(q.DateCompare("d", Prefix.SA, 1, 2), Place("Task"), Found())
    assert found == {"k": {"$elemMatch": {"$gte": f"Task.d.d {integer(2)}", "$lt": "Task.d.d!"}}}


def test_a_pattern_begins_with_the_plain_text_of_its_parameter() -> None:
    found = holds(q.StringIs("na.me", TextMode.CONTAINS, "a.b\x00"), Place("Task"), Found())
    assert found == {"k": {"$regex": r"^Task\.na\.me\.s\ [^\x1f]*a\.b\x00"}}
    assert "\x00" not in str(found["k"]["$regex"])


def test_what_nothing_can_satisfy_is_not_asked() -> None:
    assert stages(And((OWNER, q.NOTHING))) is None
    assert stages(q.IdIs(())) is None
    assert stages(q.Not(q.EVERYTHING)) is None
    assert stages(And((OWNER, q.EVERYTHING, OWNER))) == [{"$match": {"k": "Task.owner.r Organization/1"}}]


def test_numbers_are_written_so_that_they_sort() -> None:
    integers = [-(2**62), -1_000, -1, 0, 1, 999, 2**62]
    assert sorted(map(integer, integers)) == list(map(integer, integers))
    reals = [float("-inf"), -1e300, -2.5, -1e-300, 0.0, 1e-300, 1.0, 1.5, 1e300, float("inf")]
    assert sorted(map(real, reals)) == list(map(real, reals))
    assert real(-0.0) == real(0.0)


@pytest.mark.parametrize("prefix", ["a", "a\U0010ffff", "\ud7ff", "é"])
def test_the_successor_of_a_prefix_is_beyond_all_that_begins_with_it(prefix: str) -> None:
    assert prefix < prefix + "\U0010ffff" * 3 < successor(prefix)
