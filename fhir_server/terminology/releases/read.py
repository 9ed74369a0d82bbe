"""Reading a release: which format its files have, and all of it into one Gathering."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

from fhir_server.terminology.releases.claml import read_claml
from fhir_server.terminology.releases.code_system import read_code_system
from fhir_server.terminology.releases.files import ReleaseFile, Told, find
from fhir_server.terminology.releases.gathering import About, Gathering
from fhir_server.terminology.releases.problem import ReleaseError
from fhir_server.terminology.releases.rf2 import kind_of, read_rf2
from fhir_server.terminology.releases.table import read_table

Format: TypeAlias = Literal["rf2", "codesystem", "csv", "claml"]
_BY_ENDING: Final[dict[str, Format]] = {
    ".json": "codesystem",
    ".csv": "csv",
    ".tsv": "csv",
    ".xml": "claml",
    ".claml": "claml",
}


class Release(NamedTuple):
    """The files of a release that are read, and their format."""

    format: Format
    files: tuple[ReleaseFile, ...]

    @property
    def size(self) -> int:
        """Bytes that will be read."""
        return sum(file.size for file in self.files)


def choose(paths: Sequence[Path], wanted: Format | None = None) -> Release:
    """Find the files of a release and their format, by their names. Raises ReleaseError unless there is one release."""
    found = find(paths)
    snapshot = tuple(file for file in found if kind_of(file))
    if wanted == "rf2" or (wanted is None and snapshot):
        return Release("rf2", snapshot)
    if wanted is None:
        typed = [(file, _BY_ENDING[end]) for file in found if (end := _ending(file)) in _BY_ENDING]
    else:
        typed = [(file, wanted) for file in found if len(found) == 1 or _BY_ENDING.get(_ending(file)) == wanted]
    if len(typed) != 1:
        listed = ", ".join(file.where for file, _ in typed[:5]) or "none"
        raise ReleaseError(
            f"there must be one file to load: .json (CodeSystem), .csv or .tsv, .xml or .claml, or the snapshot files of "
            f"SNOMED CT (sct2_…_Snapshot_….txt); found {listed}. Say which format with --format."
        )
    return Release(typed[0][1], (typed[0][0],))


def gather(release: Release, stated: About, gathering: Gathering, told: Told, encoding: str = "utf-8") -> None:
    """Read a release; what the caller states of it counts before what the files say. Raises ReleaseError."""
    match release.format:
        case "rf2":
            read_rf2(release.files, gathering, told)
        case "codesystem":
            read_code_system(release.files[0], gathering, told)
        case "claml":
            read_claml(release.files[0], gathering, told)
        case "csv":
            read_table(release.files[0], gathering, told, encoding)
    gathering.about = about = stated.over(gathering.about)
    if not about.system:
        raise ReleaseError("the files do not say which code system it is; name its URL with --system.")
    if "|" in about.system or "|" in about.version:
        raise ReleaseError("a system or version must not contain |, which parts the two.")
    if not len(gathering):
        raise ReleaseError("there is no concept in it.")
    gathering.settle()


def _ending(file: ReleaseFile) -> str:
    return Path(file.name).suffix.lower()
