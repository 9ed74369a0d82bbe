"""Query → one SQL statement: choose what drives it, narrow it, order it, cut the page, then fetch the bodies."""

from collections.abc import Callable
from math import sqrt

from fhir_server.search.query import And, Near, Query
from fhir_server.store.port import Row
from fhir_server.store.sqlite import order, ordered
from fhir_server.store.sqlite.conditions import Conditions, Scope
from fhir_server.store.sqlite.drivers import Driver, Rank, drivers, parts_of, positions, walk
from fhir_server.store.sqlite.handful import handful
from fhir_server.store.sqlite.link import Link
from fhir_server.store.sqlite.measured import Measured
from fhir_server.store.sqlite.names import Names
from fhir_server.store.sqlite.nearest import alone, widening
from fhir_server.store.sqlite.plan import Plan
from fhir_server.store.sqlite.sql import TRUE, Sql, both

_VERY_FEW, _FEW, _MANY = 20, 200, 1_000
"""How few candidates end the search for a plan, and up to how many an equality, and a range, are counted."""

_PATIENCE = 4
"""How many times the rows that match, as they are estimated, are walked before they are sorted after all."""

_BODY = "v.seq, v.id, v.vid, v.lu, v.method, v.body"


class Compiler:
    """Makes the statements of one snapshot; it may count a few rows of it to choose between plans."""

    __slots__ = ("_link", "_names", "_seen", "plans")

    def __init__(self, link: Link, names: Names, seen: Sql = TRUE) -> None:
        """Keep the connection to count on; `seen` is a condition that is asked of each candidate before all others."""
        self._link = link
        self._names = names
        self._seen = seen
        self.plans: list[Plan] = []
        """What `search` ran, the last of which gave the end of the page."""

    def rows(self, query: Query) -> Plan:
        """Return the statement for a page of results."""
        scope = Scope(self._link.execute, self._names, query.type)
        conditions = Conditions(self._link.register)
        if order.by_sequence(query):
            return self._in_sequence(query, scope, conditions)
        circle = None if query.sort else alone(query.where)
        if isinstance(circle, Near):
            return self._nearest(query, scope, conditions, circle)
        return self._sorted(query, scope, conditions, self._choose(query, scope, conditions, in_order=False))

    def search(self, query: Query, total: Callable[[], int]) -> list[Row]:
        """Run a search in the way that reads least; `total` counts the current resources of its type."""
        few = self._few(query)
        if few is not None:
            return few
        if query.sort and query.sort[0].param != "_lastUpdated":
            ordered_page = self._in_order(query, total)
            if ordered_page is not None:
                return ordered_page
        rows: list[Row] = []
        for step in widening(query, lambda circle, most: self._about(query.type, circle, most)):
            measured = self._measured(step)
            rows = self._run(query, self.rows(step)) if measured is None else measured
            if len(rows) >= query.limit:
                break
        return rows

    def _measured(self, query: Query) -> list[Row] | None:
        """Return the nearest in a circle, without a statement that sorts them; None when it is no circle, or takes one."""
        circle = None if query.sort or self._seen is not TRUE else alone(query.where)
        if not isinstance(circle, Near):
            return None
        scope, conditions = Scope(self._link.execute, self._names, query.type), Conditions(self._link.register)
        p = scope.number(circle.param, "g")
        if p is None or self._rare(query, scope, conditions):
            return None
        others = (conditions.holds(part, scope, "d.seq") for part in parts_of(query.where) if part is not circle)
        measured = Measured.of(circle, p, both(others))
        self.plans.append(Plan(*measured.positions))
        return measured.page(self._link.execute, query)

    def _rare(self, query: Query, scope: Scope, conditions: Conditions) -> bool:
        """Whether a key has fewer candidates than a circle might."""
        found = drivers(query.where, scope, conditions) if isinstance(query.where, And) else []
        return any(driver.rank <= Rank.KEYS and self._count(driver, _FEW) < _FEW for driver in found)

    def _few(self, query: Query) -> list[Row] | None:
        """Return the page of a query that asks for a few resources by name; None when it does not, or finds many."""
        found = handful(query, Scope(self._link.execute, self._names, query.type)) if self._seen is TRUE else None
        if found is None:
            return None
        rows = self._run(query, Plan(found.text, found.values))
        if len(rows) >= found.below:
            return None
        rows.sort(key=_identity)
        return rows

    def _run(self, query: Query, plan: Plan) -> list[Row]:
        self.plans.append(plan)
        return plan.page(self._link, query.type)

    def _in_order(self, query: Query, total: Callable[[], int]) -> list[Row] | None:
        """Walk the index of the order, where that is expected to read less than to sort all that matches."""
        scope = Scope(self._link.execute, self._names, query.type)
        sources = [] if query.sort[0].param == "_id" else ordered.sources_of(query, scope)
        if sources is None or len(query.sort) > 1:
            return None
        found = drivers(query.where, scope, Conditions(self._link.register))
        if any(driver.rank is Rank.IDS or self._count(driver, _FEW) < _FEW for driver in found):
            return None
        number = total()
        matching = min([number, *map(self._size, found)])
        if matching * matching <= query.limit * number:
            return None
        if not sources:
            return self._run(query, self._by_id(query, TRUE, None))
        shared = int(number * sqrt(query.limit / matching))
        return ordered.page(
            self._link.execute,
            query,
            sources[0],
            ordered.Bounds(shared, _PATIENCE * matching),
            (
                lambda part, driver: self._run(part, self._stretch(part, driver)),
                lambda part, condition, value: self._run(part, self._by_id(part, condition, value)),
            ),
        )

    def _stretch(self, query: Query, driver: Driver) -> Plan:
        scope = Scope(self._link.execute, self._names, query.type)
        return self._sorted(query, scope, Conditions(self._link.register), driver)

    def _by_id(self, query: Query, condition: Sql, value: str | float | None) -> Plan:
        """Walk the resources of a type by id: those that satisfy a condition, and are sorted by this value."""
        scope = Scope(self._link.execute, self._names, query.type)
        conditions = Conditions(self._link.register)
        keys = order.keys(query, scope, conditions, "d.seq", "d.id")
        descending = keys[-1].descending
        rest = both((self._seen, condition, *(conditions.holds(p, scope, "d.seq") for p in parts_of(query.where))))
        same = Sql(f"{keys[0].value} IS ?", (*keys[0].value.values, value)) if len(keys) > 1 else TRUE
        last = query.after[-1] if query.after else None
        beyond = TRUE if last is None else Sql(f"d.id {'<' if descending else '>'} ?", (last,))
        where = both((Sql("d.type = ?", (scope.type_number(),)), beyond, Sql("d.live"), rest, same))
        direction = "DESC" if descending else "ASC"
        distance = order.distance(query.where, scope, conditions, "v.seq")
        position = "?, page.id" if len(keys) > 1 else "page.id"
        return Plan(
            f"SELECT {_BODY}, {distance}, {position} FROM (SELECT d.seq AS seq, d.id AS id FROM head AS d "
            f"WHERE {where} ORDER BY d.id {direction} LIMIT ?) AS page CROSS JOIN version AS v ON v.seq = page.seq",
            (*distance.values, *((value,) if len(keys) > 1 else ()), *where.values, query.limit),
        )

    def count(self, query: Query, limit: int | None) -> Sql:
        """Return the statement that counts the matches, up to a limit."""
        scope = Scope(self._link.execute, self._names, query.type)
        conditions = Conditions(self._link.register)
        driver = self._choose(query, scope, conditions, in_order=False)
        found = self._matching(query, scope, conditions, driver)
        return Sql(f"SELECT count(*) FROM ({found} LIMIT ?)", (*found.values, -1 if limit is None else limit))

    def _in_sequence(self, query: Query, scope: Scope, conditions: Conditions) -> Plan:
        """Without sorting, wherever the driver allows it: most pages end after the first few candidates."""
        descending = not query.sort or query.sort[0].descending
        direction = "DESC" if descending else "ASC"
        bound = TRUE
        if query.after:
            bound = Sql(f"d.seq {'<' if descending else '>'} ?", (query.after[0],))
        driver = self._choose(query, scope, conditions, in_order=True)
        found = self._matching(query, scope, conditions, driver, bound)
        distance = order.distance(query.where, scope, conditions, "v.seq")
        return Plan(
            f"SELECT {_BODY}, {distance}, v.seq FROM ({found} ORDER BY 1 {direction} LIMIT ?) AS page "
            "CROSS JOIN version AS v ON v.seq = page.seq",
            (*distance.values, *found.values, query.limit),
            descending,
        )

    def _sorted(self, query: Query, scope: Scope, conditions: Conditions, driver: Driver) -> Plan:
        """Every match with its sort values, and the page of them."""
        found = self._matching(query, scope, conditions, driver)
        keys = order.keys(query, scope, conditions, "w.seq", "w.id")
        named = [f"k{place}" for place in range(len(keys))]
        values = ", ".join(f"{key.value} AS {name}" for key, name in zip(keys, named, strict=True))
        beyond = order.beyond(keys, named, query.after)
        distance = order.distance(query.where, scope, conditions, "v.seq")
        ordering = order.clause(keys, named)
        page = (
            f"SELECT * FROM (SELECT m.seq AS seq, {values} FROM ({found}) AS m CROSS JOIN version AS w ON w.seq = m.seq) "
            f"WHERE {beyond} ORDER BY {ordering} LIMIT ?"
        )
        return Plan(
            f"SELECT {_BODY}, {distance}, {', '.join(named)} FROM ({page}) AS page "
            f"CROSS JOIN version AS v ON v.seq = page.seq ORDER BY {ordering}",
            (
                *distance.values,
                *(value for key in keys for value in key.value.values),
                *found.values,
                *beyond.values,
                query.limit,
            ),
        )

    def _nearest(self, query: Query, scope: Scope, conditions: Conditions, circle: Near) -> Plan:
        """Every position in the circle, measured once; unless a key has fewer candidates than a circle might."""
        p = scope.number(circle.param, "g")
        if p is None or self._rare(query, scope, conditions):
            return self._sorted(query, scope, conditions, self._choose(query, scope, conditions, in_order=False))
        a = conditions.alias()
        found = positions(circle, p, a)
        others = (conditions.holds(part, scope, "d.seq") for part in parts_of(query.where) if part is not circle)
        rest = both((self._seen, *others))
        beyond = order.beyond(order.NEAREST, ("k0", "k1"), query.after)
        ordering = order.clause(order.NEAREST, ("k0", "k1"))
        measured = f"SELECT {a}.seq AS seq, metres(?, ?, {a}.lat, {a}.lon) AS m FROM {found} LIMIT -1"
        page = (
            f"SELECT * FROM (SELECT d.seq AS seq, min(d.m) AS k0, w.id AS k1 FROM ({measured}) AS d "
            f"CROSS JOIN version AS w ON w.seq = d.seq WHERE d.m <= ? AND {rest} GROUP BY d.seq) "
            f"WHERE {beyond} ORDER BY {ordering} LIMIT ?"
        )
        point = (circle.latitude, circle.longitude)
        return Plan(
            f"SELECT {_BODY}, k0, k0, k1 FROM ({page}) AS page CROSS JOIN version AS v ON v.seq = page.seq ORDER BY {ordering}",
            (*point, *found.values, circle.metres, *rest.values, *beyond.values, query.limit),
        )

    def _about(self, resource_type: str, circle: Near, most: int) -> int:
        """Count the positions in the box about a circle, up to a limit."""
        p = Scope(self._link.execute, self._names, resource_type).number(circle.param, "g")
        if p is None:
            return 0
        found = positions(circle, p, "a")
        text = f"SELECT count(*) FROM (SELECT 1 FROM {found} LIMIT ?)"
        return int(self._link.execute(text, (*found.values, most)).fetchone()[0])

    def _matching(self, query: Query, scope: Scope, conditions: Conditions, driver: Driver, bound: Sql = TRUE) -> Sql:
        """Return a select of the sequence numbers of all that matches, each once."""
        rest = (conditions.holds(part, scope, "d.seq") for part in parts_of(query.where) if not driver.satisfies(part))
        arms = driver.only(both((self._seen, bound, *rest)))
        distinct = "" if driver.ordered or len(arms) > 1 else "DISTINCT "
        text = " UNION ".join(f"SELECT {distinct}d.seq AS seq FROM {arm}" for arm in arms)
        return Sql(text, tuple(value for arm in arms for value in arm.values))

    def _choose(self, query: Query, scope: Scope, conditions: Conditions, *, in_order: bool) -> Driver:
        """Take the driver with the fewest candidates, as far as a short count can tell."""
        found = drivers(query.where, scope, conditions)
        if not found:
            return walk(scope)
        exact = [driver for driver in found if driver.rank <= Rank.KEYS]
        others = found[len(exact) :]
        if len(found) == 1 and not in_order:  # nothing to choose from, and nothing to gain by walking
            return found[0]
        if exact and (len(exact) == 1 or exact[0].rank is Rank.IDS) and not others:
            return exact[0]
        best, fewest = (walk(scope) if in_order else others[0]) if not exact else exact[0], _MANY
        for driver in exact:
            number = self._count(driver, min(fewest, _FEW))
            if number < min(fewest, _FEW):
                best, fewest = driver, number
            if fewest <= _VERY_FEW:
                return best
        if fewest < _FEW:
            return best
        if len(exact) > 1:
            best = min(exact, key=self._size)
        if exact and in_order:
            fewest = _FEW  # an equality that gives a page in order is only worth leaving for a handful
        for driver in others:
            number = self._count(driver, fewest)
            if number < fewest:
                best, fewest = driver, number
        return best

    def _size(self, driver: Driver) -> int:
        return self._names.sizes.of(driver.arms, lambda limit: self._count(driver, limit))

    def _count(self, driver: Driver, limit: int) -> int:
        """Count candidates up to a limit; one that comes twice counts twice, it costs twice."""
        total = 0
        for arm in driver.arms:
            text = f"SELECT count(*) FROM (SELECT 1 FROM {arm} LIMIT ?)"
            total += self._link.execute(text, (*arm.values, limit - total)).fetchone()[0]
            if total >= limit:
                break
        return total


def _identity(row: Row) -> str:
    return row.version.id
