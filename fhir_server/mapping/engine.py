"""Apply a mapping to records: each becomes resources with ids that stay the same from import to import."""

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from fhir_server.mapping.definition import Definition, Target
from fhir_server.mapping.places import Incomplete, Place, RecordRefused, Remark
from fhir_server.model.reference import ID_PATTERN
from fhir_server.model.resource import Resource

_NOT_OF_AN_ID = re.compile(r"[^A-Za-z0-9\-.]+")


Known = Callable[[str], bool]
"""Tells whether a reference leads to what this import has taken, or to what is stored."""


def all_known(_: str) -> bool:
    """Know every reference."""
    return True


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

    def boundary_fault(self, data: str) -> str:
        """Say why GeoJSON in base64 is no boundary of an area, "" when it is one."""
        ...


class Converted(NamedTuple):
    """What became of one record: nothing when a remark says `error`."""

    resources: tuple[Resource, ...]
    remarks: tuple[Remark, ...]


class Converter:
    """Applies one mapping for one source; `source` stands in every id, so that two sources never meet."""

    def __init__(self, definition: Definition, source: str, vocabulary: Vocabulary) -> None:
        self._targets = definition.targets
        self._known: Known = all_known
        self._types = {target.name: target.resource_type for target in definition.targets}
        self._source = source
        self._remarks: list[Remark] = []
        self._made: set[str] = set()
        self.concept, self.mapped, self.area = vocabulary.concept, vocabulary.mapped, vocabulary.area
        self.boundary_fault = vocabulary.boundary_fault

    def convert(self, record: Any, known: Known = all_known) -> Converted:
        """Return the resources of a record, with what there is to say of it. Never raises for what a record holds."""
        self._remarks = []
        self._known = known
        self._made = set()
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

    def made(self, home: str) -> bool:
        """Tell whether the record that is being read has become a resource at `Type/id`, so far."""
        return home in self._made

    def known(self, reference: str) -> bool:
        """Tell whether a reference leads to what this import has taken, or to what is stored."""
        return self._known(reference)

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
            severity = "warning" if target.optional else "error"
            said = f"Nothing says what the source calls this {target.name}."
            self.remark(Remark(severity, "key-missing", target.name, said))
            if target.optional:
                return
            raise RecordRefused
        resource: Resource = {"resourceType": target.resource_type, "id": self._id(target.name, str(key))}
        if target.profile:
            resource["meta"] = {"profile": list(target.profile)}
        if self._written(target, place, resource):
            self._keep(target, place, resource)
            target.tell(place)
            self._made.add(f"{target.resource_type}/{resource['id']}")
            yield resource

    def _keep(self, target: Target, place: Place, resource: Resource) -> None:
        """See that what the record says of an element does not come to nothing, which would mean something else."""
        for element, read, display in target.kept:
            said = read(place)
            if element in resource or said in (None, "", []):
                continue
            named = [
                {"display": str(text)}
                for one in (said if isinstance(said, list) else [said])
                if display and (text := display(place.at(one)))
            ]
            if named:
                resource[element] = named
                self.remark(
                    Remark("warning", "value-unknown", element, "None is known here; what they are called is kept.")
                )
                continue
            text = (
                f"Nothing of {str(said)[:60]!r} can be used for {element}. Correct it, or import first what it names."
            )
            self.remark(Remark("error", "value-unknown", element, text))
            raise RecordRefused

    def _written(self, target: Target, place: Place, resource: Resource) -> bool:
        before = len(self._remarks)
        try:
            return target.write(place, resource)
        except Incomplete as missing:
            if not target.optional:
                raise
            if len(self._remarks) == before:  # what could not be read was said
                said = f"The {target.name} is left out: {missing.element} has no value."
                self.remark(Remark("warning", "element-incomplete", missing.source, said))
            return False

    def _id(self, target: str, key: str) -> str:
        readable = f"{self._source}-{target}-{key}".lower()
        if ID_PATTERN.fullmatch(readable):
            return readable
        # a readable part helps who looks at it; the digest keeps two keys apart that only differ in what an id refuses
        digest = hashlib.sha256(key.encode()).hexdigest()[:20]
        head = _NOT_OF_AN_ID.sub("-", f"{self._source}-{target}-{key}".lower())
        return f"{head[: 64 - len(digest) - 1]}-{digest}"
