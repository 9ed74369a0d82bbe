"""Every interaction that the server offers: the one source of routes, Bundle entries and /metadata."""

from typing import Final

from fhir_server.interactions import (
    audit_events,
    capabilities,
    compartment,
    create,
    delete,
    history,
    patch,
    read,
    search,
    search_system,
    update,
)
from fhir_server.interactions.bundle import handler as bundle
from fhir_server.interactions.operations.break_the_glass import BREAK_THE_GLASS
from fhir_server.interactions.operations.changes import CHANGES
from fhir_server.interactions.operations.consent_explain import CONSENT_EXPLAIN
from fhir_server.interactions.operations.everything import EVERYTHING
from fhir_server.interactions.operations.extract import EXTRACT
from fhir_server.interactions.operations.hand_over import HAND_OVER
from fhir_server.interactions.operations.meeting_list import MEETING_LIST
from fhir_server.interactions.operations.populate import POPULATE
from fhir_server.interactions.operations.refer import REFER
from fhir_server.interactions.operations.region_figures import REGION_FIGURES
from fhir_server.interactions.operations.subscription_events import SUBSCRIPTION_EVENTS
from fhir_server.interactions.operations.subscription_status import SUBSCRIPTION_STATUS
from fhir_server.interactions.operations.suggest import SUGGEST
from fhir_server.interactions.operations.terminology import TERMINOLOGY
from fhir_server.interactions.operations.validation import VALIDATION
from fhir_server.interactions.operations.ws_binding_token import WS_BINDING_TOKEN
from fhir_server.interactions.routing import Interaction

_TRAIL: Final = ("AuditEvent",)

INTERACTIONS: Final[tuple[Interaction, ...]] = (
    Interaction("GET", "metadata", "capabilities", "system", capabilities.capabilities),
    Interaction("POST", "", "transaction", "system", bundle.bundle),
    Interaction("GET", "", "search-system", "system", search_system.search_system),
    Interaction("POST", "_search", "search-system", "system", search_system.search_system_by_post),
    Interaction("GET", "_history", "history-system", "system", history.history),
    Interaction(
        "GET", "type", "search-type", "type", audit_events.search, types=_TRAIL, parameters=audit_events.PARAMETERS
    ),
    Interaction("POST", "type/_search", "search-type", "type", audit_events.search_by_post, types=_TRAIL),
    Interaction("GET", "type/id", "read", "instance", audit_events.read, types=_TRAIL),
    Interaction("GET", "type/_history", "history-type", "type", history.history),
    Interaction("GET", "type", "search-type", "type", search.search),
    Interaction("POST", "type/_search", "search-type", "type", search.search_by_post),
    Interaction("POST", "type", "create", "type", create.create),
    Interaction("PUT", "type", "update", "type", update.conditional_update),
    Interaction("PATCH", "type", "patch", "type", patch.conditional_patch),
    Interaction("DELETE", "type", "delete", "type", delete.conditional_delete),
    Interaction("GET", "type/id", "read", "instance", read.read),
    Interaction("PUT", "type/id", "update", "instance", update.update),
    Interaction("PATCH", "type/id", "patch", "instance", patch.patch),
    Interaction("DELETE", "type/id", "delete", "instance", delete.delete),
    Interaction("GET", "type/id/_history", "history-instance", "instance", history.history),
    Interaction("GET", "type/id/_history/version", "vread", "instance", read.vread),
    *VALIDATION,
    Interaction("GET", "type/id/type", "search-compartment", "compartment", compartment.search_member),
    Interaction("POST", "type/id/type/_search", "search-compartment", "compartment", compartment.search_member_by_post),
    Interaction("GET", "type/id/*", "search-compartment", "compartment", compartment.search_all),
    Interaction("POST", "type/id/_search", "search-compartment", "compartment", compartment.search_all_by_post),
    *CHANGES,
    *WS_BINDING_TOKEN,
    *EVERYTHING,
    *CONSENT_EXPLAIN,
    *BREAK_THE_GLASS,
    *TERMINOLOGY,
    *SUGGEST,
    *SUBSCRIPTION_STATUS,
    *SUBSCRIPTION_EVENTS,
    *EXTRACT,
    *POPULATE,
    *REGION_FIGURES,
    *REFER,
    *HAND_OVER,
    *MEETING_LIST,
)
