"""The Resource alias and the few accessors that every layer needs."""

from collections.abc import Iterator
from typing import Any

Resource = dict[str, Any]
"""A FHIR resource (or any complex element) as the plain JSON object that was sent; decimals are `Decimal`."""


def type_and_id(resource: Resource) -> str:
    """Return `Type/id`, the relative reference of a stored resource."""
    return f"{resource['resourceType']}/{resource['id']}"


def profiles(resource: Resource) -> tuple[str, ...]:
    """Return the canonicals that `meta.profile` claims, versions cut off."""
    meta = resource.get("meta")
    claimed = meta.get("profile") if isinstance(meta, dict) else None
    if not isinstance(claimed, list):
        return ()
    return tuple(url.split("|", 1)[0] for url in claimed if isinstance(url, str))


def with_server_fields(resource: Resource, resource_id: str, version_id: int, last_updated: str) -> Resource:
    """Return a copy with `id`, `meta.versionId` and `meta.lastUpdated` set, all else in the order it was sent.

    Absent members are placed where R4 puts them: `id` after `resourceType`, `meta` after `id`.
    """
    sent_meta = resource.get("meta")
    meta = {"versionId": str(version_id), "lastUpdated": last_updated}
    if isinstance(sent_meta, dict):
        meta = {**sent_meta, **meta} if "versionId" in sent_meta else {**meta, **_without_server_meta(sent_meta)}
    placed: Resource = {}
    for name, value in resource.items():
        if name == "id":
            placed["id"] = resource_id
        elif name == "meta":
            placed["meta"] = meta
        else:
            placed[name] = value
            if name == "resourceType":
                if "id" not in resource:
                    placed["id"] = resource_id
                if "meta" not in resource:
                    placed["meta"] = meta
    return placed


def _without_server_meta(meta: Resource) -> Resource:
    return {name: value for name, value in meta.items() if name not in ("versionId", "lastUpdated")}


def walk(element: Any, path: str) -> Iterator[tuple[str, Resource]]:
    """Yield `(path, object)` for the element and every JSON object below it, parents first."""
    if isinstance(element, dict):
        yield path, element
        for name, value in element.items():
            if isinstance(value, (dict, list)):
                yield from walk(value, f"{path}.{name}")
    elif isinstance(element, list):
        for index, item in enumerate(element):
            if isinstance(item, (dict, list)):
                yield from walk(item, f"{path}[{index}]")
