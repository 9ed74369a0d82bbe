"""The composition root: the only place that wires settings, stores, rules and adapters together."""

import gc
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from fhir_server.access.guarded_access import Access
from fhir_server.artifacts.catalog import ArtifactsBroken, Catalog
from fhir_server.artifacts.source import Fault
from fhir_server.http.application import Gateway, build_application
from fhir_server.http.endpoint import FhirEndpoint
from fhir_server.http.identity import Developer, Identity
from fhir_server.http.security import Origins, fixed_headers
from fhir_server.interactions.audit_queue import Auditor, Sealing
from fhir_server.interactions.audit_seals import Signer
from fhir_server.interactions.context import Engine, Limits
from fhir_server.interactions.feed_waiting import Waiters
from fhir_server.interactions.loaded_terminology import LiveTerminology
from fhir_server.interactions.publish import publish_artifacts
from fhir_server.interactions.reindexing import index_is_current
from fhir_server.interactions.routing import Routes
from fhir_server.interactions.signal import Signal
from fhir_server.interactions.stored_terminology import ServerTerminology
from fhir_server.interactions.table import INTERACTIONS
from fhir_server.model.clock import Clock, SystemClock
from fhir_server.model.ids import IdSource, RandomIds
from fhir_server.search.extract import Extractor
from fhir_server.search.page import CursorCodec
from fhir_server.search.parameters import Registry
from fhir_server.settings import Settings, SettingsError
from fhir_server.store.port import Store
from fhir_server.store.sealed import MasterKeys, NationalNumbers, SealedStore
from fhir_server.store.sqlite.store import SqliteStore
from fhir_server.terminology.service import TerminologyService
from fhir_server.validation.differential import UnenforceableConstruct
from fhir_server.validation.pipeline import Validator
from fhir_server.workflow.plans import Action, PlanUnusable, load_plans
from fhir_server.workflow.rules import Rulebook
from fhir_server.workflow.suggestion_facts import load_rules

if TYPE_CHECKING:
    from fhir_server.http.protection import Protection

_log = structlog.get_logger("fhir_server.app")


def build_engine(settings: Settings, *, clock: Clock | None = None, ids: IdSource | None = None) -> Engine:
    """Wire an engine; the caller closes its store. Raises SettingsError, or Unavailable when the store does not open."""
    clock = clock or SystemClock()
    catalog = Catalog.load(settings.artifacts)
    registry = Registry.load(catalog.of_type("SearchParameter"))
    terminology = TerminologyService.load(catalog)
    extractor = Extractor(registry, own_base=settings.public_base)
    enforced = settings.access_enforced
    store = _sealed(open_plain_store(settings, clock), settings, catalog)
    signal = Signal(partial(store.read, lambda snapshot: snapshot.last_sequence(), once=True))
    return Engine(
        store=store,
        registry=registry,
        extractor=extractor,
        validator=_validator(catalog, LiveTerminology(terminology, store)),
        rulebook=_rulebook(settings, catalog),
        catalog=catalog,
        terminology=ServerTerminology(terminology),
        routes=Routes(INTERACTIONS),
        ids=ids or RandomIds(),
        clock=clock,
        cursors=CursorCodec(settings.signing_key()),
        limits=_limits(settings),
        ranking=partial(load_rules, settings.artifacts),
        own_base=settings.public_base,
        references=settings.references,
        version=_software_version(),
        started=clock.now_ms(),
        access=Access(registry, extractor, clock) if enforced else Access.open(),
        auditor=_auditor(store, settings, clock),
        signal=signal,
        waiters=Waiters(store, extractor, signal),
    )


def _rulebook(settings: Settings, catalog: Catalog) -> Rulebook:
    return Rulebook.load(
        govern_all=settings.govern_all,
        contact_days=settings.contact_days,
        own_base=settings.public_base,
        plans=_plans(catalog),
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        bundle_entries=settings.max_bundle_entries,
        default_count=settings.default_count,
        max_count=settings.max_count,
        max_includes=settings.max_includes,
        explain=settings.explain,
        glass_minutes=settings.glass_minutes,
        longest_wait=settings.longest_wait,
    )


def open_plain_store(settings: Settings, clock: Clock) -> Store:
    """Open the store that the settings name, without the encryption around it. Raises Unavailable."""
    if settings.on_mongodb:
        from fhir_server.store.mongo import MongoStore  # noqa: PLC0415  # pymongo takes its time, and most need none

        return MongoStore(
            settings.store, clock, query_seconds=settings.query_seconds, busy_seconds=settings.busy_seconds
        )
    return SqliteStore(
        settings.store_path,
        clock,
        query_seconds=settings.query_seconds,
        busy_seconds=settings.busy_seconds,
        synchronous=settings.synchronous,
    )


def _sealed(store: Store, settings: Settings, catalog: Catalog) -> SealedStore:
    """Put the store behind its encryption, and close it when the keys do not fit."""
    numbers = NationalNumbers.of(catalog.of_type("NamingSystem"))
    try:
        return SealedStore(store, MasterKeys(settings.master_keys, settings.make_master_key), numbers)
    except BaseException:
        store.close()
        raise


def _auditor(store: SealedStore, settings: Settings, clock: Clock) -> Auditor:
    sealing = Sealing(store.seal, store.unseal, Signer(store.keyring.audit_seed), settings.audit_seals_file)
    return Auditor(store, clock, sealing, when=settings.read_audit, directory=settings.audit_directory)


def _plans(catalog: Catalog) -> dict[str, tuple[Action, ...]]:
    """Read the plans of follow-up; raises ArtifactsBroken for one that asks for what is not done."""
    try:
        return load_plans(catalog.of_type("PlanDefinition"))
    except PlanUnusable as error:
        raise ArtifactsBroken([Fault("PlanDefinition", "plan-unusable", str(error))]) from error


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
    application = build_application(settings.base_path, partial(_start, wired), partial(_stop, wired))
    fixed = fixed_headers(https=settings.public_base.startswith("https:"), protected=settings.mode == "protected")
    origins = Origins(settings.cors_origins.split())
    identity: Identity = Developer()
    if settings.mode == "protected":
        protection = _protection(wired, settings)
        application.include_router(protection.router)
        identity = protection.identity
    endpoint = FhirEndpoint(
        wired,
        base=settings.public_base,
        base_path=settings.base_path,
        max_body_bytes=settings.max_body_bytes,
        identity=identity,
        fixed_headers=fixed,
        origins=origins,
        body_seconds=settings.body_seconds,
        cross_check=settings.cross_check,
        trace=settings.log_level == "debug",
    )
    return Gateway(application, endpoint, settings.base_path, fixed, origins)


def _protection(engine: Engine, settings: Settings) -> "Protection":
    """Wire protected mode; what it needs is imported only here. Raises SettingsError when its keys cannot be used."""
    from fhir_server.access.issuers import IssuersUnusable, TrustedIssuers, read_issuers  # noqa: PLC0415  # idem
    from fhir_server.access.keys import KeyFolder, KeysUnusable  # noqa: PLC0415  # development mode needs none of these
    from fhir_server.access.sign_in import SignIn  # noqa: PLC0415  # idem
    from fhir_server.access.tokens import Place  # noqa: PLC0415  # idem
    from fhir_server.http.protection import Lives, Rates, protect  # noqa: PLC0415  # idem
    from fhir_server.outbound.fetch import Outward, fetch_json  # noqa: PLC0415  # idem
    from fhir_server.outbound.jwks import JwksSource  # noqa: PLC0415  # idem
    from fhir_server.outbound.providers import OpenIdProviders  # noqa: PLC0415  # idem

    call = partial(fetch_json, Outward(private=settings.private_addresses))
    source = JwksSource(call, engine.clock)
    back = f"{settings.issuer}/sign-in/return"
    try:
        trusted = read_issuers(Path(settings.issuers_file), settings.public_base) if settings.issuers_file else {}
        providers = OpenIdProviders(call, source, engine.clock)
        return protect(
            engine.store,
            engine.clock,
            KeyFolder(Path(settings.key_folder), engine.clock),
            Place(settings.issuer, settings.public_base),
            settings.base_path,
            Rates(settings.rate_per_second, settings.rate_burst, settings.failures_per_minute),
            source,
            lives=Lives(settings.token_seconds, settings.session_idle_minutes, settings.session_hours),
            sign_in=SignIn(engine.store, engine.clock, trusted, providers, settings.public_base, back),
            issuers=TrustedIssuers(trusted, providers, settings.public_base),
        )
    except IssuersUnusable as error:
        raise SettingsError("issuers_file", str(error)) from error
    except KeysUnusable as error:
        raise SettingsError("key_folder", str(error)) from error


def _start(engine: Engine) -> None:
    """Begin to look for changes of other processes too."""
    engine.signal.start()
    _settle_memory()


async def _stop(engine: Engine) -> None:
    """Write what still waits for the audit trail, then close the store."""
    if engine.waiters is not None:
        engine.waiters.release()
    engine.signal.stop()
    await engine.auditor.close()
    engine.store.close()


def _settle_memory() -> None:
    """Take the definition tables out of the collector's sight: scanning them costs tens of milliseconds at a time."""
    gc.collect()
    gc.freeze()


def _software_version() -> str:
    try:
        return version("fhir-server")
    except PackageNotFoundError:  # a checkout that is not installed
        return "0+checkout"
