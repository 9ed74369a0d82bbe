"""Reference, canonical and contained-by-Bundle elements → reference entries (R4 search.html#reference, references.html)."""

import re
from collections.abc import Callable
from typing import Any

from fhir_server.model.reference import parse_reference
from fhir_server.search.beside import broader, version_starts
from fhir_server.search.emit import Emit, Entries
from fhir_server.search.values import ReferenceEntry, UriEntry

_LOCAL = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})").fullmatch
_new: Callable[..., ReferenceEntry] = tuple.__new__


def reference(params: tuple[tuple[str, frozenset[str]], ...], own_base: str) -> Emit:
    """Convert Reference elements for several parameters at once: `(code, types it keeps)`, no types keeping all.

    A relative reference, or an absolute one below `own_base`, becomes `Type/id`; a version is cut off and kept apart.
    A logical reference that does not state its type may be of any type, so every parameter keeps it.
    A `urn:` is a target as it is written. A `#fragment` has none that a search could name; it counts only with an identifier.
    """

    def emit(value: Any, out: Entries) -> None:
        if type(value) is not dict:
            return
        text, system, code = value.get("reference"), "", ""
        if type(text) is str and (match := _LOCAL(text)):
            target, version, kind = text, "", match[1]
        else:
            target, version, kind = _target(text, own_base)
        if "identifier" in value:
            system, code = _identifier(value["identifier"])
        if not target and not code and not system:
            return
        if not kind:
            kind = _stated_type(value)
        for param, kept in params:
            if not kept or kind in kept or not (kind or target):
                out.append(_new(ReferenceEntry, (param, target, version, system, code, kind)))

    return emit


def _target(text: Any, own_base: str) -> tuple[str, str, str]:
    """Return `(target, version, type)`; "" for what the text does not say."""
    if type(text) is not str:
        return "", "", ""
    parsed = parse_reference(text, own_base)
    if parsed.kind == "relative":
        return f"{parsed.type}/{parsed.id}", parsed.version, parsed.type
    if parsed.kind == "absolute":
        return f"{parsed.base}/{parsed.type}/{parsed.id}", parsed.version, parsed.type
    if parsed.kind == "urn" or (parsed.kind == "other" and "://" in text):
        return text, "", ""
    return "", "", ""


def _identifier(identifier: Any) -> tuple[str, str]:
    if type(identifier) is not dict:
        return "", ""
    system, code = identifier.get("system", ""), identifier.get("value", "")
    return (system, code) if type(system) is type(code) is str else ("", "")


def _stated_type(value: dict[str, Any]) -> str:
    stated = value.get("type")
    return stated.rpartition("/")[2] if type(stated) is str else ""


def canonical(param: str, own_base: str) -> Emit:
    """Convert canonical and uri elements: `url|version` is a target and a version."""

    def emit(value: Any, out: Entries) -> None:
        if type(value) is str and value:
            url, _, version = value.partition("|")
            if url.startswith("#"):
                return
            if own_base and url.startswith(own_base + "/"):
                url = url[len(own_base) + 1 :]
            out.append(ReferenceEntry(param, url, version))
            if version:
                out.extend(UriEntry(broader(param), start) for start in version_starts(url, version))

    return emit


def inline(param: str, types: frozenset[str]) -> Emit:
    """Convert a resource that stands in place of a reference (`Bundle.entry[0].resource`)."""

    def emit(value: Any, out: Entries) -> None:
        if type(value) is dict:
            kind, identity = value.get("resourceType"), value.get("id")
            if type(kind) is str and type(identity) is str and (not types or kind in types):
                out.append(ReferenceEntry(param, f"{kind}/{identity}", target_type=kind))

    return emit
