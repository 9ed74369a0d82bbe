"""Take resources of another FHIR server whole: an id of ours, references that lead on, and what our profiles ask."""

import re
from collections.abc import Iterator
from typing import Any

from fhir_server.mapping.definition import Definition, Target
from fhir_server.mapping.engine import Converter, Vocabulary
from fhir_server.mapping.fhir_files import LeftOut, base_of
from fhir_server.mapping.fhir_links import Entry
from fhir_server.mapping.places import Place, RecordRefused, Remark
from fhir_server.model.codec import decode_stored
from fhir_server.model.reference import ID_PATTERN, parse_reference
from fhir_server.model.resource import Resource

_INDEX = re.compile(r"\[\d+\]")
_SAYS_NOTHING = frozenset({"type", "id", "url"})
"""Members of a Reference, or of the Extension around it, that say nothing once the reference is gone."""


def converter_of(definition: Definition, source: str, vocabulary: Vocabulary) -> Converter:
    """Return the converter for the format of a mapping."""
    kind = FhirConverter if definition.format == "fhir" else Converter
    return kind(definition, source, vocabulary)


class FhirConverter(Converter):
    """Takes the entries of `mapping.fhir_links`; everything that they say stays, save references that lead nowhere."""

    def __init__(self, definition: Definition, source: str, vocabulary: Vocabulary) -> None:
        super().__init__(definition, source, vocabulary)
        self._by_name = {target.name: target for target in definition.targets}

    def _resources(self, record: Any) -> Iterator[Resource]:
        if isinstance(record, LeftOut):
            self.remark(Remark("warning", "left-out", record.element, record.why))
            return
        if not isinstance(record, Entry):
            yield from super()._resources(record)
            return
        target = self._by_name[record.name.target]
        if record.advice:
            self.remark(Remark("warning", "passing-name", target.resource_type, record.advice))
        sent: Resource = decode_stored(record.raw)
        if record.circular:
            said = f"{str(sent.pop('partOf')['reference'])[:200]!r} is itself part of this, so it is left out."
            self.remark(Remark("warning", "part-of-itself", f"{target.resource_type}.partOf", said))
        self._relink(sent, target.resource_type, record, target)
        resource: Resource = {"resourceType": target.resource_type, "id": self._id(*record.name)}
        resource["meta"] = _meta(sent, record, target)
        resource |= {name: value for name, value in sent.items() if name not in ("resourceType", "id", "meta")}
        if resource["meta"] == {}:
            del resource["meta"]
        unsaid: Resource = {}
        target.write(Place(resource, resource, self), unsaid)
        yield resource | {name: value for name, value in unsaid.items() if name not in resource}

    def _id(self, target: str, key: str) -> str:
        same_case = f"{self._source}-{target}-{key}"  # ids of FHIR that differ in case only are two
        return same_case if ID_PATTERN.fullmatch(same_case) else super()._id(target, key)

    def _relink(self, element: dict[str, Any], path: str, entry: Entry, target: Target) -> bool:
        """Rewrite the references below an element; False when nothing is left of it."""
        gone = False
        for name, value in list(element.items()):
            if isinstance(value, dict):
                if not self._relink(value, f"{path}.{name}", entry, target):
                    del element[name]
                    gone = True
            elif isinstance(value, list):
                kept = [
                    one
                    for number, one in enumerate(value)
                    if not isinstance(one, dict) or self._relink(one, f"{path}.{name}[{number}]", entry, target)
                ]
                if len(kept) < len(value):
                    gone = True
                    element[name] = kept
                    if not kept:
                        del element[name]
        text = element.get("reference")
        if isinstance(text, str):
            home = self._home_of(text, entry)
            if home is None:
                self._nowhere(text, path, entry, target)
                del element["reference"]
                gone = True
            else:
                element["reference"] = home
        return not gone or not element.keys() <= _SAYS_NOTHING

    def _home_of(self, text: str, entry: Entry) -> str | None:
        name = entry.links.get(text)
        if name is not None:
            home = self.home(*name)
            return home if name == entry.name or name in entry.together or self._known(home) else None
        if text.startswith("#"):
            return text
        return text if parse_reference(text).kind in ("relative", "absolute") and self._known(text) else None

    def _nowhere(self, text: str, path: str, entry: Entry, target: Target) -> None:
        if text in entry.links:
            why = f"{text[:200]!r} was refused"
        else:
            why = f"{text[:200]!r} is not in the source and not stored here"
        if _INDEX.sub("", path) in target.reaches:
            self.remark(Remark("error", "reference-nowhere", path, f"{why}."))
            raise RecordRefused
        self.remark(Remark("warning", "reference-nowhere", path, f"{why}; the reference is left out."))


def _meta(sent: Resource, entry: Entry, target: Target) -> Any:
    """Return the meta with the profiles of the target added, and with the fullUrl as its source."""
    meta = sent.get("meta", {})
    if not isinstance(meta, dict):  # the validator says what is wrong with it
        return meta
    made = {name: value for name, value in meta.items() if name not in ("versionId", "lastUpdated")}
    if base_of(entry.full_url):
        made.setdefault("source", entry.full_url)
    claimed = made.get("profile", [])
    if isinstance(claimed, list) and target.profile:
        made["profile"] = [*claimed, *(url for url in target.profile if url not in claimed)]
    return made
