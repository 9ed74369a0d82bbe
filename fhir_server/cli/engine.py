"""The server's own interactions without HTTP between: what `load` and `export` work on."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click

from fhir_server.access.principal import Principal
from fhir_server.app import build_engine
from fhir_server.artifacts import r4
from fhir_server.artifacts.catalog import ArtifactsBroken
from fhir_server.cli.configuration import refused_setting
from fhir_server.cli.loaders import EntryRefusal, refused_entries
from fhir_server.interactions.context import Engine
from fhir_server.interactions.perform import perform
from fhir_server.interactions.reindexing import index_is_current
from fhir_server.interactions.request import Request, Result
from fhir_server.model.codec import decode, encode
from fhir_server.model.errors import FhirError
from fhir_server.model.resource import Resource
from fhir_server.settings import Settings, SettingsError
from fhir_server.store.port import Store
from fhir_server.validation.differential import UnenforceableConstruct

_OPERATOR = Principal(roles=frozenset({"operator"}), agent="fhir-server load")
_JSON = "application/fhir+json"


class EngineLoader:
    """Loads through the same interactions that HTTP uses: everything is validated, indexed, audited and versioned."""

    def __init__(self, engine: Engine, base: str) -> None:
        self._engine = engine
        self._base = base

    def put(self, resource: Resource) -> None:
        """Store one resource: update-as-create under its id, create when it has none."""
        place = str(resource["resourceType"])
        if "id" in resource:
            self._perform("PUT", f"{place}/{resource['id']}", resource)
        else:
            self._perform("POST", place, resource)

    def bundle(self, bundle: Resource) -> list[EntryRefusal]:
        """Carry out a transaction or batch."""
        result = self._perform("POST", "", bundle)
        return refused_entries(decode(result.body)) if result.body else []

    def _perform(self, method: str, path: str, resource: Resource) -> Result:
        request = Request(
            method,
            path,
            body=encode(resource),
            content_type=_JSON,
            returns="minimal",
            principal=_OPERATOR,
            base=self._base,
        )
        return perform(self._engine, request)


@contextmanager
def open_engine_loader(settings: Settings) -> Iterator[EngineLoader]:
    """Open the store of these settings for loading, and close it durably. Raises ClickException when it does not open."""
    engine = open_engine(settings)
    try:
        yield EngineLoader(engine, settings.public_base)
    finally:
        engine.store.close()


@contextmanager
def open_store(settings: Settings) -> Iterator[Store]:
    """Open the store of these settings, and close it. Raises ClickException when it does not open."""
    engine = open_engine(settings)
    try:
        yield engine.store
    finally:
        engine.store.close()


def open_engine_for(settings: Settings, types: Iterable[str]) -> Engine:
    """Wire an engine to go through resource types of a store that is there. Raises ClickException where one is no type."""
    for name in types:
        if name not in r4.resource_types():
            raise click.BadParameter(f"{name} is no R4 resource type", param_hint="--type")
    return open_engine(settings)


def open_engine(settings: Settings) -> Engine:
    """Wire an engine on the store of these settings, whose folder is made. Raises ClickException when it does not open."""
    try:
        settings.store_path.parent.mkdir(parents=True, exist_ok=True)
        engine = build_engine(settings)
        index_is_current(engine)  # marks a new store
    except SettingsError as error:
        raise refused_setting(error) from error
    except (ArtifactsBroken, UnenforceableConstruct) as error:
        raise click.ClickException(f"the artefacts in {settings.artifacts} cannot be used: {error}") from error
    except (FhirError, OSError) as error:
        raise click.ClickException(f"the store {settings.store_name} does not open: {error}") from error
    else:
        return engine
