"""Bring a social map in: convert records, store what is new or changed, and mark what the source no longer has.

Every resource passes the one write path. A record that is refused leaves nothing behind, the others go on. What a
source brought is kept in records of the store, so that the next import of the same source knows what vanished.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from fhir_server.access.principal import Principal
from fhir_server.interactions.context import Engine
from fhir_server.interactions.unit import Unit
from fhir_server.mapping.engine import Converter
from fhir_server.mapping.places import Remark
from fhir_server.mapping.tables import Row
from fhir_server.model.codec import canonical, decode_stored
from fhir_server.model.resource import Resource, type_and_id
from fhir_server.store.port import Record, UnitOfWork

KIND = "import"
"""Records `import` / `source.mapping Type/id`: what the files of a source with one mapping brought."""
_BATCH = 50
"""Records of one unit of work: enough to share a commit, few enough for other writers to come between."""
_INACTIVE = {
    "Organization": ("active", False),
    "HealthcareService": ("active", False),
    "Location": ("status", "inactive"),
}


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
    """What an import did; `lines` are in the order of the source."""

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
        self.report = ImportReport()

    def run(self, rows: Iterable[Row], progress: Callable[[int], None], *, mark_vanished: bool = True) -> ImportReport:
        """Import the records; `progress` is told how many are done. What the reading of `rows` raises comes out, and
        what was stored before stays: running the import again goes on from there.
        """
        remaining = iter(rows)
        while batch := list(islice(remaining, _BATCH)):
            resources = [resource for row in batch for resource in self._converted(row)]
            if resources:
                self._store(resources)
            progress(self.report.records)
        if mark_vanished:
            self._mark_vanished()
        return self.report

    def _converted(self, row: Row) -> Iterator[Resource]:
        report = self.report
        report.records += 1
        if isinstance(row.record, str):
            report.refused += 1
            report.lines.append(Line(row.origin, Remark("error", "unreadable-record", "", row.record)))
            return
        resources, remarks = self._converter.convert(row.record)
        new = [resource for resource in resources if self._first(row, resource)]
        faults = [fault for resource in new for fault in self._judged(resource)]
        report.lines += [Line(row.origin, remark) for remark in (*remarks, *faults)]
        if faults or any(remark.severity == "error" for remark in remarks):
            report.refused += 1
            for resource in new:
                del self._seen[type_and_id(resource)]
            return
        yield from new

    def _first(self, row: Row, resource: Resource) -> bool:
        """Tell whether this is the first time that the import meets the resource; remark when it said otherwise before."""
        name, content = type_and_id(resource), canonical(resource)
        before = self._seen.setdefault(name, content)
        if before is content:
            return True
        if before != content:
            said = f"{name} was described otherwise by an earlier record; the first description counts."
            self.report.lines.append(Line(row.origin, Remark("warning", "described-twice", "", said)))
        return False

    def _judged(self, resource: Resource) -> Iterator[Remark]:
        for issue in self._engine.validator.judge(resource).issues:
            if issue.severity in ("error", "fatal"):
                yield Remark("error", issue.key, issue.expression, issue.diagnostics)

    def _store(self, resources: list[Resource]) -> None:
        def work(uow: UnitOfWork) -> list[tuple[str, str]]:
            unit = Unit(self._engine, uow, self._principal)
            outcome = [(self._put(unit, resource), str(resource["resourceType"])) for resource in resources]
            unit.settle()
            return outcome

        if self._dry_run:
            outcome = self._engine.store.read(
                lambda snapshot: [
                    (
                        "created" if snapshot.current(one["resourceType"], one["id"]) is None else "updated",
                        one["resourceType"],
                    )
                    for one in resources
                ]
            )
        else:
            outcome = self._engine.store.write(work)
        for what, resource_type in outcome:
            getattr(self.report, what)[resource_type] += 1

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
