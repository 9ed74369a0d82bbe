"""Invariants of the conformance, terminology and testing resources except StructureDefinition and ElementDefinition."""

from collections.abc import Mapping

from fhir_server.validation.finding import Scope
from fhir_server.validation.predicates import (
    Element,
    Predicate,
    any_of,
    asked_when,
    distinct,
    has,
    items,
    needs,
    not_both,
    one_of,
    only_when,
    unique,
)

_ASSERTIONS = (
    "contentType", "expression", "headerField", "minimumId", "navigationLinks", "path", "requestMethod", "resource",
    "responseCode", "response", "validateProfileId",
)  # fmt: skip
_WITHOUT_TARGET = frozenset({"capabilities", "search", "transaction", "history"})


def _capability(statement: Element, _scope: Scope) -> bool:
    """A statement of kind `capability` has software and no implementation."""
    return statement.get("kind") != "capability" or (
        has(statement, "software") and not has(statement, "implementation")
    )


def _requirements(statement: Element, _scope: Scope) -> bool:
    return statement.get("kind") != "requirements" or not (
        has(statement, "software") or has(statement, "implementation")
    )


def _documents(statement: Element, _scope: Scope) -> bool:
    documents = items(statement, "document")
    return distinct((document.get("profile"), document.get("mode")) for document in documents)


def _codes_unique(system: Element, _scope: Scope) -> bool:
    seen: list[str] = []
    level = items(system, "concept")
    while level:
        seen += [concept["code"] for concept in level if "code" in concept]
        level = [child for concept in level for child in items(concept, "concept")]
    return distinct(seen)


def _known(name: str, *known: str) -> Predicate:
    """Every `name` of the resources of an ImplementationGuide is one of the values at the path `known`."""

    def check(guide: Element, _scope: Scope) -> bool:
        path = ("resource",) if name == "groupingId" else ("definition", "resource")
        return set(items(guide, *path, name)) <= set(items(guide, *known))

    return check


def _one_preferred(system: Element, _scope: Scope) -> bool:
    return distinct(item.get("type") for item in items(system, "uniqueId") if item.get("preferred") is True)


def _maximum(focus: Element, _scope: Scope) -> bool:
    maximum = focus.get("max")
    return maximum is None or maximum == "*" or (maximum.isdecimal() and int(maximum) > 0)


def _version_codes(system: Element, _scope: Scope) -> bool:
    versions = items(system, "version")
    return len(versions) <= 1 or all(has(version, "code") for version in versions)


def _single_assertion(assertion: Element, _scope: Scope) -> bool:
    return "extension" in assertion or sum(has(assertion, name) for name in _ASSERTIONS) <= 1


def _one_target(operation: Element, _scope: Scope) -> bool:
    targets = sum(has(operation, name) for name in ("targetId", "url", "params"))
    return (
        has(operation, "sourceId")
        or targets == 1
        or bool(_WITHOUT_TARGET.intersection(items(operation, "type", "code")))
    )


def _compared(assertion: Element, _scope: Scope) -> bool:
    compares = has(assertion, "compareToSourceExpression") or has(assertion, "compareToSourcePath")
    return has(assertion, "compareToSourceId") == compares


def _responses_only(assertion: Element, _scope: Scope) -> bool:
    return assertion.get("direction") != "request" or not (has(assertion, "response") or has(assertion, "responseCode"))


_TESTS: Mapping[str, Predicate] = {
    "tst-1": one_of("operation", "assert"),
    "tst-2": one_of("operation", "assert"),
    "tst-3": lambda e, _: not (has(e, "expression") and has(e, "headerField") and has(e, "path")),
    "tst-4": lambda e, _: bool(items(e, "capability", "required") or items(e, "capability", "validated")),
    "tst-5": _single_assertion,
    "tst-6": _single_assertion,
    "tst-7": _one_target,
    "tst-8": _one_target,
    "tst-9": _one_target,
    "tst-10": _compared,
    "tst-11": _compared,
    "tst-12": _responses_only,
    "tst-13": _responses_only,
}

CONFORMANCE: Mapping[str, Predicate] = {
    **_TESTS,
    "cmd-1": lambda e, _: has(e, "comment") or e.get("equivalence") not in ("narrower", "inexact"),
    "cmd-2": asked_when("mode", "fixed", "code"),
    "cmd-3": asked_when("mode", "other-map", "url"),
    "cpb-1": any_of("rest", "messaging", "document"),
    "cpb-2": any_of("description", "software", "implementation"),
    "cpb-3": lambda e, _: e.get("kind") == "instance" or not items(e, "messaging", "endpoint"),
    "cpb-7": _documents,
    "cpb-9": unique("resource", "type"),
    "cpb-12": unique("searchParam", "name"),
    "cpb-14": asked_when("kind", "instance", "implementation"),
    "cpb-15": _capability,
    "cpb-16": _requirements,
    "csd-1": _codes_unique,
    "ig-1": _known("groupingId", "grouping", "id"),
    "ig-2": _known("fhirVersion", "fhirVersion"),
    "md-1": _maximum,
    "nsd-1": lambda e, _: e.get("kind") != "root" or "uuid" not in items(e, "uniqueId", "type"),
    "nsd-2": _one_preferred,
    "opd-1": any_of("type", "part"),
    "opd-2": only_when("searchType", "type", "string"),
    "opd-3": only_when("targetProfile", "type", "Reference", "canonical"),
    "smp-1": needs("element", "context"),
    "smp-2": needs("context", "contextType"),
    "spd-1": needs("xpath", "xpathUsage"),
    "spd-2": only_when("chain", "type", "reference"),
    "tcp-1": _version_codes,
    "tcp-2": any_of("description", "software", "implementation"),
    "tcp-3": asked_when("kind", "instance", "implementation"),
    "tcp-4": _capability,
    "tcp-5": _requirements,
    "vsd-1": any_of("valueSet", "system"),
    "vsd-2": lambda e, _: has(e, "system") or not (has(e, "concept") or has(e, "filter")),
    "vsd-3": not_both("concept", "filter"),
    "vsd-6": any_of("code", "display"),
    "vsd-9": lambda e, _: has(e, "code") or e.get("abstract") is True,
    "vsd-10": needs("code", "system"),
}
