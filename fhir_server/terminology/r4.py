"""The code systems and value sets of FHIR R4 4.0.1 itself, read from `r4.json.zz` on first use.

The file is zlib-compressed JSON (131 KB; about 15 ms to load), written by `tools/compile_terminology.py`:

    code_systems   [url, version, name, case sensitive, concepts]
    concepts       [code, display ("": the code), children, [[property, value]]], empty members at the end left out
    value_sets     [url, version, name, compose]

HL7's own complete code systems are in it, and the value sets that need no other. Definitions are not.
"""

import json
import zlib
from functools import cache
from importlib.resources import files
from typing import Any

from fhir_server.model.resource import Resource
from fhir_server.terminology.concepts import CodeSystemIndex
from fhir_server.terminology.source import Collection, MapCollection, Source
from fhir_server.terminology.value_sets import ValueSetIndex, index

_TYPES = {"status": "valueCode", "notSelectable": "valueBoolean", "child": "valueCode"}


_EMPTY: tuple[Any, ...] = ("", (), ())


class _Lazy:
    """Stands for the shelves of the file until one of them is asked."""

    __slots__ = ("_kind",)

    def __init__(self, kind: int) -> None:
        self._kind = kind

    def get(self, canonical: str, /) -> Any:
        """Return the index with this canonical."""
        return _loaded()[self._kind].get(canonical) if canonical.startswith("http://") else None


def r4_source() -> Source:
    """Return the source; nothing is read before it is asked for something. R4's own concept maps are not in it."""
    return Source(_Lazy(0), _Lazy(1), MapCollection(()))


@cache
def _loaded() -> tuple[Collection[CodeSystemIndex], Collection[ValueSetIndex]]:
    packed = files(__package__).joinpath("r4.json.zz").read_bytes()
    table = json.loads(zlib.decompress(packed))
    systems = [{"url": row[0], "version": row[1], "row": row} for row in table["code_systems"]]
    value_sets = [
        {"url": url, "version": version, "name": name, "compose": compose}
        for url, version, name, compose in table["value_sets"]
    ]
    return Collection(systems, _code_system), Collection(value_sets, index)


def _code_system(entry: Resource) -> CodeSystemIndex:
    url, version, name, case_sensitive, concepts = entry["row"]
    return CodeSystemIndex(
        {
            "url": url,
            "version": version,
            "name": name,
            "caseSensitive": case_sensitive,
            "content": "complete",
            "concept": [_concept(row) for row in concepts],
        }
    )


def _concept(row: list[Any]) -> Resource:
    code, display, children, properties = [*row, *_EMPTY[len(row) - 1 :]]
    return {
        "code": code,
        "display": display or code,
        "concept": [_concept(child) for child in children],
        "property": [{"code": name, _TYPES[name]: value} for name, value in properties],
    }
