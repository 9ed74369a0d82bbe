"""Find what is to be loaded: files, NDJSON lines and folders become a stream of resources, or of reasons why not."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from fhir_server.model.codec import decode_resource
from fhir_server.model.errors import FhirError, Invalid, Malformed
from fhir_server.model.resource import Resource

SUFFIXES = (".json", ".ndjson")


class Input(NamedTuple):
    """One resource with its origin (`file` or `file:line`), or the error that stands in its place."""

    origin: str
    resource: Resource | None
    error: FhirError | None = None


def find_files(paths: Iterable[Path]) -> list[Path]:
    """List the files to read: those that are named, and the .json and .ndjson files below named folders, sorted."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
        else:
            found.append(path)
    return found


def read_inputs(files: Iterable[Path]) -> Iterator[Input]:
    """Read files one by one, NDJSON files line by line; never more than one document in memory."""
    for file in files:
        try:
            if file.suffix == ".ndjson":
                yield from _lines(file)
            else:
                yield _decoded(str(file), file.read_bytes())
        except OSError as error:
            yield Input(
                str(file), None, Malformed(f"The file cannot be read: {error.strerror}.", key="unreadable-file")
            )


def _lines(file: Path) -> Iterator[Input]:
    with file.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            if line.strip():
                yield _decoded(f"{file}:{number}", line)


def _decoded(origin: str, raw: bytes) -> Input:
    try:
        return Input(origin, decode_resource(raw))
    except FhirError as error:
        return Input(origin, None, error)


def unpack(bundle: Resource) -> Iterator[tuple[str, Resource | FhirError]]:
    """Take the resources out of a collection, each ready to be stored by itself, with its expression in the Bundle.

    An entry is stored under its own id, else under the uuid of its `urn:uuid:` fullUrl, so that loading twice changes
    nothing; references to a fullUrl within the Bundle become references to where that entry is stored.
    """
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        entries = []
    homes: dict[str, str] = {}
    placed: list[tuple[str, Resource | None]] = []
    for index, entry in enumerate(entries):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        full_url = entry.get("fullUrl") if isinstance(entry, dict) else None
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            placed.append((f"Bundle.entry[{index}]", None))
            continue
        resource = _with_id(resource, full_url)
        if isinstance(full_url, str) and "id" in resource:
            homes[full_url] = f"{resource['resourceType']}/{resource['id']}"
        placed.append((f"Bundle.entry[{index}].resource", resource))
    for expression, resource in placed:
        if resource is None:
            reason = "The entry holds no resource with a resourceType; there is nothing to load in it."
            yield expression, Invalid(reason, expression=expression, key="entry-without-resource")
        else:
            yield expression, _rewritten(resource, homes)


def _with_id(resource: Resource, full_url: object) -> Resource:
    uuid_prefix = "urn:uuid:"
    if "id" in resource or not isinstance(full_url, str) or not full_url.startswith(uuid_prefix):
        return resource
    return {"resourceType": resource["resourceType"], "id": full_url.removeprefix(uuid_prefix), **resource}


def _rewritten(element: Resource, homes: dict[str, str]) -> Resource:
    return {
        name: homes.get(value, value)
        if name == "reference" and isinstance(value, str)
        else _rewritten_value(value, homes)
        for name, value in element.items()
    }


def _rewritten_value(value: object, homes: dict[str, str]) -> object:
    if isinstance(value, dict):
        return _rewritten(value, homes)
    if isinstance(value, list):
        return [_rewritten_value(item, homes) for item in value]
    return value
