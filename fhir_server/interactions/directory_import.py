"""Bring a social map in: convert records, store what is new or changed, and mark what the source no longer has.

Every resource passes the one write path. A record that is refused leaves nothing behind, the others go on. What a
source brought is kept in records of the store, so that the next import of the same source knows what vanished.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from fhir_server.access.principal import Principal
from fhir_server.interactions.context import Engine
from fhir_server.interactions.directory_doubts import doubts
from fhir_server.interactions.offer_facts import NEED
from fhir_server.interactions.unit import Unit
from fhir_server.mapping.engine import Converter
from fhir_server.mapping.places import Remark
from fhir_server.mapping.sources import Row
from fhir_server.model.codec import canonical, decode_stored
from fhir_server.model.errors import Conflict, Invalid, RuleViolated
from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import Resource, type_and_id
from fhir_server.store.port import Record, Snapshot, UnitOfWork

KIND = "import"
"""Records `import` / `source.mapping Type/id`: what the files of a source with one mapping brought."""
_BATCH = 50
"""Records of one unit of work: enough to share a commit, few enough for other writers to come between."""
_SERVICE = "HealthcareService"
_INACTIVE = {
    "Organization": ("active", False),
    _SERVICE: ("active", False),
    "Location": ("status", "inactive"),
    "Endpoint": ("status", "off"),
}


_NUMBER = re.compile(r"(\d+)")


class Line(NamedTuple):
    """A remark with where its record stands in the source."""

    origin: str
    remark: Remark

    def text(self) -> str:
        """Render it for a person."""
        column = f" {self.remark.column}:" if self.remark.column else ""
        return f"{self.remark.severity} {self.origin}:{column} {self.remark.text}"


@dataclass(slots=True)
class ImportReport:
    """What an import did; `lines` end up in the order of the source."""

    records: int = 0
    refused: int = 0
    created: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)
    vanished: list[str] = field(default_factory=list)
    """`Type/id` of what was marked inactive, because the source no longer has it."""
    vanishing_skipped: bool = False
    """Refused records may be why something is missing: then nothing is marked."""
    lines: list[Line] = field(default_factory=list)


class DirectoryImport:
    """One import of one source. `dry_run` does everything but store."""

    def __init__(
        self, engine: Engine, converter: Converter, source: str, principal: Principal, *, dry_run: bool = False
    ) -> None:
        self._engine = engine
        self._converter = converter
        self._source = source
        self._principal = principal
        self._dry_run = dry_run
        self._seen: dict[str, bytes] = {}
        self._origins: dict[str, str] = {}
        """Where what was seen stands in the source."""
        terminology = engine.terminology
        self._needs = engine.store.read(lambda found: [one.code for one in terminology.on(found).code_system(NEED)])
        self._met: set[str] = set()
        """References to what is stored and this import does not bring."""
        self.report = ImportReport()

    def run(self, rows: Iterable[Row], progress: Callable[[int], None], *, mark_vanished: bool = True) -> ImportReport:
        """Import the records; `progress` is told how many are done. What the reading of `rows` raises comes out, and
        what was stored before stays: running the import again goes on from there.
        """
        groups = _groups(rows)
        while batch := list(islice(groups, _BATCH)):
            taken = [(group[0].origin, self._together(group)) for group in batch]
            self._store([one for one in taken if one[1]])
            progress(self.report.records)
        if mark_vanished:
            self._mark_vanished()
        self.report.lines.sort(key=lambda line: _natural(line.origin))
        return self.report

    def _together(self, rows: list[Row]) -> list[Resource]:
        """Convert records of which all or none are taken."""
        refused = self.report.refused
        made = [(row.origin, list(self._converted(row))) for row in rows]
        if len(rows) > 1 and self.report.refused > refused:
            said = "It and a record that was refused refer to each other."
            for origin, resources in made:
                if resources:
                    self._refuse(origin, resources, [Remark("error", "refused-together", "", said)])
            return []
        return [resource for _, resources in made for resource in resources]

    def _refuse(self, origin: str, resources: Iterable[Resource], faults: Iterable[Remark]) -> None:
        self.report.refused += 1
        self.report.lines += [Line(origin, fault) for fault in faults]
        for resource in resources:
            del self._seen[type_and_id(resource)], self._origins[type_and_id(resource)]

    def _converted(self, row: Row) -> Iterator[Resource]:
        report = self.report
        report.records += 1
        if isinstance(row.record, str):
            self._refuse(row.origin, (), [Remark("error", "unreadable-record", "", row.record)])
            return
        resources, remarks = self._converter.convert(row.record, self._known)
        new = [resource for resource in resources if self._first(row, resource)]
        faults = [fault for resource in new for fault in self._judged(resource)]
        now = self._engine.clock.now_ms()
        doubted = [doubt for resource in new for doubt in doubts(resource, self._needs, now)]
        report.lines += [Line(row.origin, remark) for remark in (*remarks, *doubted)]
        if faults or any(remark.severity == "error" for remark in remarks):
            self._refuse(row.origin, new, faults)
            return
        yield from new

    def _known(self, reference: str) -> bool:
        """Tell whether a reference leads to what this import has taken, or to what is stored."""
        parsed = parse_reference(reference, self._engine.own_base)
        if parsed.kind != "relative":
            return False
        if parsed.key in self._seen or parsed.key in self._met:
            return True
        current = self._engine.store.read(lambda snapshot: snapshot.current(parsed.type, parsed.id))
        if current is None or current.deleted:
            return False
        self._met.add(parsed.key)
        return True

    def _first(self, row: Row, resource: Resource) -> bool:
        """Tell whether this is the first time that the import meets the resource; remark when it said otherwise before."""
        name, content = type_and_id(resource), canonical(resource)
        before = self._seen.setdefault(name, content)
        first = self._origins.setdefault(name, row.origin)
        if before is content:
            return True
        if before != content:
            said = f"{name} was described otherwise by {first}; the first description counts."
            self.report.lines.append(Line(row.origin, Remark("warning", "described-twice", "", said)))
        elif resource["resourceType"] == _SERVICE and first != row.origin:
            said = f"{name} is the service of {first} again: same id, same content. Keep one of them."
            self.report.lines.append(Line(row.origin, Remark("warning", "described-twice", "", said)))
        return False

    def _judged(self, resource: Resource) -> Iterator[Remark]:
        for issue in self._engine.validator.judge(resource).issues:
            if issue.severity in ("error", "fatal"):
                yield Remark("error", issue.key, issue.expression, issue.diagnostics)

    def _store(self, groups: list[tuple[str, list[Resource]]]) -> None:
        """Store what records became, in one unit of work; when it is refused, each by itself, to find which it is."""
        resources = [resource for _, made in groups for resource in made]
        if not resources:
            return
        try:
            outcome = self._compared(resources) if self._dry_run else self._written(resources)
        except (Invalid, RuleViolated, Conflict) as error:
            if len(groups) == 1:
                faults = [Remark("error", one.key, one.expression, one.diagnostics) for one in error.issues]
                self._refuse(groups[0][0], resources, faults)
                return
            for group in groups:
                self._store([group])
            return
        for what, resource_type in outcome:
            getattr(self.report, what)[resource_type] += 1

    def _compared(self, resources: list[Resource]) -> list[tuple[str, str]]:
        def compare(snapshot: Snapshot) -> list[tuple[str, str]]:
            return [
                (
                    "created" if snapshot.current(one["resourceType"], one["id"]) is None else "updated",
                    one["resourceType"],
                )
                for one in resources
            ]

        return self._engine.store.read(compare)

    def _written(self, resources: list[Resource]) -> list[tuple[str, str]]:
        def work(uow: UnitOfWork) -> list[tuple[str, str]]:
            unit = Unit(self._engine, uow, self._principal)
            outcome = [(self._put(unit, resource), str(resource["resourceType"])) for resource in resources]
            unit.settle()
            return outcome

        return self._engine.store.write(work)

    def _put(self, unit: Unit, resource: Resource) -> str:
        resource_type, resource_id = resource["resourceType"], resource["id"]
        current = unit.uow.current(resource_type, resource_id)
        version = unit.write(resource, resource_id, "PUT", current)
        key = f"{self._source} {resource_type}/{resource_id}"
        if unit.uow.record(KIND, key) is None:
            unit.uow.set_record(KIND, key, b"")
        if current is None or current.deleted:
            return "created"
        return "unchanged" if version.version == current.version else "updated"

    def _mark_vanished(self) -> None:
        if self.report.refused:
            self.report.vanishing_skipped = True
            return
        missing = [name for name in self._brought() if name not in self._seen]
        for start in range(0, len(missing), _BATCH):
            part = missing[start : start + _BATCH]
            if self._dry_run:
                self.report.vanished += part
            else:
                self.report.vanished += self._closed(part)

    def _brought(self) -> Iterator[str]:
        prefix = f"{self._source} "
        after = prefix
        while True:
            page = self._page(after)
            for record in page:
                if not record.key.startswith(prefix):
                    return
                yield record.key.removeprefix(prefix)
            if not page:
                return
            after = page[-1].key

    def _page(self, after: str) -> list[Record]:
        return self._engine.store.read(lambda snapshot: snapshot.records(KIND, after, 1000))

    def _closed(self, names: list[str]) -> list[str]:
        return self._engine.store.write(lambda uow: self._close(uow, names))

    def _close(self, uow: UnitOfWork, names: list[str]) -> list[str]:
        unit, closed = Unit(self._engine, uow, self._principal), []
        for name in names:
            resource_type, resource_id = name.split("/", 1)
            current = uow.current(resource_type, resource_id)
            member, value = _INACTIVE.get(resource_type, ("", None))
            if current is None or current.body is None or not member:
                continue
            resource = decode_stored(current.body)
            if resource.get(member) != value:
                unit.write({**resource, member: value}, resource_id, "PUT", current)
                closed.append(name)
        unit.settle()
        return closed


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield the rows that belong together."""
    group: list[Row] = []
    for row in rows:
        group.append(row)
        if not row.joined:
            yield group
            group = []
    if group:
        yield group


def _natural(origin: str) -> list[tuple[int, str]]:
    """Return what an origin is sorted by: its numbers count as numbers."""
    return [(int(part), "") if at % 2 else (-1, part) for at, part in enumerate(_NUMBER.split(origin))]
