"""The truth tables of search as values, for every interpreter and every store.

A table is a world of resources and rows: in this world, the query finds exactly these resources of its type. Each pair of
a row and a resource of that type is one case, `matches` or not; `Table.cases` counts them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from fhir_server.model.temporal import parse_temporal
from fhir_server.search.extract import Extractor
from fhir_server.search.parameters import Registry
from fhir_server.search.parse import parse_search
from fhir_server.search.request import Follow, Lineage, Link, Relation, SearchRequest
from fhir_server.search.values import Entry, ReferenceEntry

HERE = Path(__file__).parent
DEFAULT_NOW = "2026-06-01T00:00:00Z"
DEFAULT_LAST_UPDATED = "2026-05-01T00:00:00.000Z"


class Row(NamedTuple):
    """One query, the ids of what it finds, and the rule that says so."""

    query: str
    matches: frozenset[str]
    rule: str


class Stored(NamedTuple):
    """One resource of the world, as `search.match.Indexed` wants it."""

    type: str
    id: str
    last_updated_us: int
    entries: tuple[Entry, ...]
    body: dict[str, Any]


class Table(NamedTuple):
    """One file."""

    name: str
    now_us: int
    own_base: str
    resources: tuple[dict[str, Any], ...]
    rows: tuple[Row, ...]
    codes: dict[str, list[list[str]]]
    """What terminology answers: relation and text, such as `in http://vs`, to system and code."""

    @property
    def cases(self) -> int:
        return sum(self.ids_of(row).__len__() for row in self.rows)

    def ids_of(self, row: Row) -> frozenset[str]:
        kind = row.query.partition("?")[0]
        return frozenset(resource["id"] for resource in self.resources if resource["resourceType"] == kind)

    def request(self, registry: Registry, row: Row, follow: Follow | None = None) -> SearchRequest:
        """Read a query; hierarchies are those of the world, unless a store tells them."""
        kind, _, text = row.query.partition("?")
        params = parse_qsl(text, keep_blank_values=True, strict_parsing=True, separator="&")

        def of_the_world(lineage: Lineage, link: Link, starts: tuple[str, ...]) -> list[str]:
            return World(self.stored(registry)).follow(lineage, link, starts)

        return parse_search(
            registry,
            kind,
            params,
            strict=True,
            own_base=self.own_base,
            expand=self.expand,
            follow=follow or of_the_world,
            now_us=self.now_us,
        )

    def expand(self, relation: Relation, text: str) -> list[tuple[str, str]]:
        return [(system, code) for system, code in self.codes[f"{relation} {text}"]]

    def stored(self, registry: Registry) -> tuple[Stored, ...]:
        extractor = Extractor(registry, self.own_base)
        return tuple(
            Stored(body["resourceType"], body["id"], last_updated_us(body), extractor.extract(body), body)
            for body in self.resources
        )


def last_updated_us(body: dict[str, Any]) -> int:
    """Microseconds since the epoch of `meta.lastUpdated`, or of the default."""
    return parse_temporal(body.get("meta", {}).get("lastUpdated", DEFAULT_LAST_UPDATED)).lo


def load(path: Path) -> Table:
    raw = json.loads(path.read_text())
    rows = tuple(Row(row["query"], frozenset(row["matches"]), row["rule"]) for row in raw["rows"])
    now = parse_temporal(raw.get("now", DEFAULT_NOW)).lo
    return Table(path.stem, now, raw.get("own_base", ""), tuple(raw["resources"]), rows, raw.get("codes", {}))


def tables() -> Iterator[Table]:
    """Every table, in alphabetical order."""
    for path in sorted(HERE.glob("*.json")):
        yield load(path)


class World:
    """`search.match.Lookup` over the resources of a table."""

    def __init__(self, stored: tuple[Stored, ...]) -> None:
        self._stored = {(resource.type, resource.id): resource for resource in stored}

    def resource(self, resource_type: str, resource_id: str) -> Stored | None:
        return self._stored.get((resource_type, resource_id))

    def referrers(self, resource_type: str, param: str, target: str) -> list[Stored]:
        return [
            resource
            for (kind, _), resource in self._stored.items()
            if kind == resource_type
            and any(entry.param == param and getattr(entry, "target", None) == target for entry in resource.entries)
        ]

    def follow(self, lineage: Lineage, link: Link, starts: tuple[str, ...]) -> list[str]:
        """Return what is named and all above or below it, by looking at every reference until nothing is new."""
        pairs = {
            (f"{kind}/{identity}", entry.target)
            for (kind, identity), resource in self._stored.items()
            for entry in resource.entries
            if kind == link.type and isinstance(entry, ReferenceEntry) and entry.param == link.param and entry.target
        }
        found = set(starts)
        while (
            new := {p if lineage == "below" else w for p, w in pairs if (w if lineage == "below" else p) in found}
            - found
        ):
            found |= new
        return sorted(found)
