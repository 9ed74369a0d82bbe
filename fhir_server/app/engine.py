"""Wiring, first half: settings and artefacts become the engine that every interaction works with."""

from functools import partial
from importlib.metadata import PackageNotFoundError, version

from fhir_server.access.guarded_access import Access
from fhir_server.artifacts.catalog import ArtifactsBroken, Catalog
from fhir_server.artifacts.source import Fault
from fhir_server.interactions.audit_queue import Auditor, Sealing
from fhir_server.interactions.audit_seals import Signer
from fhir_server.interactions.context import Engine, Limits
from fhir_server.interactions.feed_waiting import Waiters
from fhir_server.interactions.loaded_terminology import LiveTerminology
from fhir_server.interactions.routing import Routes
from fhir_server.interactions.signal import Signal
from fhir_server.interactions.stored_terminology import ServerTerminology
from fhir_server.interactions.subscriptions_offer import Subscriptions, load_topics
from fhir_server.interactions.table import INTERACTIONS
from fhir_server.model.clock import Clock, SystemClock
from fhir_server.model.ids import IdSource, RandomIds
from fhir_server.search.extract import Extractor
from fhir_server.search.page import CursorCodec
from fhir_server.search.parameters import Registry
from fhir_server.settings import Settings
from fhir_server.store.port import Store
from fhir_server.store.sealed import MasterKeys, NationalNumbers, SealedStore
from fhir_server.store.sqlite.store import SqliteStore
from fhir_server.terminology.service import TerminologyService
from fhir_server.validation.differential import UnenforceableConstruct
from fhir_server.validation.pipeline import Validator
from fhir_server.workflow.plans import Action, PlanUnusable, load_plans
from fhir_server.workflow.rules import Rulebook
from fhir_server.workflow.suggestion_facts import load_rules
from fhir_server.workflow.wording import Wording


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
        access=Access(registry, extractor, clock, by_token=settings.mode == "protected") if enforced else Access.open(),
        auditor=_auditor(store, settings, clock),
        signal=signal,
        subscriptions=_subscriptions(settings, registry),
        waiters=Waiters(store, extractor, signal),
    )


def _rulebook(settings: Settings, catalog: Catalog) -> Rulebook:
    return Rulebook.load(
        govern_all=settings.govern_all,
        contact_days=settings.contact_days,
        own_base=settings.public_base,
        plans=_plans(catalog),
        wording=Wording(settings.language, catalog.of_type("CodeSystem")),
        escalate=settings.escalate_overdue,
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


def _subscriptions(settings: Settings, registry: Registry) -> Subscriptions:
    topics = load_topics(settings.artifacts, registry)
    return Subscriptions(topics, settings.private_receivers, settings.event_days, settings.delivery_hours)


def _software_version() -> str:
    try:
        return version("fhir-server")
    except PackageNotFoundError:  # a checkout that is not installed
        return "0+checkout"
