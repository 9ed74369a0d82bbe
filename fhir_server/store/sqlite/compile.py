"""Query → one SQL statement: choose what drives it, narrow it, order it, cut the page, then fetch the bodies."""

from operator import itemgetter
from typing import Any, NamedTuple

from fhir_server.search.query import Query
from fhir_server.store.port import Row, Version
from fhir_server.store.sqlite import order
from fhir_server.store.sqlite.conditions import Conditions, Scope
from fhir_server.store.sqlite.drivers import Driver, Rank, drivers, parts_of, walk
from fhir_server.store.sqlite.link import Link
from fhir_server.store.sqlite.names import Names
from fhir_server.store.sqlite.sql import TRUE, Sql, both

_VERY_FEW, _FEW, _MANY = 20, 200, 1_000
"""How few candidates end the search for a plan, and up to how many an equality, and a range, are counted."""

_BODY = "v.seq, v.id, v.vid, v.lu, v.method, v.body"


class Plan(NamedTuple):
    """A statement for a page; its columns are sequence, id, version, time, method, body, distance, sort values."""

    text: str
    values: tuple[Any, ...]
    descending: bool | None = None
    """Whether the rows, which come in any order, are to be ordered by their sequence; None: they come as they are asked."""

    def page(self, link: Link, resource_type: str) -> list[Row]:
        """Run the statement."""
        rows = link.execute(self.text, self.values).fetchall()
        if self.descending is not None:  # cheaper here than in SQLite, which would copy the bodies
            rows.sort(key=itemgetter(0), reverse=self.descending)
        return [self.row(resource_type, row) for row in rows]

    @staticmethod
    def row(resource_type: str, row: tuple[Any, ...]) -> Row:
        """Return the search result that a row is."""
        version = Version(row[0], resource_type, row[1], row[2], row[3], row[4], row[5])
        return Row(version, row[7:], row[6])


class Compiler:
    """Makes the statements of one snapshot; it may count a few rows of it to choose between plans."""

    __slots__ = ("_link", "_names", "_seen")

    def __init__(self, link: Link, names: Names, seen: Sql = TRUE) -> None:
        """Keep the connection to count on; `seen` is a condition that is asked of each candidate before all others."""
        self._link = link
        self._names = names
        self._seen = seen

    def rows(self, query: Query) -> Plan:
        """Return the statement for a page of results."""
        scope = Scope(self._link.execute, self._names, query.type)
        conditions = Conditions(self._link.register)
        if order.by_sequence(query):
            return self._in_sequence(query, scope, conditions)
        return self._sorted(query, scope, conditions)

    def count(self, query: Query, limit: int | None) -> Sql:
        """Return the statement that counts the matches, up to a limit."""
        scope = Scope(self._link.execute, self._names, query.type)
        conditions = Conditions(self._link.register)
        found = self._matching(query, scope, conditions, in_order=False)
        return Sql(f"SELECT count(*) FROM ({found} LIMIT ?)", (*found.values, -1 if limit is None else limit))

    def _in_sequence(self, query: Query, scope: Scope, conditions: Conditions) -> Plan:
        """Without sorting, wherever the driver allows it: most pages end after the first few candidates."""
        descending = not query.sort or query.sort[0].descending
        direction = "DESC" if descending else "ASC"
        bound = TRUE
        if query.after:
            bound = Sql(f"d.seq {'<' if descending else '>'} ?", (query.after[0],))
        found = self._matching(query, scope, conditions, in_order=True, bound=bound)
        distance = order.distance(query.where, scope, conditions, "v.seq")
        return Plan(
            f"SELECT {_BODY}, {distance}, v.seq FROM ({found} ORDER BY 1 {direction} LIMIT ?) AS page "
            "CROSS JOIN version AS v ON v.seq = page.seq",
            (*distance.values, *found.values, query.limit),
            descending,
        )

    def _sorted(self, query: Query, scope: Scope, conditions: Conditions) -> Plan:
        """Every match with its sort values, and the page of them."""
        found = self._matching(query, scope, conditions, in_order=False)
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

    def _matching(
        self, query: Query, scope: Scope, conditions: Conditions, *, in_order: bool, bound: Sql = TRUE
    ) -> Sql:
        """Return a select of the sequence numbers of all that matches, each once."""
        driver = self._choose(query, scope, conditions, in_order=in_order)
        rest = (conditions.holds(part, scope, "d.seq") for part in parts_of(query.where) if part is not driver.node)
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
        if exact and in_order:
            fewest = _FEW  # an equality that gives a page in order is only worth leaving for a handful
        for driver in others:
            number = self._count(driver, fewest)
            if number < fewest:
                best, fewest = driver, number
        return best

    def _count(self, driver: Driver, limit: int) -> int:
        """Count candidates up to a limit; one that comes twice counts twice, it costs twice."""
        total = 0
        for arm in driver.arms:
            text = f"SELECT count(*) FROM (SELECT 1 FROM {arm} LIMIT ?)"
            total += self._link.execute(text, (*arm.values, limit - total)).fetchone()[0]
            if total >= limit:
                break
        return total
