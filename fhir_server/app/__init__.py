"""The composition root: the only place that wires settings, stores, rules and adapters together."""

from fhir_server.app.engine import build_engine, open_plain_store
from fhir_server.app.serving import create_app

__all__ = ["build_engine", "create_app", "open_plain_store"]
