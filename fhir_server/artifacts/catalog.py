"""The immutable index of artefacts by (type, canonical, version)."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Self

from fhir_server.artifacts.source import Fault, canonical_of, default_root, read_all
from fhir_server.model.resource import Resource

_NUMBERS = re.compile(r"\d+")


class ArtifactsBroken(Exception):
    """The artefact files cannot be used; `faults` names each file and what is wrong with it."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class Catalog:
    """Artefacts, looked up by canonical; a canonical may end in `|version`, without it the highest version is meant."""

    __slots__ = ("_by_type", "_versions")

    def __init__(self, resources: Iterable[Resource]) -> None:
        """Index resources that have a canonical; raises ArtifactsBroken when one (type, canonical, version) is twice."""
        versions: dict[tuple[str, str], dict[str, Resource]] = {}
        by_type: dict[str, list[Resource]] = {}
        for resource in resources:
            kind, canonical = resource["resourceType"], canonical_of(resource)
            of_canonical = versions.setdefault((kind, canonical), {})
            version = str(resource.get("version", ""))
            if version in of_canonical:
                raise ArtifactsBroken(
                    [Fault(canonical, "artifact-duplicate", f"{canonical}|{version} is there twice.")]
                )
            of_canonical[version] = resource
            by_type.setdefault(kind, []).append(resource)
        self._versions: Mapping[tuple[str, str], Mapping[str, Resource]] = MappingProxyType(
            {key: MappingProxyType(_newest_first(found)) for key, found in versions.items()}
        )
        self._by_type: Mapping[str, tuple[Resource, ...]] = MappingProxyType(
            {kind: tuple(found) for kind, found in by_type.items()}
        )

    @classmethod
    def load(cls, root: Path | None = None) -> Self:
        """Read the artefact folders below `root` (the project's own by default); raises ArtifactsBroken with all faults."""
        artifacts, faults = read_all(default_root() if root is None else root)
        if faults:
            raise ArtifactsBroken(faults)
        return cls(artifact.resource for artifact in artifacts)

    def extended(self, resources: Iterable[Resource]) -> "Catalog":
        """Return a catalogue with more artefacts (base R4's, a licensed code system); this one stays as it is."""
        own = (resource for found in self._by_type.values() for resource in found)
        return Catalog([*own, *resources])

    def get(self, resource_type: str, canonical: str) -> Resource | None:
        """Return the artefact of this type, or None. A canonical with `|version` gives exactly that version."""
        url, _, version = canonical.partition("|")
        found = self._versions.get((resource_type, url))
        if found is None:
            return None
        return found.get(version) if version else next(iter(found.values()))

    def of_type(self, resource_type: str) -> tuple[Resource, ...]:
        """Return all artefacts of a type, every version, in the order they were read."""
        return self._by_type.get(resource_type, ())

    def resolve(self, canonical: str) -> Resource | None:
        """Return the artefact with this canonical whatever its type, or None."""
        found = (self.get(resource_type, canonical) for resource_type in self._by_type)
        return next((resource for resource in found if resource is not None), None)

    def types(self) -> tuple[str, ...]:
        """Return the resource types that the catalogue holds."""
        return tuple(self._by_type)


def _newest_first(versions: Mapping[str, Resource]) -> dict[str, Resource]:
    return dict(sorted(versions.items(), key=lambda one: version_key(one[0]), reverse=True))


def version_key(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Order `1.10.0` after `1.9.0`, and `2.0.0-ballot` before `2.0.0` (semver's rule for a pre-release)."""
    release, _, label = version.partition("-")
    return tuple(int(number) for number in _NUMBERS.findall(release)), not label, label
