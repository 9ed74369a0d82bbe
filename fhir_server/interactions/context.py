"""The collaborators of every interaction, wired once by the composition root."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from fhir_server.artifacts.catalog import Catalog
from fhir_server.interactions.stored_terminology import ServerTerminology
from fhir_server.model.clock import Clock
from fhir_server.model.ids import IdSource
from fhir_server.search.extract import Extractor
from fhir_server.search.page import CursorCodec
from fhir_server.search.parameters import Registry
from fhir_server.store.port import Store
from fhir_server.validation.pipeline import Validator
from fhir_server.workflow.rules import Rulebook

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
    statements: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """CapabilityStatements by mode and base, rendered at first use; they never change while the process runs."""
