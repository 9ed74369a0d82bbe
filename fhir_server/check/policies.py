"""The check of the table of policies: against its schema, and against R4 and itself as the server reads it."""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

from jsonschema import Draft202012Validator

from fhir_server import access
from fhir_server.access.policies import Table
from fhir_server.artifacts.catalog import Catalog
from fhir_server.artifacts.source import Fault
from fhir_server.search.parameters import Registry

POLICIES: Final = "fhir_server/access/policies.json"
_MOST: Final = 20


def check_policies(catalog: Catalog, raw: Mapping[str, Any] | None = None) -> Iterator[Fault]:
    """Yield what is wrong with the shipped table of policies, or with `raw` instead of it."""
    folder = files(access)
    given = json.loads(folder.joinpath("policies.json").read_bytes()) if raw is None else raw
    schema = json.loads(folder.joinpath("policies.schema.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    errors = list(Draft202012Validator(schema).iter_errors(given))
    for error in errors[:_MOST]:
        yield Fault(POLICIES, "policies-broken", f"{error.json_path}: {error.message[:200]}")
    if errors:
        return
    try:
        registry = Registry.load(catalog.of_type("SearchParameter"))
    except ValueError:
        return  # `parameters` says which one is broken
    try:
        Table.load(registry, given)
    except ValueError as error:
        yield Fault(POLICIES, "policies-broken", str(error))
