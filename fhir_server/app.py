"""The composition root: the only place that wires settings, stores, rules and adapters together."""

import gc
from importlib.metadata import PackageNotFoundError, version

import structlog

from fhir_server.artifacts.catalog import ArtifactsBroken, Catalog
from fhir_server.artifacts.source import Fault
from fhir_server.http.application import Gateway, build_application
from fhir_server.http.endpoint import FhirEndpoint
from fhir_server.interactions.context import Engine, Limits
from fhir_server.interactions.publish import publish_artifacts
from fhir_server.interactions.reindexing import index_is_current
from fhir_server.interactions.routing import Routes
from fhir_server.interactions.stored_terminology import ServerTerminology
from fhir_server.interactions.table import INTERACTIONS
from fhir_server.model.clock import Clock, SystemClock
from fhir_server.model.ids import IdSource, RandomIds
from fhir_server.search.extract import Extractor
from fhir_server.search.page import CursorCodec
from fhir_server.search.parameters import Registry
from fhir_server.settings import Settings
from fhir_server.store.sqlite.store import SqliteStore
from fhir_server.terminology.service import TerminologyService
from fhir_server.validation.differential import UnenforceableConstruct
from fhir_server.validation.pipeline import Validator
from fhir_server.workflow.rules import Rulebook

_log = structlog.get_logger("fhir_server.app")


def build_engine(settings: Settings, *, clock: Clock | None = None, ids: IdSource | None = None) -> Engine:
    """Wire an engine; the caller closes its store. Raises SettingsError, or Unavailable when the store does not open."""
    clock = clock or SystemClock()
    catalog = Catalog.load(settings.artifacts)
    registry = Registry.load(catalog.of_type("SearchParameter"))
    terminology = TerminologyService.load(catalog)
    return Engine(
        store=SqliteStore(
            settings.store_path,
            clock,
            query_seconds=settings.query_seconds,
            busy_seconds=settings.busy_seconds,
            synchronous=settings.synchronous,
        ),
        registry=registry,
        extractor=Extractor(registry, own_base=settings.public_base),
        validator=_validator(catalog, terminology),
        rulebook=Rulebook.load(
            govern_all=settings.govern_all, contact_days=settings.contact_days, own_base=settings.public_base
        ),
        catalog=catalog,
        terminology=ServerTerminology(terminology),
        routes=Routes(INTERACTIONS),
        ids=ids or RandomIds(),
        clock=clock,
        cursors=CursorCodec(settings.signing_key()),
        limits=Limits(
            bundle_entries=settings.max_bundle_entries,
            default_count=settings.default_count,
            max_count=settings.max_count,
            max_includes=settings.max_includes,
            explain=settings.explain,
        ),
        own_base=settings.public_base,
        references=settings.references,
        version=_software_version(),
        started=clock.now_ms(),
    )


def _validator(catalog: Catalog, terminology: TerminologyService) -> Validator:
    """Compile the profiles; raises ArtifactsBroken for one that cannot be enforced, since it would promise too much."""
    try:
        return Validator.load(catalog, terminology)
    except UnenforceableConstruct as error:
        raise ArtifactsBroken(
            [Fault(error.profile, "profile-unenforceable", f"{error.path}: {error.reason}")]
        ) from error


def create_app(settings: Settings, engine: Engine | None = None) -> Gateway:
    """Build the ASGI application on a store that holds the artefacts; it closes the engine's store when it stops."""
    wired = engine or build_engine(settings)
    if not index_is_current(wired):
        _log.warning(
            "search parameters have changed since the index was made: fhir-server reindex makes it again, also while "
            "this server runs"
        )
    if settings.publish_artifacts:
        publish_artifacts(wired)
    endpoint = FhirEndpoint(
        wired,
        base=settings.public_base,
        base_path=settings.base_path,
        max_body_bytes=settings.max_body_bytes,
        cross_check=settings.cross_check,
        trace=settings.log_level == "debug",
    )
    return Gateway(
        build_application(settings.base_path, _settle_memory, wired.store.close), endpoint, settings.base_path
    )


def _settle_memory() -> None:
    """Take the definition tables out of the collector's sight: scanning them costs tens of milliseconds at a time."""
    gc.collect()
    gc.freeze()


def _software_version() -> str:
    try:
        return version("fhir-server")
    except PackageNotFoundError:  # a checkout that is not installed
        return "0+checkout"
