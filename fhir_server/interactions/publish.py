"""Store the artefacts that the server was built with, so that they are read and searched like any resource.

What is unchanged since the last start keeps its version; what a newer release changed gets a new one. A resource that
somebody stored under the id of an artefact is replaced: the canonical URLs are ours.
"""

from collections.abc import Iterable

from fhir_server.access.principal import PLATFORM
from fhir_server.artifacts.topics import as_basic
from fhir_server.interactions.context import Engine
from fhir_server.interactions.unit import Unit, require_valid
from fhir_server.model.resource import Resource
from fhir_server.store.port import UnitOfWork


def publish_artifacts(engine: Engine) -> int:
    """Store every artefact of the catalogue in one unit; return how many were new or changed. Raises Invalid."""
    artifacts = [resource for kind in engine.catalog.types() for resource in engine.catalog.of_type(kind)]
    artifacts += [as_basic(topic) for topic in engine.subscriptions.topics.artifacts]
    for resource in artifacts:
        require_valid(engine, resource)
    return engine.store.write(lambda uow: _publish(engine, uow, artifacts))


def _publish(engine: Engine, uow: UnitOfWork, artifacts: Iterable[Resource]) -> int:
    unit = Unit(engine, uow, PLATFORM)
    changed = 0
    for resource in artifacts:
        current = uow.current(resource["resourceType"], resource["id"])
        version = unit.write(resource, resource["id"], "PUT", current)
        changed += current is None or version.version != current.version
    unit.settle()
    return changed
