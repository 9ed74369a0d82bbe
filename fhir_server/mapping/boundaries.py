"""The boundary of an area, as the data of an Attachment: GeoJSON that encloses something."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from fhir_server.mapping.places import Place, Remark, read_path
from fhir_server.model.codec import encode


def compile_boundary(spec: Mapping[str, Any]) -> Any:
    """Compile `boundary`: the base64 of a GeoJSON text or object, None (and a remark) where it encloses nothing."""
    path = spec["boundary"]
    read = read_path(path)

    def value(place: Place) -> str | None:
        found = read(place)
        if found is None:
            return None
        data = b64encode(encode(found) if isinstance(found, dict | list) else str(found).encode()).decode()
        fault = place.run.boundary_fault(data)
        if fault:
            place.run.remark(Remark("warning", "unreadable-boundary", place.called(path), fault))
            return None
        return data

    return value
