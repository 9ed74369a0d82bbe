"""What the index would see in a resource."""

from typing import Any

from fhir_server.search.extract import Extractor
from fhir_server.search.values import Entry


def of(extractor: Extractor, param: str, kind: str, **members: Any) -> list[Entry]:
    return [e for e in extractor.extract({"resourceType": kind, "id": "x", **members}) if e.param == param]
