"""Find and read the artefact files of profiles/ and terminology/.

The file rule: one artefact per file, in the folder of its kind, named `<ResourceType>-<id>.json`; the id is the last
segment of the canonical URL; url, version, status and description are always there. A NamingSystem has neither url nor
version in R4: its canonical is its preferred uniqueId of type uri.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from fhir_server.model import codec
from fhir_server.model.errors import Malformed
from fhir_server.model.resource import Resource

BASE = "https://w3id.org/social-referral"
"""Every canonical of ours starts with it."""

FOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "profiles/structure-definitions": "StructureDefinition",
        "profiles/extensions": "StructureDefinition",
        "profiles/search-parameters": "SearchParameter",
        "profiles/capability-statements": "CapabilityStatement",
        "profiles/operation-definitions": "OperationDefinition",
        "profiles/questionnaires": "Questionnaire",
        "profiles/plan-definitions": "PlanDefinition",
        "profiles/measures": "Measure",
        "terminology/code-systems": "CodeSystem",
        "terminology/value-sets": "ValueSet",
        "terminology/concept-maps": "ConceptMap",
        "terminology/naming-systems": "NamingSystem",
    }
)
"""Folder below the root → the one resource type of the artefacts in it."""

ROOTS = ("profiles", "terminology")
TOPICS = "subscription-topics"
"""A folder whose artefacts are no R4 resources: see artifacts.topics."""
_STATUSES = frozenset({"draft", "active", "retired", "unknown"})


class Fault(NamedTuple):
    """A fault in one file: `path` relative to the root, a stable `key`, and what to do in `text`."""

    path: str
    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text} [{self.key}]"


class Artifact(NamedTuple):
    """An artefact as read: `path` relative to the root, its canonical URL and version ("" where it has none)."""

    path: str
    canonical: str
    version: str
    resource: Resource


def default_root() -> Path:
    """Return the folder that holds profiles/, terminology/ and mappings/: the checkout, or the data of the wheel."""
    package = Path(__file__).resolve().parent.parent
    bundled = package / "_data"
    return bundled if bundled.is_dir() else package.parent


def read_all(root: Path) -> tuple[tuple[Artifact, ...], tuple[Fault, ...]]:
    """Read every artefact below `root`, in path order; the second part names every fault that was found.

    An artefact with a fault in its contents is still in the first part when its canonical is known.
    """
    artifacts: list[Artifact] = []
    faults: list[Fault] = []
    for path in _files(root):
        artifact, found = _read(root, path)
        faults.extend(found)
        if artifact:
            artifacts.append(artifact)
    faults.extend(_duplicates(artifacts))
    return tuple(artifacts), tuple(faults)


def canonical_of(resource: Resource) -> str:
    """Return the canonical URL: `url`, or for a NamingSystem its preferred uniqueId of type uri; "" when absent."""
    if resource.get("resourceType") != "NamingSystem":
        url = resource.get("url")
        return url if isinstance(url, str) else ""
    uris = [one for one in resource.get("uniqueId", ()) if isinstance(one, dict) and one.get("type") == "uri"]
    uris.sort(key=lambda one: one.get("preferred") is not True)
    return str(uris[0].get("value", "")) if uris else ""


def _files(root: Path) -> Iterator[Path]:
    for folder in ROOTS:
        found = (path for path in (root / folder).rglob("*") if path.is_file())
        yield from sorted(path for path in found if path.parent.name != TOPICS)


def _read(root: Path, path: Path) -> tuple[Artifact | None, list[Fault]]:
    name = path.relative_to(root).as_posix()
    if path.suffix != ".json":
        return None, [Fault(name, "artifact-extension", f"{path.suffix!r} is no artefact: keep .json files only here.")]
    try:
        resource = codec.decode_resource(path.read_bytes())
    except Malformed as error:
        return None, [Fault(name, "artifact-unreadable", str(error))]
    canonical = canonical_of(resource)
    artifact = Artifact(name, canonical, str(resource.get("version", "")), resource)
    faults = [*_misplaced(name, resource), *_incomplete(artifact), *_misnamed(artifact)]
    return (artifact if canonical else None), faults


def _misplaced(name: str, resource: Resource) -> Iterator[Fault]:
    folder = name.rpartition("/")[0]
    expected = FOLDERS.get(folder)
    if expected is None:
        yield Fault(name, "artifact-folder", f"{folder}/ holds no artefacts. Folders that do: {', '.join(FOLDERS)}.")
    elif resource["resourceType"] != expected:
        yield Fault(name, "artifact-folder", f"A {resource['resourceType']} lies in {folder}/, which holds {expected}.")


def _incomplete(artifact: Artifact) -> Iterator[Fault]:
    resource = artifact.resource
    needed = ["status", "description"]
    if resource["resourceType"] != "NamingSystem":
        needed += ["url", "version"]
    for member in needed:
        if not isinstance(resource.get(member), str) or not resource[member].strip():
            yield Fault(artifact.path, "artifact-incomplete", f"{member} is missing: every artefact states it.")
    if isinstance(resource.get("status"), str) and resource["status"] not in _STATUSES:
        yield Fault(artifact.path, "artifact-incomplete", f"status {resource['status']!r} is none of R4's.")
    if not artifact.canonical:
        yield Fault(artifact.path, "artifact-incomplete", "No canonical URL: nothing can refer to this artefact.")


def _misnamed(artifact: Artifact) -> Iterator[Fault]:
    resource, canonical = artifact.resource, artifact.canonical
    expected = f"{resource['resourceType']}-{resource.get('id')}.json"
    found = artifact.path.rpartition("/")[2]
    if found != expected:
        yield Fault(artifact.path, "artifact-name", f"The file is named {found}; its content asks {expected}.")
    if not canonical:
        return
    if canonical.rpartition("/")[2] != resource.get("id"):
        yield Fault(
            artifact.path,
            "artifact-name",
            f"id {resource.get('id')!r} is not the last segment of the canonical {canonical}.",
        )
    if canonical.startswith(BASE) and canonical != f"{BASE}/{resource['resourceType']}/{resource.get('id')}":
        yield Fault(artifact.path, "artifact-name", f"{canonical} is not {BASE}/{resource['resourceType']}/<id>.")


def _duplicates(artifacts: list[Artifact]) -> Iterator[Fault]:
    seen: dict[tuple[str, str, str], str] = {}
    for artifact in artifacts:
        key = (artifact.resource["resourceType"], artifact.canonical, artifact.version)
        first = seen.setdefault(key, artifact.path)
        if first != artifact.path:
            text = f"{artifact.canonical}|{artifact.version} is already in {first}: give one of them another version."
            yield Fault(artifact.path, "artifact-duplicate", text)
