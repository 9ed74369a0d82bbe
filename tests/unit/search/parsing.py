"""Searches parsed as the server does, with a terminology and a clock of the tests' own."""

from collections.abc import Iterable

from fhir_server.search.parameters import Registry
from fhir_server.search.parse import parse_search
from fhir_server.search.request import Relation, SearchLimits, SearchRequest

REGISTRY = Registry.load()
NOW = 1_780_000_000_000_000


def expand(relation: Relation, value: str) -> Iterable[tuple[str, str]]:
    return [("http://s", f"{relation}:{value}"), ("http://s", "second")]


def parse(
    query: str, *, strict: bool = True, terminology: bool = False, limits: SearchLimits | None = None
) -> SearchRequest:
    kind, _, text = query.partition("?")
    params = [(name, value) for name, _, value in (part.partition("=") for part in text.split("&") if part)]
    return parse_search(
        REGISTRY,
        kind,
        params,
        strict=strict,
        own_base="https://me.example.org/fhir",
        limits=limits or SearchLimits(),
        expand=expand if terminology else None,
        now_us=NOW,
    )
