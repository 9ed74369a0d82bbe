"""Load a stream of inputs through a loader, and keep count of what was stored and what was refused, and why."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fhir_server.cli.inputs import Input, unpack
from fhir_server.cli.loaders import Loader
from fhir_server.model.errors import FhirError, Invalid
from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource

_CARRIED_OUT = ("transaction", "batch")
_UNPACKED = ("collection", "searchset")


class Refusal(NamedTuple):
    """What was not loaded, and why."""

    origin: str
    what: str
    issues: Sequence[Issue]


@dataclass(slots=True)
class Report:
    """What a load did."""

    stored: Counter[str] = field(default_factory=Counter)
    bundles: int = 0
    refused: list[Refusal] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Render the report for a person."""
        types = ", ".join(f"{count} {name}" for name, count in sorted(self.stored.items()))
        lines = [f"loaded {self.stored.total()} resources" + (f": {types}" if types else "")]
        lines += [f"carried out {self.bundles} batches and transactions"] if self.bundles else []
        for refusal in self.refused:
            lines.append(f"refused {refusal.what} from {refusal.origin}")
            lines += [f"    {issue.key}: {issue.diagnostics}{_at(issue)}" for issue in refusal.issues]
        lines += [f"refused {len(self.refused)} in all"] if self.refused else []
        return lines


def load_all(
    inputs: Iterable[Input], loader: Loader, *, open_bundles: bool = False, progress: Callable[[str], None]
) -> Report:
    """Load everything; a refusal is noted and the rest goes on.

    What was refused is tried again as long as anything new gets in, so that resources may refer to ones that come later
    even where the server enforces references. `progress` is told each origin when it is done.
    """
    report = Report()
    waiting: list[tuple[Refusal, Resource]] = []
    for item in inputs:
        if item.resource is None or item.error is not None:
            report.refused.append(Refusal(item.origin, "a file that is no resource", _issues(item.error)))
        else:
            _take(item.origin, item.resource, loader, report, waiting, open_bundles=open_bundles)
        progress(item.origin)
    while waiting:
        again, waiting = waiting, []
        for refusal, resource in again:
            _store(refusal.origin, refusal.what, resource, loader, report, waiting)
        if len(waiting) == len(again):
            break
    report.refused += [refusal for refusal, _ in waiting]
    return report


def _take(
    origin: str,
    resource: Resource,
    loader: Loader,
    report: Report,
    waiting: list[tuple[Refusal, Resource]],
    *,
    open_bundles: bool,
) -> None:
    kind = resource.get("type") if resource["resourceType"] == "Bundle" else None
    if kind in _CARRIED_OUT:
        _carry_out(origin, resource, loader, report)
    elif kind in _UNPACKED or (kind is not None and open_bundles):
        for expression, content in unpack(resource):
            if isinstance(content, FhirError):
                report.refused.append(Refusal(origin, expression, content.issues))
            else:
                _store(origin, f"{_name(content)} ({expression})", content, loader, report, waiting)
    else:
        _store(origin, _name(resource), resource, loader, report, waiting)


def _store(
    origin: str,
    what: str,
    resource: Resource,
    loader: Loader,
    report: Report,
    waiting: list[tuple[Refusal, Resource]],
) -> None:
    try:
        loader.put(resource)
    except FhirError as error:
        waiting.append((Refusal(origin, what, error.issues), resource))
    else:
        report.stored[resource["resourceType"]] += 1


def _carry_out(origin: str, bundle: Resource, loader: Loader, report: Report) -> None:
    try:
        refused = loader.bundle(bundle)
    except FhirError as error:
        report.refused.append(Refusal(origin, f"the {bundle['type']}", error.issues))
        return
    report.bundles += 1
    faulty = {refusal.entry for refusal in refused}
    for index, entry in enumerate(bundle.get("entry", [])):
        if index not in faulty and "resource" in entry:
            report.stored[entry["resource"]["resourceType"]] += 1
    report.refused += [Refusal(origin, f"Bundle.entry[{refusal.entry}]", refusal.issues) for refusal in refused]


def _name(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}" if "id" in resource else str(resource["resourceType"])


def _issues(error: FhirError | None) -> Sequence[Issue]:
    return (error or Invalid("There is no resource in it.")).issues


def _at(issue: Issue) -> str:
    return f" ({issue.expression})" if issue.expression else ""
