"""What rules look up, without a store."""

from base64 import b64decode
from typing import Any


class Vocabulary:
    """Knows `Schuldhulp`, every code but `none`, areas by number, and boundaries that are polygons."""

    def concept(self, system: str, text: str) -> dict[str, Any] | None:
        return {"system": system, "code": "debt-help"} if text == "Schuldhulp" else None

    def mapped(self, concept_map: str, system: str, code: str) -> dict[str, Any] | None:
        return {"system": concept_map + system, "code": code.upper()} if code != "none" else None

    def area(self, text: str) -> dict[str, Any] | None:
        return {"reference": f"Location/{text}"} if text.isdigit() else None

    def boundary_fault(self, data: str) -> str:
        return "" if "Polygon" in b64decode(data).decode() else "It is no GeoJSON."
