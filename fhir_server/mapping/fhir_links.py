"""The entries of a FHIR source: what each is called, what its references lead to, and an order in which to take them.

An entry is called by the id of its resource; else by the id in its fullUrl, a business identifier, or a fullUrl that is
a `urn:`. Contained resources of the types that are taken become entries of their own, called after their container.
What others refer to comes first; entries that refer to each other are taken together.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fhir_server.mapping.definition import Definition
from fhir_server.mapping.fhir_files import FhirFiles, Found, LeftOut, base_of
from fhir_server.mapping.fhir_order import in_order
from fhir_server.mapping.sources import Row
from fhir_server.model.codec import encode
from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import walk


class Name(NamedTuple):
    """What the source calls a resource, among those of one target."""

    target: str
    key: str


class Entry(NamedTuple):
    """A resource of a source, ready to be taken."""

    name: Name
    full_url: str
    raw: bytes
    links: Mapping[str, Name]
    """What the references in it lead to, by their text; those to what is not in the source are absent."""
    together: frozenset[Name]
    """The entries that refer to each other, this one too; empty where there is no such circle."""
    advice: str = ""
    """What there is to say of its name."""
    circular: bool = False
    """What it is part of is, by way of others or not, part of it."""


class _Draft(NamedTuple):
    found: Found
    """Without its resource, which is in `raw`: as bytes, all resources of a source take a tenth of the memory."""
    raw: bytes
    texts: tuple[str, ...]
    """Its references."""
    name: Name
    within: Mapping[str, Name]
    """Contained resources that became entries, by `#id`, and the container as `#`."""
    advice: str
    parent: str
    """The reference of its partOf, "" for none."""


def read_fhir(path: Path, definition: Definition) -> Iterator[Row]:
    """Yield the entries of a FHIR source, with rows for what is left out or refused first. Raises SourceBroken."""
    index = _Index({target.resource_type: target.name for target in definition.targets})
    for one in FhirFiles(path, definition.bundles).found():
        if isinstance(one, Row):
            yield one
        else:
            yield from index.add(one)
    yield from index.rows()


class _Index:
    """All entries of a source by everything that a reference may call them."""

    def __init__(self, targets: Mapping[str, str]) -> None:
        self._targets = targets
        self._drafts: list[_Draft] = []
        self._first: dict[Name, int] = {}
        self._by_url: dict[tuple[int, str], Name] = {}
        self._by_identifier: dict[tuple[str, str], Name | None] = {}
        self._restful = False

    def add(self, found: Found) -> Iterator[Row]:
        """Take an entry in, with what is contained in it; yield a row when it cannot be taken."""
        kind = found.resource["resourceType"]
        target = self._targets.get(kind)
        if target is None:
            taken = ", ".join(self._targets)
            yield Row(found.origin, LeftOut(kind[:64], f"It is left out: this mapping takes {taken}."))
            return
        name, advice = _called(target, found)
        if not name.key:
            said = (
                f"{kind} has no id, no fullUrl and no identifier with system and value: nothing tells it from others."
            )
            yield Row(found.origin, said)
            return
        if fault := self._mistaken(name, found):
            yield Row(found.origin, fault)
            return
        self._enter(found, name, advice)

    def rows(self) -> Iterator[Row]:
        """Yield the entries in their order."""
        links = [self._links(draft) for draft in self._drafts]
        graph = [[self._first[name] for name in one.values()] for one in links]
        for group in in_order(graph):
            together = frozenset(self._drafts[at].name for at in group) if len(group) > 1 else frozenset[Name]()
            for number, at in enumerate(group, start=1):
                draft = self._drafts[at]
                circular = self._leads_back(at, links)
                entry = Entry(draft.name, draft.found.full_url, draft.raw, links[at], together, draft.advice, circular)
                yield Row(draft.found.origin, entry, joined=number < len(group))

    def _leads_back(self, start: int, links: list[dict[str, Name]]) -> bool:
        """Tell whether the partOf of an entry leads, step by step, to the entry itself."""
        at, seen = start, set[int]()
        while at not in seen:
            seen.add(at)
            above = links[at].get(self._drafts[at].parent)
            if above is None:
                return False
            at = self._first[above]
            if at == start:
                return True
        return False

    def _mistaken(self, name: Name, found: Found) -> str:
        """Say why an entry is not the one that had its name before, "" when it may be."""
        if name not in self._first:
            return ""
        before = self._drafts[self._first[name]].found
        if found.full_url == before.full_url:
            return ""
        if found.bundle == before.bundle and found.full_url and before.full_url:
            return f"{name.key!r} is the name of {before.origin} too, whose fullUrl is another. Give each an id of its own."
        if base_of(found.full_url) and base_of(before.full_url):
            return f"{name.key!r} is the name of {before.origin} too, on another server. Import each server as a --source of its own."
        return ""

    def _enter(self, found: Found, name: Name, advice: str) -> None:
        kind, full_url = found.resource["resourceType"], found.full_url
        self._first.setdefault(name, len(self._drafts))
        if full_url:
            self._by_url.setdefault((found.bundle if full_url.startswith("urn:") else 0, full_url), name)
            self._restful |= bool(base_of(full_url))
        for identifier in _identifiers(found.resource):
            known = self._by_identifier.setdefault((kind, identifier), name)
            if known != name:
                self._by_identifier[kind, identifier] = None
        within, contained = self._lifted(found, name)
        self._drafts.append(_draft(found, name, within, advice))
        for inner, inner_name in contained:
            self._first.setdefault(inner_name, len(self._drafts))
            self._drafts.append(_draft(inner, inner_name, within, ""))

    def _lifted(self, found: Found, name: Name) -> tuple[dict[str, Name], list[tuple[Found, Name]]]:
        """Take the contained resources that can be entries out of their container."""
        contained = found.resource.get("contained")
        within, lifted, kept = {"#": name}, [], []
        for number, inner in enumerate(contained if isinstance(contained, list) else ()):
            kind = inner.get("resourceType") if isinstance(inner, dict) else None
            if not (isinstance(kind, str) and kind in self._targets and isinstance(inner.get("id"), str)):
                kept.append(inner)
                continue
            inner_name = Name(self._targets[kind], f"{name.target} {name.key}#{inner['id']}")
            within[f"#{inner['id']}"] = inner_name
            lifted.append((Found(f"{found.origin}.contained[{number}]", found.bundle, "", inner), inner_name))
        if not lifted:
            return {}, []
        found.resource["contained"] = kept
        if not kept:
            del found.resource["contained"]
        return within, lifted

    def _links(self, draft: _Draft) -> dict[str, Name]:
        found = {text: self._led(text, draft) for text in draft.texts}
        return {text: name for text, name in found.items() if name is not None}

    def _led(self, text: str, draft: _Draft) -> Name | None:
        """Return what a reference in an entry leads to, None for what the source does not have."""
        parsed = parse_reference(text)
        match parsed.kind:
            case "fragment":
                return draft.within.get(text)
            case "urn":
                return self._by_url.get((draft.found.bundle, text))
            case "absolute":
                whole = f"{parsed.base}/{parsed.type}/{parsed.id}"
                return self._by_url.get((0, whole)) or (None if self._restful else self._local(parsed.type, parsed.id))
            case "relative":
                whole = f"{base_of(draft.found.full_url)}/{parsed.type}/{parsed.id}"
                return self._by_url.get((0, whole)) or self._local(parsed.type, parsed.id)
            case "conditional" if parsed.query.startswith("identifier="):
                return self._by_identifier.get((parsed.type, parsed.query.removeprefix("identifier=")))
            case _:
                return self._by_url.get((0, text))

    def _local(self, kind: str, key: str) -> Name | None:
        name = Name(self._targets.get(kind, ""), key)
        return name if name in self._first else None


def _draft(found: Found, name: Name, within: Mapping[str, Name], advice: str) -> _Draft:
    texts = (element.get("reference") for _, element in walk(found.resource, ""))
    raw = encode(found.resource)
    kept = found._replace(resource={})
    above = found.resource.get("partOf")
    parent = above.get("reference") if isinstance(above, dict) else ""
    named = tuple(dict.fromkeys(text for text in texts if isinstance(text, str)))
    return _Draft(kept, raw, named, name, within, advice, parent if isinstance(parent, str) else "")


def _called(target: str, found: Found) -> tuple[Name, str]:
    """Return the name of an entry, with a key of "" when it has none, and what there is to say of it."""
    own, named = found.resource.get("id"), parse_reference(found.full_url)
    if isinstance(own, str) and own:
        return Name(target, own), ""
    if named.kind == "absolute" and named.type == found.resource["resourceType"]:
        return Name(target, named.id), ""
    for identifier in _identifiers(found.resource):
        return Name(target, identifier), ""
    if named.kind != "urn":
        return Name(target, found.full_url), ""
    return Name(target, found.full_url), f"Its only name is {found.full_url[:80]!r}: a file with another makes another."


def _identifiers(resource: Mapping[str, Any]) -> Iterator[str]:
    """Yield `system|value` of the business identifiers."""
    listed = resource.get("identifier")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and isinstance(one.get("system"), str) and isinstance(one.get("value"), str):
            yield f"{one['system']}|{one['value']}"
