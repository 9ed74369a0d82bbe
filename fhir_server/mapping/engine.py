"""Apply a mapping to records: each becomes resources with ids that stay the same from import to import."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from fhir_server.mapping.definition import Definition, Target
from fhir_server.mapping.places import Incomplete, Place, RecordRefused, Remark
from fhir_server.model.reference import ID_PATTERN
from fhir_server.model.resource import Resource

_NOT_OF_AN_ID = re.compile(r"[^A-Za-z0-9\-.]+")


class Vocabulary(Protocol):
    """What the rules look up outside the record (see `mapping.places.Run`)."""

    def concept(self, system: str, text: str) -> dict[str, Any] | None:
        """Return the Coding of a system whose code or designation this is."""
        ...

    def mapped(self, concept_map: str, system: str, code: str) -> dict[str, Any] | None:
        """Return the Coding that a concept map gives for a code."""
        ...

    def area(self, text: str) -> dict[str, Any] | None:
        """Return a Reference to the area with this NIS code, postal code or name."""
        ...


class Converted(NamedTuple):
    """What became of one record: nothing when a remark says `error`."""

    resources: tuple[Resource, ...]
    remarks: tuple[Remark, ...]


class Converter:
    """Applies one mapping for one source; `source` stands in every id, so that two sources never meet."""

    def __init__(self, definition: Definition, source: str, vocabulary: Vocabulary) -> None:
        self._targets = definition.targets
        self._types = {target.name: target.resource_type for target in definition.targets}
        self._source = source
        self._remarks: list[Remark] = []
        self.concept, self.mapped, self.area = vocabulary.concept, vocabulary.mapped, vocabulary.area

    def convert(self, record: Any) -> Converted:
        """Return the resources of a record, with what there is to say of it. Never raises for what a record holds."""
        self._remarks = []
        try:
            resources = tuple(self._resources(record))
        except RecordRefused:
            resources = ()
        except Incomplete as missing:
            text = f"There is no value for {missing.element}, which is required."
            self.remark(Remark("error", "value-missing", missing.source, text))
            resources = ()
        return Converted(resources, tuple(self._remarks))

    def remark(self, remark: Remark) -> None:
        """Take note of something about the record that is being read."""
        self._remarks.append(remark)

    def home(self, target: str, key: str) -> str:
        """Return `Type/id` of what a target makes of the thing that the source calls `key`."""
        return f"{self._types[target]}/{self._id(target, key)}"

    def _resources(self, record: Any) -> Iterator[Resource]:
        if not isinstance(record, dict):
            self.remark(Remark("error", "record-shape", "", "The record is not an object."))
            return
        root = Place(record, record, self)
        for target in self._targets:
            if target.each is None:
                yield from self._resource(target, root)
                continue
            found = target.each(root)
            for element in found if isinstance(found, list) else [] if found is None else [found]:
                yield from self._resource(target, root.at(element))

    def _resource(self, target: Target, place: Place) -> Iterator[Resource]:
        if not target.when(place):
            return
        key = target.key(place)
        if key is None:
            self.remark(
                Remark("error", "key-missing", target.name, f"Nothing says what the source calls this {target.name}.")
            )
            raise RecordRefused
        resource: Resource = {"resourceType": target.resource_type, "id": self._id(target.name, str(key))}
        if target.profile:
            resource["meta"] = {"profile": list(target.profile)}
        if target.write(place, resource):
            yield resource

    def _id(self, target: str, key: str) -> str:
        readable = f"{self._source}-{target}-{key}".lower()
        if ID_PATTERN.fullmatch(readable):
            return readable
        # a readable part helps who looks at it; the digest keeps two keys apart that only differ in what an id refuses
        digest = hashlib.sha256(key.encode()).hexdigest()[:20]
        head = _NOT_OF_AN_ID.sub("-", f"{self._source}-{target}-{key}".lower())
        return f"{head[: 64 - len(digest) - 1]}-{digest}"
