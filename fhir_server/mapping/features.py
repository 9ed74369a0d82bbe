"""GeoJSON as a source: each feature of a FeatureCollection is a row, its properties the columns (RFC 7946)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fhir_server.mapping.definition import Column
from fhir_server.mapping.sources import Row, SourceBroken
from fhir_server.mapping.tables import fold_header
from fhir_server.mapping.unpacking import without_mark
from fhir_server.model.codec import decode
from fhir_server.model.errors import FhirError


def read_features(path: Path, columns: Sequence[Column], geometry: str) -> Iterator[Row]:
    """Yield the features as records by column name, the geometry in the column of that name. Raises SourceBroken.

    Properties that no column is called after are passed over: published files have dozens. Where several are of one
    column, the header that the mapping names first counts.
    """
    try:
        document = decode(without_mark(path.read_bytes()))
    except FhirError as error:
        raise SourceBroken(f"{path.name} is not JSON: {error.issues[0].diagnostics}") from None
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise SourceBroken(f"{path.name} is no GeoJSON FeatureCollection: it has no list of features.")
    headers = {column.name: [fold_header(one) for one in (*column.headers, column.name)] for column in columns}
    required = [column for column in columns if column.required]
    for number, feature in enumerate(features):
        origin = f"features[{number}]"
        if not isinstance(feature, dict) or not isinstance(feature.get("properties"), dict):
            yield Row(origin, "This is no feature: an object with properties is wanted.")
            continue
        named = {fold_header(str(name)): _text(value) for name, value in feature["properties"].items()}
        if number == 0 and (
            missing := next((one for one in required if not set(headers[one.name]) & set(named)), None)
        ):
            raise SourceBroken(
                f"{path.name}: the first feature has no property for {missing.headers[0]!r}; it may be called {', '.join(missing.headers)}."
            )
        record: dict[str, Any] = {
            name: text for name, folded in headers.items() if (text := next(filter(None, map(named.get, folded)), ""))
        }
        if isinstance(shape := feature.get("geometry"), dict):
            record[geometry] = _placed(shape, document)
        yield Row(origin, record)


def _placed(shape: dict[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a geometry with the coordinate system that the collection names: whoever reads it must know."""
    return {**shape, "crs": document["crs"]} if document.get("crs") is not None and "crs" not in shape else shape


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ";".join(map(_text, value))
    return "" if value is None or isinstance(value, dict) else str(value)
