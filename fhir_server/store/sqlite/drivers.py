"""What a plan is driven by: the table, and the part of the query, from which the candidates come.

An equality gives its candidates in the order of `_lastUpdated` and is worth most. A range gives them in another order, so
that it pays when they are few or must be sorted anyway. Without either, the current versions of the type are walked.
"""

from enum import IntEnum
from typing import NamedTuple

from fhir_server.search import query as q
from fhir_server.search.query import Node, TextMode
from fhir_server.search.text import normalise
from fhir_server.store.sqlite import pairs, words
from fhir_server.store.sqlite.cells import cover
from fhir_server.store.sqlite.conditions import Conditions, Scope
from fhir_server.store.sqlite.keys import Key, equalities
from fhir_server.store.sqlite.ranges import box
from fhir_server.store.sqlite.shapes import KIND as SHAPE
from fhir_server.store.sqlite.sql import FALSE, Sql, among, begins, both

MOST_ARMS = 12
"""More keys than this are read as one list and sorted, fewer are merged in order."""

_NONE = Sql("(SELECT 0 AS seq LIMIT 0) AS d WHERE 1")


class Rank(IntEnum):
    """How promising a driver is before anything is counted; the lowest first."""

    IDS = 0
    ONE_REFERENCE = 1
    ONE_VALUE = 2
    KEYS = 3
    LINK = 4
    RANGE = 5
    WALK = 6


class Driver(NamedTuple):
    """Candidates: each arm is `table AS d WHERE …` with a column `seq`; a version may come from several arms."""

    rank: Rank
    arms: tuple[Sql, ...]
    node: Node | None = None
    """The part of the query that the candidates satisfy and need not be asked again; None when it is asked again."""

    also: Node | None = None
    """Another such part."""

    def satisfies(self, part: Node) -> bool:
        """Whether the candidates satisfy this very part of the query."""
        return part is self.node or part is self.also

    @property
    def ordered(self) -> bool:
        """Whether each arm gives its candidates in the order of their sequence, each once."""
        return self.rank in (Rank.ONE_REFERENCE, Rank.ONE_VALUE, Rank.KEYS, Rank.WALK)

    def only(self, condition: Sql) -> tuple[Sql, ...]:
        """Return the arms, narrowed by a condition on `d.seq`."""
        return tuple(Sql(f"{arm} AND {condition}", arm.values + condition.values) for arm in self.arms)


def parts_of(node: Node) -> tuple[Node, ...]:
    """Return the parts that all must hold."""
    if isinstance(node, q.And):
        return tuple(inner for part in node.parts for inner in parts_of(part))
    return (node,)


def walk(scope: Scope) -> Driver:
    """Return the driver that walks all current versions of the type."""
    return Driver(Rank.WALK, (Sql("live AS d WHERE d.type = ?", (scope.type_number(),)),))


def drivers(node: Node, scope: Scope, conditions: Conditions) -> list[Driver]:
    """Return what could drive a plan for the node, the most promising first; the walk is not among them."""
    parts = parts_of(node)
    found: list[Driver | None] = []
    pair = pairs.asked(scope.type, parts)
    if pair is not None:
        first, second = pair.parts
        parts = tuple(part for part in parts if part is not first and part is not second)
        p = scope.number(pair.pair.name, pairs.KIND)
        keys = [] if p is None else [Key("eq", p, value) for value in pair.values]
        found.append(_by_keys(keys, first)._replace(also=second))
    found += [driver_of(part, scope, conditions) for part in parts]
    return sorted((driver for driver in found if driver is not None), key=lambda driver: driver.rank)


def driver_of(node: Node, scope: Scope, conditions: Conditions) -> Driver | None:
    """Return the driver that a node gives, None when it gives none."""
    keys = equalities(node, scope.number)
    if keys is not None:
        return _by_keys(keys, node)
    match node:
        case q.IdIs(ids):
            named = among("d.id", ids) if ids else FALSE
            return Driver(
                Rank.IDS,
                (Sql(f"head AS d WHERE d.type = ? AND {named} AND d.live", (scope.type_number(), *named.values)),),
                node,
            )
        case q.Or(parts):
            return _union([driver_of(part, scope, conditions) for part in parts], node)
        case q.Chain():
            return _by_chain(node, scope, conditions)
        case q.Has():
            return _by_has(node, scope, conditions)
        case q.FullText(_, phrases) if phrases:
            found_text = words.driver(node, conditions.alias, scope.type_number())
            return Driver(Rank.RANGE, (Sql(f"({found_text}) AS d WHERE 1", found_text.values),), node)
        case q.Missing():
            return _by_shape(node, scope)
        case q.Unequal(param):
            present = _by_shape(q.Missing(param, missing=False), scope)
            return present and present._replace(node=None)
        case q.Near():
            return _by_cells(node, scope, conditions)
        case q.CompositeIs(param, parts):
            within = scope.within(param)
            found = [driver_of(part, within, conditions) for part in parts]
            best = min((driver for driver in found if driver is not None), key=lambda d: d.rank, default=None)
            return best and best._replace(node=None)
        case _:
            return _by_range(node, scope, conditions)


def _by_keys(keys: list[Key], node: Node) -> Driver:
    if not keys:
        return Driver(Rank.IDS, (_NONE,), node)
    if len(keys) == 1:
        rank = Rank.ONE_REFERENCE if keys[0].table == "ref" else Rank.ONE_VALUE
        return Driver(rank, (_arm(keys[0].table, keys[0].p, [keys[0]]),), node)
    if len(keys) <= MOST_ARMS:
        return Driver(Rank.KEYS, tuple(_arm(key.table, key.p, [key]) for key in keys), node)
    groups: dict[tuple[str, int], list[Key]] = {}
    for key in keys:
        groups.setdefault((key.table, key.p), []).append(key)
    return Driver(Rank.LINK, tuple(_arm(table, p, same) for (table, p), same in groups.items()), node)


def _arm(table: str, p: int, keys: list[Key]) -> Sql:
    wanted = among(f"d.{keys[0].column}", [key.value for key in keys])
    return Sql(f"{table} AS d WHERE d.p = ? AND {wanted}", (p, *wanted.values))


def _union(found: list[Driver | None], node: Node) -> Driver | None:
    """Combine the drivers of alternatives; each must have one. Where one is not exact, the node is asked again."""
    arms: list[Sql] = []
    exact = True
    for driver in found:
        if driver is None:
            return None
        arms += [arm for arm in driver.arms if arm is not _NONE]
        exact = exact and driver.node is not None
    arms = arms or [_NONE]
    rank = max(Rank.LINK, *(d.rank for d in found if d))
    return Driver(rank, tuple(arms), node if exact else None) if found else None


def _by_range(node: Node, scope: Scope, conditions: Conditions) -> Driver | None:
    a = conditions.alias()
    arms = [
        _seqs("eq", a, Sql(f"{a}.p = ? AND {wanted}", (p, *wanted.values)))
        for p, wanted in conditions.spans(node, scope, f"{a}.v")
    ]
    if arms:
        return Driver(Rank.RANGE, tuple(arms), node)
    found = conditions.row(node, scope, a)
    if found is None:
        return None
    table, wanted = found
    if wanted is FALSE:
        return Driver(Rank.IDS, (_NONE,), node)
    if isinstance(node, q.StringIs) and node.mode is TextMode.EXACT and node.param != "phonetic":
        # `x` has no index; its normal form, which every other parameter keeps beside it, has.
        wanted = both((wanted, Sql(f"{a}.v = ?", (normalise(node.value),))))
    return Driver(Rank.RANGE, (_seqs(table, a, wanted),), node)


def _by_shape(node: q.Missing, scope: Scope) -> Driver | None:
    shapes = scope.shapes(node.param, missing=node.missing)
    p = scope.number("", SHAPE)
    if shapes is None or p is None:
        return None
    return _by_keys([Key("eq", p, shape) for shape in shapes], node)


def _by_cells(node: q.Near, scope: Scope, conditions: Conditions) -> Driver:
    p = scope.number(node.param, "g")
    if p is None:
        return Driver(Rank.IDS, (_NONE,), node)
    a = conditions.alias()
    found = positions(node, p, a)
    circle = f"metres(?, ?, {a}.lat, {a}.lon) <= ?"
    values = (*found.values, node.latitude, node.longitude, node.metres)
    return Driver(Rank.RANGE, (Sql(f"(SELECT {a}.seq FROM {found} AND {circle}) AS d WHERE 1", values),), node)


def positions(node: q.Near, p: int, alias: str) -> Sql:
    """Return what follows FROM: the positions in the box around a circle, found by their cells."""
    ranges = cover(node)
    listed = ", ".join(["(?, ?)"] * len(ranges))
    inside = box(node, alias)
    return Sql(
        f"(VALUES {listed}) AS {alias}c CROSS JOIN geo AS {alias} "
        f"WHERE {alias}.p = ? AND {alias}.cell >= {alias}c.column1 AND {alias}.cell <= {alias}c.column2 AND {inside}",
        (*(bound for found in ranges for bound in found), p, *inside.values),
    )


def _seqs(table: str, alias: str, wanted: Sql) -> Sql:
    return Sql(f"(SELECT {alias}.seq FROM {table} AS {alias} WHERE {wanted}) AS d WHERE 1", wanted.values)


def _best(node: Node, scope: Scope, conditions: Conditions) -> list[Sql]:
    """Return the statements, one per arm, whose column `seq` are the versions that satisfy a node of another type."""
    found = drivers(node, scope, conditions)
    driver = found[0] if found else walk(scope)
    rest = both(conditions.holds(part, scope, "d.seq") for part in parts_of(node) if not driver.satisfies(part))
    return [Sql(f"SELECT d.seq FROM {arm}", arm.values) for arm in driver.only(rest)]


def _by_chain(node: q.Chain, scope: Scope, conditions: Conditions) -> Driver | None:
    target = scope.of(node.target)
    p = scope.number(node.param, "r")
    if p is None or target.type_number() is None:
        return Driver(Rank.IDS, (_NONE,), node)
    s, v, r = conditions.alias(), conditions.alias(), conditions.alias()
    arms = [
        Sql(
            f"(SELECT {r}.seq FROM ({found}) AS {s} CROSS JOIN version AS {v} ON {v}.seq = {s}.seq "
            f"CROSS JOIN ref AS {r} ON {r}.target = ? || {v}.id AND {r}.p = ?) AS d WHERE 1",
            (*found.values, f"{node.target}/", p),
        )
        for found in _best(node.part, target, conditions)
    ]
    return Driver(Rank.LINK, tuple(arms), node)


def _by_has(node: q.Has, scope: Scope, conditions: Conditions) -> Driver | None:
    source = scope.of(node.source)
    p = source.number(node.param, "r")
    if p is None:
        return Driver(Rank.IDS, (_NONE,), node)
    s, h, r = conditions.alias(), conditions.alias(), conditions.alias()
    start = f"{scope.type}/"
    named = begins(f"{r}.target", start)
    arms = [
        Sql(
            f"(SELECT {h}.seq FROM ({found}) AS {s} CROSS JOIN ref AS {r} INDEXED BY ref_seq "
            f"ON {r}.seq = {s}.seq AND {r}.p = ? AND {named} "
            f"CROSS JOIN head AS {h} ON {h}.type = ? AND {h}.id = substr({r}.target, ?) AND {h}.live) AS d WHERE 1",
            (*found.values, p, *named.values, scope.type_number(), len(start) + 1),
        )
        for found in _best(node.part, source, conditions)
    ]
    return Driver(Rank.LINK, tuple(arms), node)
