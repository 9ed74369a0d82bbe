"""The collaborators of every interaction, wired once by the composition root."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from fhir_server.access.guarded_access import Access
from fhir_server.artifacts.catalog import Catalog
from fhir_server.artifacts.source import default_root
from fhir_server.interactions.audit_queue import Auditor
from fhir_server.interactions.feed_waiting import Waiters
from fhir_server.interactions.offers import Directory
from fhir_server.interactions.signal import Signal
from fhir_server.interactions.stored_terminology import ServerTerminology
from fhir_server.interactions.subscriptions_offer import Subscriptions
from fhir_server.model.clock import Clock
from fhir_server.model.ids import IdSource
from fhir_server.search.extract import Extractor
from fhir_server.search.page import CursorCodec
from fhir_server.search.parameters import Registry
from fhir_server.store.port import Store
from fhir_server.validation.pipeline import Validator
from fhir_server.workflow.rules import Rulebook
from fhir_server.workflow.suggestion_facts import Rules, load_rules

if TYPE_CHECKING:
    from fhir_server.interactions.routing import Routes  # handlers in the table take an Engine in turn


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that are settings; each is told when it is reached."""

    bundle_entries: int = 5000
    default_count: int = 20
    max_count: int = 1000
    max_includes: int = 1000
    heavy_body_bytes: int = 256 * 1024
    """Bodies above this are handled off the event loop."""
    explain: bool = False
    """Whether `_explain=true` is answered."""
    glass_minutes: int = 0
    """How long a broken glass stays open; 0 lets nobody break it."""
    longest_wait: float = 30.0
    """Seconds that `$changes` waits at most."""
    deleted_at_once: int = 100
    """How many resources one conditional delete may remove."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything an interaction needs; immutable after start."""

    store: Store
    registry: Registry
    extractor: Extractor
    validator: Validator
    rulebook: Rulebook
    catalog: Catalog
    terminology: ServerTerminology
    routes: "Routes"
    ids: IdSource
    clock: Clock
    cursors: CursorCodec
    limits: Limits
    own_base: str = ""
    """The public base URL: absolute references below it are our own."""
    references: Literal["ignore", "enforce"] = "ignore"
    version: str = ""
    """The version of the software, for /metadata."""
    started: int = 0
    """When this process was wired, milliseconds since the epoch."""
    access: Access = field(default_factory=Access.open)
    """Who may see and do what."""
    auditor: Auditor = field(default_factory=Auditor)
    """Takes every access on its way into the audit trail."""
    directory: Directory = field(default_factory=Directory)
    """The services that `$suggest` chooses from."""
    ranking: Callable[[], Rules] = field(default=lambda: load_rules(default_root()))
    """Gives the weights of `$suggest`."""
    signal: Signal = field(default_factory=Signal)
    """Wakes who waits for the next change."""
    waiters: Waiters | None = None
    """The clients that wait for changes of the feed; without it nobody waits."""
    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    """What is offered to subscribers."""
    statements: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """CapabilityStatements by mode and base, rendered at first use; they never change while the process runs."""
