"""Getting in: how many tokens a second, and what an authorised read and poll cost beside open ones."""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey

from bench import seeding
from bench.client import Job, ask, http_request
from bench.measure import Line, Plan, Side, alternate
from bench.processes import MASTER_KEY, Process, fhir_server
from fhir_server.access.clients import add_client, new_client
from fhir_server.access.keys import KeyFolder
from fhir_server.access.principal import PLATFORM
from fhir_server.app import build_engine
from fhir_server.model.clock import SystemClock
from fhir_server.settings import Settings

_FORM = [("content-type", "application/x-www-form-urlencoded")]
_CLIENTS = 4
_MOST_PER_SECOND = 1500
_READ = "/fhir/Organization/org-praktijk-bea"
_POLL = "/fhir/Task?owner=Organization/org-praktijk-bea&_sort=_lastUpdated&_count=20"


def lines(plan: Plan) -> Iterator[Line]:
    """Issue tokens for RS384 assertions, then read and poll with one and without any."""
    key = RSAKey.generate_key(2048, {"kid": "bench"})
    closed, opened = seeding.copy_of(seeding.region_file(), "closed"), seeding.copy_of(seeding.region_file(), "open")
    folder = _prepare(closed, key)
    protection = {"mode": "protected", "key_folder": str(folder), "rate_per_second": "0", "failures_per_minute": "0"}
    with ExitStack() as stack:
        server = stack.enter_context(fhir_server(closed, "/fhir/metadata", **protection))
        yield _issue(plan, server, key)
        bare = stack.enter_context(fhir_server(opened, _READ))
        token = json.loads(ask(server.port, _asked(server.port, key))[2])["access_token"]
        bearer = [("authorization", f"Bearer {token}")]
        for name, path in (("read", _READ), ("poll", _POLL)):
            found = alternate(
                plan,
                {
                    "open": Side(bare, Job(bare.port, (http_request("GET", path),), connections=_CLIENTS)),
                    "authorised": Side(
                        server, Job(server.port, (http_request("GET", path, bearer),), connections=_CLIENTS)
                    ),
                },
            )
            plain, ours = found["open"], found["authorised"]
            note = f"{ours.rps:.0f} of {plain.rps:.0f}/s; CPU {plain.cpu:.0f} to {ours.cpu:.0f} µs"
            figures = {side: asdict(item) for side, item in found.items()}
            yield Line(f"authorised {name}, in open ones", ours.cpu / plain.cpu, "x", 1.3, False, note, figures)


def _issue(plan: Plan, server: Process, key: RSAKey) -> Line:
    rounds = min(plan.rounds, 3)
    number = int(_MOST_PER_SECOND * plan.seconds * (rounds + 1))
    requests = tuple(_asked(server.port, key) for _ in range(number))
    job = Job(server.port, requests, connections=_CLIENTS)
    found = alternate(replace(plan, rounds=rounds), {"token": Side(server, job)})["token"]
    note = f"RS384, {_CLIENTS} at once, durable; p50 {found.p50:.0f} µs, CPU {found.cpu:.0f} µs"
    return Line("tokens issued in a second", found.rps, "/s", 100.0, True, note, {"token": asdict(found)})


def _prepare(store: Path, key: RSAKey) -> Path:
    """Register a client that may do everything; return the folder of keys."""
    folder = seeding.FOLDER / "keys"
    KeyFolder(folder, SystemClock()).rotate()
    engine = build_engine(Settings(store=f"sqlite:///{store}", master_key=MASTER_KEY))
    stated = {
        "id": "bench",
        "name": "Bench",
        "organization": "Organization/org-praktijk-bea",
        "roles": ["referrer", "recipient"],
        "scopes": "system/*.cruds",
        "jwks": {"keys": [{**key.as_dict(private=False), "kid": "bench"}]},
    }
    engine.store.write(lambda uow: add_client(uow, new_client(stated), PLATFORM))
    engine.store.close()
    return folder


def _asked(port: int, key: RSAKey) -> str:
    now = int(time.time())
    claims = {
        "iss": "bench",
        "sub": "bench",
        "aud": f"http://127.0.0.1:{port}/oauth/token",
        "exp": now + 290,
        "jti": secrets.token_hex(16),
    }
    form = {
        "grant_type": "client_credentials",
        "scope": "system/*.rs",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt.encode({"alg": "RS384", "kid": "bench"}, claims, key, algorithms=["RS384"]),
    }
    return http_request("POST", "/oauth/token", _FORM, urlencode(form).encode())
