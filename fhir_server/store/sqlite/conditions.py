"""Query tree → a condition on one version: `{seq}` is the sequence number of a current version of a known type.

Each condition probes an index by that number, whatever table the plan is driven by.
"""

from collections.abc import Callable, Iterable
from itertools import groupby

from fhir_server.search import query as q
from fhir_server.search.query import Node, TextMode
from fhir_server.store.sqlite import differing, ranges, shapes, words
from fhir_server.store.sqlite.encode import component, system_code, typed
from fhir_server.store.sqlite.keys import Key, equalities
from fhir_server.store.sqlite.names import Execute, Names
from fhir_server.store.sqlite.sql import FALSE, TRUE, Sql, among, begins, both, exists, joined, successor

Register = Callable[[q.CompositeIs], int]
"""Gives a composite node a number by which the SQL function `paired` finds it."""

_FEW = 12
"""Up to so many references each has a seek of its own."""

_ValueNode = (
    q.TokenIs | q.TokenText | q.OfType | q.RefersTo | q.RefersToIdentifier | q.StringIs | q.UriIs | q.DateCompare
    | q.NumberCompare | q.QuantityCompare | q.BaseQuantityCompare | q.Near
)  # fmt: skip


class Scope:
    """The type that nodes are asked of; inside a composite also its parameter."""

    __slots__ = ("_absent", "_composite", "_execute", "_names", "type")

    def __init__(self, execute: Execute, names: Names, resource_type: str, composite: str = "") -> None:
        self._execute = execute
        self._names = names
        self._composite = composite
        self._absent: set[tuple[str, str]] = set()
        self.type = resource_type

    def number(self, param: str, kind: str) -> int | None:
        """Return the number of a parameter and kind of row, None when nothing was ever indexed so."""
        if self._composite:
            param = component(self._composite, param)
        if (param, kind) in self._absent:  # only what is there is remembered by the names: another process may add it
            return None
        number = self._names.find(self._execute, (self.type, param, kind))
        if number is None:
            self._absent.add((param, kind))
        return number

    def type_number(self) -> int | None:
        """Return the number of the type, None when nothing of it was ever stored."""
        return self._names.find(self._execute, (self.type, "", ""))

    def shapes(self, param: str, *, missing: bool) -> list[str] | None:
        """Return the shapes of resources that lack a parameter, or have it; None when they cannot be told."""
        number = None if self._composite else self.number(param, "")
        return None if number is None else shapes.found(self._execute, self.type, number, missing=missing)

    def of(self, resource_type: str) -> "Scope":
        """Return the scope of another type."""
        return Scope(self._execute, self._names, resource_type)

    def within(self, composite: str) -> "Scope":
        """Return the scope of the components of a composite parameter."""
        return Scope(self._execute, self._names, self.type, composite)


class Conditions:
    """Makes the conditions of one statement."""

    __slots__ = ("_aliases", "_register")

    def __init__(self, register: Register) -> None:
        self._register = register
        self._aliases = 0

    def alias(self) -> str:
        """Return a table alias that nothing else in the statement has."""
        self._aliases += 1
        return f"a{self._aliases}"

    def holds(self, node: Node, scope: Scope, seq: str) -> Sql:
        """Return the condition under which the version with number `seq` satisfies the node."""
        match node:
            case q.And(parts):
                return both(self.holds(part, scope, seq) for part in parts)
            case q.Or(parts):
                return self._any(parts, scope, seq)
            case q.Not(part):
                inner = self.holds(part, scope, seq)
                return Sql(f"NOT {inner}", inner.values)
            case q.IdIs(ids):
                a = self.alias()
                return exists(f"version AS {a}", f"{a}.seq = {seq}", among(f"{a}.id", ids)) if ids else FALSE
            case q.LastUpdated():
                return ranges.last_updated(node, seq)
            case q.Chain():
                return self._chain(node, scope, seq)
            case q.Has():
                return self._has(node, scope, seq)
            case q.CompositeIs():
                return self._composite(node, scope, seq)
            case q.FullText():
                return words.holds(node, self.alias, seq) if node.phrases else TRUE
            case q.Missing(param, missing):
                return self._missing(param, missing, scope, seq)
            case q.Unequal():
                return differing.holds(node, scope.number, self.alias, seq)
            case _:
                return self._value(node, scope, seq)

    def keys(self, keys: Iterable[Key], seq: str) -> Sql:
        """Return the condition that the version has any of these keys."""
        pieces = []
        for (table, p), same in groupby(sorted(keys), key=lambda key: (key.table, key.p)):
            a, found = self.alias(), list(same)
            # a version has few references: each is looked up in a long list, instead of each of the list in the index
            column = f"+{a}.target" if table == "ref" and len(found) > _FEW else f"{a}.{found[0].column}"
            wanted = among(column, [key.value for key in found])
            pieces.append(exists(f"{table} AS {a}", f"{a}.p = ? AND {a}.seq = {seq}", wanted, p))
        return joined(pieces, "OR", FALSE)

    def row(self, node: Node, scope: Scope, alias: str) -> tuple[str, Sql] | None:
        """Return table and condition of the rows that satisfy a node which is answered by one row of a range table."""
        match node:
            case q.TokenText(param, normal):
                return _of("str", scope.number(param, "x"), alias, begins(f"{alias}.v", normal))
            case q.StringIs(param, mode, value):
                return _of("str", scope.number(param, "s"), alias, _text(mode, value, alias))
            case q.DateCompare(param, prefix, lo, hi):
                return _of("dt", scope.number(param, "d"), alias, ranges.interval(prefix, alias, lo, hi))
            case q.NumberCompare(param):
                return _of("num", scope.number(param, "n"), alias, ranges.number(node, alias))
            case q.QuantityCompare(param):
                wanted = both((ranges.number(node, alias), ranges.unit(node, alias)))
                return _of("qty", scope.number(param, "q"), alias, wanted)
            case q.BaseQuantityCompare(param, _, _, _, _, unit):
                wanted = both((ranges.number(node, alias), Sql(f"{alias}.code = ?", (unit,))))
                return _of("qty", scope.number(param, "b"), alias, wanted)
            case q.Near(param, latitude, longitude, metres):
                circle = Sql(f"metres(?, ?, {alias}.lat, {alias}.lon) <= ?", (latitude, longitude, metres))
                return _of("geo", scope.number(param, "g"), alias, both((ranges.box(node, alias), circle)))
            case _:
                return None

    def spans(self, node: Node, scope: Scope, column: str) -> list[tuple[int, Sql]]:
        """Return the ranges of `eq` (number, condition on its value) that a node asks for; none for other nodes."""
        match node:
            case q.TokenIs(param, system, None):
                wanted = [("t", _in_system(column, system))] if system is not None else []
                kinds = {None: ("c", "k"), "": ("k",)}.get(system, ())
                wanted += [(kind, Sql(f"{column} > ''")) for kind in kinds]
            case q.RefersToIdentifier(param, system, None, target_type):
                kind, found = ("ic", "") if system is None else ("it", system_code(system, ""))
                known = (kind + "t", typed(target_type, found)) if target_type else (kind, found)
                starts = (known, (kind + "t", typed("", found)))
                wanted = [
                    (one, begins(column, start) if system else _continues(column, start)) for one, start in starts
                ]
            case q.UriIs(param, TextMode.BELOW, value):
                deeper = begins(column, value if value.endswith("/") else value + "/")
                wanted = [("u", Sql(f"({column} = ? OR {deeper})", (value, *deeper.values)))]
            case q.UriIs(param, TextMode.CONTAINS, value):
                wanted = [("u", Sql(f"instr({column}, ?) > 0", (value,)))]
            case _:
                return []
        numbered = ((scope.number(param, kind), condition) for kind, condition in wanted)
        return [(p, condition) for p, condition in numbered if p is not None]

    def _any(self, parts: tuple[Node, ...], scope: Scope, seq: str) -> Sql:
        exact: list[Key] = []
        pieces: list[Sql] = []
        for part in parts:
            keys = equalities(part, scope.number)
            if keys is None:
                pieces.append(self.holds(part, scope, seq))
            else:
                exact += keys
        if exact:
            pieces.append(self.keys(dict.fromkeys(exact), seq))
        return joined(pieces, "OR", FALSE)

    def _value(self, node: _ValueNode, scope: Scope, seq: str) -> Sql:
        keys = equalities(node, scope.number)
        if keys is not None:
            return self.keys(keys, seq)
        a = self.alias()
        found = self.row(node, scope, a)
        if found is not None:
            table, wanted = found
            if wanted is FALSE:
                return FALSE
            return exists(f"{table} AS {a} INDEXED BY {table}_seq", f"{a}.seq = {seq}", wanted)
        b = self.alias()
        # `eq` cannot be probed by sequence without the value; what was written for the version is kept beside it.
        listed = f"doc AS {a} CROSS JOIN json_each({a}.keys, ?) AS {b}"
        pieces = [
            exists(listed, f"{a}.seq = {seq}", wanted, f'$."{p}"')
            for p, wanted in self.spans(node, scope, f"{b}.value")
        ]
        return joined(pieces, "OR", FALSE)

    def _missing(self, param: str, missing: bool, scope: Scope, seq: str) -> Sql:
        p = scope.number(param, "")
        if p is None:
            return TRUE if missing else FALSE
        a = self.alias()
        found = exists(f"doc AS {a}", f"{a}.seq = {seq}", Sql(f"instr({a}.present, ?) > 0", (f",{p},",)))
        return Sql(f"NOT {found}", found.values) if missing else found

    def _chain(self, node: q.Chain, scope: Scope, seq: str) -> Sql:
        target = scope.of(node.target)
        p, type_number = scope.number(node.param, "r"), target.type_number()
        if p is None or type_number is None:
            return FALSE
        a, b = self.alias(), self.alias()
        part = self.holds(node.part, target, f"{b}.seq")
        start = f"{node.target}/"
        named = begins(f"{a}.target", start)
        return Sql(
            f"EXISTS (SELECT 1 FROM ref AS {a} INDEXED BY ref_seq CROSS JOIN head AS {b} "
            f"WHERE {a}.seq = {seq} AND {a}.p = ? AND {named} "
            f"AND {b}.type = ? AND {b}.id = substr({a}.target, ?) AND {b}.live AND {part})",
            (p, *named.values, type_number, len(start) + 1, *part.values),
        )

    def _has(self, node: q.Has, scope: Scope, seq: str) -> Sql:
        source = scope.of(node.source)
        p = source.number(node.param, "r")
        if p is None:
            return FALSE
        a, b = self.alias(), self.alias()
        part = self.holds(node.part, source, f"{b}.seq")
        return Sql(
            f"EXISTS (SELECT 1 FROM version AS {a} CROSS JOIN ref AS {b} "
            f"WHERE {a}.seq = {seq} AND {b}.target = ? || {a}.id AND {b}.p = ? AND {part})",
            (f"{scope.type}/", p, *part.values),
        )

    def _composite(self, node: q.CompositeIs, scope: Scope, seq: str) -> Sql:
        within = scope.within(node.param)
        pieces = [(part, self.holds(part, within, seq)) for part in node.parts]
        present = self._missing(node.param, False, scope, seq)
        a = self.alias()
        told_apart = Sql(f"({a}.composite IS NULL OR paired({a}.composite, ?))", (self._register(node),))
        # what one occurrence lacks another may have: where there are several, only `paired` can tell
        several = Sql(f"json_type({a}.composite, ?) IS NOT NULL", (f'$."{node.param}"',))
        nots = [piece for part, piece in pieces if isinstance(part, q.Not)]
        lacking = joined((several, both(nots)), "OR", FALSE) if nots else TRUE
        having = (piece for part, piece in pieces if not isinstance(part, q.Not))
        return both((present, *having, exists(f"doc AS {a}", f"{a}.seq = {seq}", both((told_apart, lacking)))))


def _of(table: str, p: int | None, alias: str, wanted: Sql) -> tuple[str, Sql]:
    if p is None:
        return table, FALSE
    return table, Sql(f"({alias}.p = ? AND {wanted})", (p, *wanted.values))


def _text(mode: TextMode, value: str, alias: str) -> Sql:
    match mode:
        case TextMode.STARTS:
            return begins(f"{alias}.v", value)
        case TextMode.CONTAINS:
            return Sql(f"instr({alias}.v, ?) > 0", (value,))
        case TextMode.WHOLE:
            return Sql(f"{alias}.v = ?", (value,))
        case TextMode.EXACT:
            return Sql(f"{alias}.x = ?", (value,))
        case _:
            raise ValueError(f"a string is not compared with {mode}")


def _in_system(column: str, system: str) -> Sql:
    """Any code of a system, or none; without a system there must be a code."""
    found = system_code(system, "")
    return begins(column, found) if system else _continues(column, found)


def _continues(column: str, prefix: str) -> Sql:
    """The column begins with the prefix and is longer."""
    beyond = successor(prefix)
    if beyond is None:
        return Sql(f"{column} > ?", (prefix,))
    return Sql(f"({column} > ? AND {column} < ?)", (prefix, beyond))
