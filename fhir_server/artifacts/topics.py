"""The SubscriptionTopic artefacts: in the form of R4B, since R4 has no such resource, so they are no part of the catalogue.

R4 clients find them as Basic resources (`as_basic`), with the cross-version extensions that R4 has for R4B elements.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from fhir_server.artifacts.source import Artifact, Fault
from fhir_server.model import codec
from fhir_server.model.errors import Malformed
from fhir_server.model.resource import Resource

FOLDER: Final = "profiles/subscription-topics"
_TYPE: Final = "SubscriptionTopic"
_EXTENSION: Final = "http://hl7.org/fhir/4.3/StructureDefinition/extension-SubscriptionTopic."
_NEEDED: Final = ("id", "url", "version", "title", "status", "description")
_VALUES: Final[Mapping[str, str]] = {
    "url": "valueUri", "version": "valueString", "title": "valueString", "date": "valueDateTime",
    "publisher": "valueString", "description": "valueMarkdown", "experimental": "valueBoolean",
    "resource": "valueUri", "supportedInteraction": "valueCode", "previous": "valueString", "current": "valueString",
    "resultForCreate": "valueCode", "resultForDelete": "valueCode", "requireBoth": "valueBoolean",
    "event": "valueCodeableConcept", "filterParameter": "valueString", "modifier": "valueCode",
}  # fmt: skip
"""Element of a SubscriptionTopic → the value that holds it in an extension; what is not here has parts."""


def read_topics(root: Path) -> tuple[tuple[Artifact, ...], tuple[Fault, ...]]:
    """Read every topic below the root of the artefacts, in the order of their names, with the faults that were found."""
    artifacts: list[Artifact] = []
    faults: list[Fault] = []
    for path in sorted((root / FOLDER).glob("*")):
        name = path.relative_to(root).as_posix()
        try:
            resource = codec.decode_resource(path.read_bytes())
        except Malformed as error:
            faults.append(Fault(name, "artifact-unreadable", str(error)))
            continue
        faults += _faults(name, resource)
        artifacts.append(Artifact(name, str(resource.get("url", "")), str(resource.get("version", "")), resource))
    return tuple(artifacts), tuple(faults)


def as_basic(topic: Resource) -> Resource:
    """Return a topic as R4 clients find it: `Basic?code=SubscriptionTopic`."""
    basic: Resource = {"resourceType": "Basic", "id": f"topic-{topic['id']}"}
    told = {name: value for name, value in topic.items() if name not in ("resourceType", "id", "status")}
    basic["extension"] = list(_extensions(told, _EXTENSION))
    basic["modifierExtension"] = [{"url": f"{_EXTENSION}status", "valueCode": topic["status"]}]
    basic["code"] = {"coding": [{"system": "http://hl7.org/fhir/fhir-types", "code": _TYPE}]}
    return basic


def _extensions(element: Mapping[str, Any], prefix: str) -> Iterator[Resource]:
    for name, value in element.items():
        for one in value if isinstance(value, list) else (value,):
            url = prefix + name
            if isinstance(one, dict) and name not in _VALUES:
                yield {"url": url, "extension": list(_extensions(one, ""))}
            else:
                yield {"url": url, _VALUES[name]: one}


def _faults(name: str, resource: Resource) -> Iterator[Fault]:
    if resource["resourceType"] != _TYPE:
        yield Fault(name, "artifact-folder", f"A {resource['resourceType']} lies in {FOLDER}/, which holds {_TYPE}.")
    for member in _NEEDED:
        if not isinstance(resource.get(member), str) or not resource[member].strip():
            yield Fault(name, "artifact-incomplete", f"{member} is missing: every artefact states it.")
    expected = f"{resource['resourceType']}-{resource.get('id')}.json"
    if name.rpartition("/")[2] != expected:
        yield Fault(name, "artifact-name", f"The content asks the file name {expected}.")
    if str(resource.get("url", "")).rpartition("/")[2] != resource.get("id"):
        yield Fault(name, "artifact-name", f"id {resource.get('id')!r} is not the last segment of the canonical.")
