"""A transaction: all entries or none (R4 http.html#trules).

Order, whatever the order in the Bundle: DELETE; then every POST, PUT and PATCH gets its identity and all references are
resolved over the whole Bundle; then POST; PUT and PATCH; and reads on the new state. Answers come in the order sent.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from fhir_server.interactions.bundle.foresight import of_conditions, of_entries, of_identities
from fhir_server.interactions.bundle.identities import Identities, assign
from fhir_server.interactions.bundle.plan import Entry
from fhir_server.interactions.bundle.references import resolve_references
from fhir_server.interactions.bundle.response import response_bundle, response_entry
from fhir_server.interactions.operation import Reading, Writing
from fhir_server.interactions.request import Kind, Request, Result
from fhir_server.interactions.unit import Unit
from fhir_server.interactions.update import put
from fhir_server.interactions.write import check_id, check_same_id, written
from fhir_server.model.codec import encode
from fhir_server.model.errors import FhirError, Invalid, NotSupported, RuleViolated
from fhir_server.model.issue import Issue, has_errors
from fhir_server.model.resource import Resource

T = TypeVar("T")

_WRITES: Final = ("create", "update", "patch")


def transaction(unit: Unit, request: Request, entries: Sequence[Entry]) -> Result:
    """Do all entries in the unit. Raises the first refusal with its place in the Bundle; the unit is then undone."""
    results: dict[int, Result] = {}
    for entry in entries:
        _guarded(entry, lambda entry: _admit(unit, entry))
    unit.uow.prefetch(partial(of_entries, unit, entries))
    for entry in _of(entries, "delete"):
        results[entry.position] = _guarded(entry, lambda entry: _as_single(unit, entry))
    unit.uow.prefetch(partial(of_conditions, unit, request, entries))
    identities = assign(unit, request, entries)
    unit.uow.prefetch(partial(of_identities, identities, entries))
    resources = _resolved(unit, request, entries, identities)
    unit.pending = {
        identities.of_entry[position].reference: {**one, "id": identities.of_entry[position].id}
        for position, one in resources.items()
        if position in identities.of_entry
    }
    for code in _WRITES:
        for entry in _of(entries, code):
            results[entry.position] = _guarded(entry, lambda entry: _write(unit, entry, identities, resources))
    unit.settle()
    for entry in entries:
        if entry.position not in results:
            results[entry.position] = _guarded(entry, lambda entry: _as_single(unit, entry))
    rendered = [response_entry(entry.request, results[entry.position]) for entry in entries]
    return Result(Kind.OK, response_bundle("transaction-response", rendered))


def _of(entries: Sequence[Entry], code: str) -> list[Entry]:
    return [entry for entry in entries if entry.row.code == code]


def _resolved(unit: Unit, request: Request, entries: Sequence[Entry], identities: Identities) -> Mapping[int, Resource]:
    """Return every resource with its references resolved; all faults of all of them are raised together."""
    resources: dict[int, Resource] = {}
    issues: list[Issue] = []
    broken: list[Issue] = []
    for entry in entries:
        if entry.resource is None:
            continue
        path = f"{entry.expression}.resource"
        resource, faults = resolve_references(unit, request, entry.resource, identities, path)
        resources[entry.position] = resource
        issues.extend(faults)
        if entry.row.code in ("create", "update"):
            verdict = unit.engine.validator.judge(resource, path=path)
            (broken if verdict.valid else issues).extend(verdict.issues)
            issues.extend(_identity_issues(entry, resource))
    if has_errors(issues):
        raise Invalid(issues=[*issues, *broken])
    if broken:
        raise RuleViolated(issues=broken)
    return resources


def _identity_issues(entry: Entry, resource: Resource) -> Sequence[Issue]:
    try:
        if resource["resourceType"] != entry.place.type:
            return (
                Issue(
                    "wrong-resource-type",
                    "structure",
                    f"The resource is a {resource['resourceType']}, request.url asks for {entry.place.type}.",
                    f"{entry.expression}.resource",
                ),
            )
        if entry.row.code == "update" and entry.place.id:
            check_id(entry.place.id)
            check_same_id(resource, entry.place)
    except FhirError as error:
        return [_placed(issue, entry) for issue in error.issues]
    return ()


def _write(unit: Unit, entry: Entry, identities: Identities, resources: Mapping[int, Resource]) -> Result:
    resource = resources[entry.position]
    identity = identities.of_entry[entry.position]
    unit.origin = f"{entry.expression}.resource"
    if entry.row.code == "patch":
        # the plan has kept a JSON Patch as bytes; a FHIRPath Patch may carry references, which are resolved by now
        sent = entry.request if entry.json_patch else entry.request._replace(body=encode(resource))
        return _as_single(unit, entry._replace(request=sent))
    if identity.existing:
        current = unit.view.current(entry.place.type, identity.id)
        if current is not None:
            return written(current, entry.request, created=False)
    if entry.row.code == "create":
        return written(unit.write(resource, identity.id, "POST", None), entry.request, created=True)
    named = identity.id in (entry.place.id, resource.get("id"))
    return put(unit, entry.request, resource, identity.id, named=named)


def _as_single(unit: Unit, entry: Entry) -> Result:
    operation = entry.row.handler(unit.engine, entry.request, entry.place)
    match operation:
        case Writing(work):
            return work(unit)
        case Reading(work):
            return work(unit.view)
        case _:
            raise NotSupported("This interaction cannot be part of a transaction.", expression="request.url")


def _admit(unit: Unit, entry: Entry) -> None:
    unit.engine.access.admit(unit.principal, entry.row.code, entry.place.member or entry.place.type)


def _guarded(entry: Entry, work: Callable[[Entry], T]) -> T:
    try:
        return work(entry)
    except FhirError as error:
        error.issues = tuple(_placed(issue, entry) for issue in error.issues)
        raise


def _placed(issue: Issue, entry: Entry) -> Issue:
    """Point an issue of a single interaction at its place in the Bundle."""
    expression = issue.expression
    if expression.startswith("Bundle.entry["):
        return issue
    resource_type = entry.place.type
    if expression == resource_type or expression.startswith(resource_type + "."):
        return issue._replace(expression=f"{entry.expression}.resource{expression[len(resource_type) :]}")
    return issue._replace(expression=f"{entry.expression}.{expression}" if expression else entry.expression)
