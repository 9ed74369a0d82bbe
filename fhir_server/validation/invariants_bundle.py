"""Invariants of Bundle and Parameters (https://hl7.org/fhir/R4/bundle.html)."""

from collections.abc import Mapping

from fhir_server.validation.finding import Scope
from fhir_server.validation.predicates import Element, Predicate, has, items


def _present_when(name: str, *kinds: str) -> Predicate:
    """Every entry has the element where the Bundle is of one of the kinds, and none has it elsewhere."""

    def check(bundle: Element, _scope: Scope) -> bool | str:
        wanted = bundle.get("type") in kinds
        for index, entry in enumerate(bundle.get("entry", ())):
            if (name in entry) != wanted:
                return f".entry[{index}]"
        return True

    return check


def _search_only(bundle: Element, _scope: Scope) -> bool | str:
    if bundle.get("type") != "searchset":
        for index, entry in enumerate(bundle.get("entry", ())):
            if "search" in entry:
                return f".entry[{index}]"
    return True


def _full_urls(bundle: Element, _scope: Scope) -> bool | str:
    if bundle.get("type") == "history":
        return True
    seen: set[tuple[str, str]] = set()
    for index, entry in enumerate(bundle.get("entry", ())):
        if "fullUrl" in entry:
            version = entry.get("resource", {}).get("meta", {}).get("versionId", "")
            if (entry["fullUrl"], version) in seen:
                return f".entry[{index}]"
            seen.add((entry["fullUrl"], version))
    return True


def _first_is(kind: str, resource_type: str) -> Predicate:
    def check(bundle: Element, _scope: Scope) -> bool:
        entries = bundle.get("entry") or [{}]
        return bundle.get("type") != kind or entries[0].get("resource", {}).get("resourceType") == resource_type

    return check


def _parameter(parameter: Element, _scope: Scope) -> bool:
    contents = (has(parameter, "part"), has(parameter, "value[x]"), has(parameter, "resource"))
    return sum(contents) == 1


def _document_identifier(bundle: Element, _scope: Scope) -> bool:
    identifier = bundle.get("identifier", {})
    return bundle.get("type") != "document" or (has(identifier, "system") and has(identifier, "value"))


BUNDLE: Mapping[str, Predicate] = {
    "bdl-1": lambda e, _: not has(e, "total") or e.get("type") in ("searchset", "history"),
    "bdl-2": _search_only,
    "bdl-3": _present_when("request", "batch", "transaction", "history"),
    "bdl-4": _present_when("response", "batch-response", "transaction-response", "history"),
    "bdl-5": lambda e, _: bool(items(e, "resource") or items(e, "request") or items(e, "response")),
    "bdl-7": _full_urls,
    "bdl-8": lambda e, _: "/_history/" not in e.get("fullUrl", ""),
    "bdl-9": _document_identifier,
    "bdl-10": lambda e, _: e.get("type") != "document" or "timestamp" in e,
    "bdl-11": _first_is("document", "Composition"),
    "bdl-12": _first_is("message", "MessageHeader"),
    "Parameters.parameter/inv-1": _parameter,
}
