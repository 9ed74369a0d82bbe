"""A whole server without HTTP on a MongoDB database, with the requests that it sends counted."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from pymongo import MongoClient, monitoring

from fhir_server.access.principal import Principal
from fhir_server.app import build_engine
from fhir_server.interactions.context import Engine
from fhir_server.interactions.perform import perform
from fhir_server.interactions.request import Request
from fhir_server.model.codec import decode
from fhir_server.settings import Settings
from fhir_server.store.mongo import link

SOMEBODY = Principal(roles=frozenset({"operator"}), agent="test")
BASE = "http://127.0.0.1:8000/fhir"


class Counted(monitoring.CommandListener):
    """Remembers the commands that were sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name not in ("hello", "endSessions"):
            self.sent.append(event.command_name)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        del event

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        del event


@contextmanager
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Count what the stores that are opened from now on send."""
    listener = Counted()
    monkeypatch.setattr(link, "MongoClient", partial(MongoClient, event_listeners=[listener]))
    yield listener.sent


class Asker:
    """Asks an engine as a caller does."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def transaction(self, *entries: dict[str, Any]) -> list[dict[str, Any]]:
        """Send a transaction; return the entries of the answer."""
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}
        answer = self.send("POST", "", bundle)
        return [dict(entry) for entry in answer["entry"]]

    def send(self, method: str, path: str, resource: dict[str, Any]) -> dict[str, Any]:
        """Send a request with a body; return the body of the answer."""
        body = json.dumps(resource).encode()
        request = Request(method, path, body=body, content_type="application/fhir+json", principal=SOMEBODY, base=BASE)
        found: dict[str, Any] = decode(perform(self.engine, request).body or b"{}")
        return found


@contextmanager
def asking(url: str, **settings: Any) -> Iterator[Asker]:
    """An engine on a database, closed at the end."""
    engine = build_engine(Settings(store=url, busy_seconds=20.0, **settings))
    try:
        yield Asker(engine)
    finally:
        engine.store.close()


def entry(method: str, url: str, resource: dict[str, Any] | None = None, **request: Any) -> dict[str, Any]:
    """An entry of a Bundle."""
    carried = {} if resource is None else {"resource": resource}
    return {**carried, "request": {"method": method, "url": url, **request}}


def patient(number: int, identity: str = "") -> dict[str, Any]:
    """An invented Patient with an identifier."""
    named = {"id": identity} if identity else {}
    return {"resourceType": "Patient", **named, "identifier": [{"system": "urn:x", "value": f"p{number}"}]}
