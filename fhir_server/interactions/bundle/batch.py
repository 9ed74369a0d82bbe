"""A batch: every entry on its own, in the order it was sent (R4 http.html#2.21.0.17.1)."""

from collections.abc import Sequence

from fhir_server.interactions.bundle.plan import Entry
from fhir_server.interactions.bundle.response import error_entry, response_bundle, response_entry
from fhir_server.interactions.context import Engine
from fhir_server.interactions.perform import perform
from fhir_server.interactions.request import Kind, Result
from fhir_server.model.errors import FhirError


def batch(engine: Engine, entries: Sequence[Entry]) -> Result:
    """Do each entry in a unit of its own; one that is refused says so in its own place and stops no other."""
    rendered = []
    for entry in entries:
        try:
            rendered.append(response_entry(entry.request, perform(engine, entry.request)))
        except FhirError as error:
            rendered.append(error_entry(entry.request, error))
    return Result(Kind.OK, response_bundle("batch-response", rendered))
