"""Wiring, second half: the engine becomes an ASGI application, with what runs beside it while it serves."""

import asyncio
import gc
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from fhir_server.http.application import Gateway, build_application
from fhir_server.http.endpoint import FhirEndpoint
from fhir_server.http.identity import Developer, Identity
from fhir_server.http.polling import Polling
from fhir_server.http.security import Origins, fixed_headers
from fhir_server.http.websocket import WebsocketChannel
from fhir_server.interactions.context import Engine
from fhir_server.interactions.publish import publish_artifacts
from fhir_server.interactions.reindexing import index_is_current
from fhir_server.outbound.channel import Channel
from fhir_server.outbound.jobs import all_jobs
from fhir_server.outbound.outbound import Calling, Outbound
from fhir_server.outbound.scheduler import Scheduler
from fhir_server.settings import Settings, SettingsError

if TYPE_CHECKING:
    from fastapi import APIRouter

    from fhir_server.http.protection import Protection

from fhir_server.app.engine import build_engine

_log = structlog.get_logger("fhir_server.app")


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
    services = _services(wired, settings)
    start, stop = partial(_start, wired, services), partial(_stop, wired, services)
    application = build_application(settings.base_path, start, stop, pages=settings.pages)
    fixed = fixed_headers(https=settings.public_base.startswith("https:"), protected=settings.mode == "protected")
    origins = Origins(settings.cors_origins.split())
    identity: Identity = Developer()
    protection: Protection | None = None
    if settings.mode == "protected":
        protection = _protection(wired, settings)
        application.include_router(protection.router)
        identity = protection.identity
    if settings.pages:
        application.include_router(_pages(wired, settings, protection))
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
        polling=Polling(settings.poll_interval_seconds, settings.polls_per_minute),
    )
    return Gateway(application, endpoint, settings.base_path, fixed, origins, WebsocketChannel(wired))


def _pages(engine: Engine, settings: Settings, protection: "Protection | None") -> "APIRouter":
    """Wire the web pages. Raises SettingsError for a time zone that is not known."""
    from fhir_server.http.pages import wired_pages  # noqa: PLC0415  # templates and sessions, for who wants pages

    lives = settings.session_idle_minutes, settings.session_hours
    secret, failures = settings.signing_key(), settings.failures_per_minute
    try:
        return wired_pages(engine, settings.public_base, settings.time_zone, protection, secret, failures, lives)
    except ValueError as error:
        raise SettingsError("time_zone", str(error)) from error


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


def _services(engine: Engine, settings: Settings) -> tuple[Outbound | Scheduler, ...]:
    """Wire what runs beside the requests: what tells subscribers, and what does what is due."""
    outbound = _outbound(engine, settings)
    if not settings.run_jobs:
        return (outbound,)
    return outbound, Scheduler(engine, all_jobs(engine, escalate=settings.escalate_overdue))


def _outbound(engine: Engine, settings: Settings) -> Outbound:
    """Wire what tells subscribers."""
    calling = Calling(settings.private_receivers, settings.delivery_seconds, settings.delivery_ca_file)
    return Outbound(engine, calling, _mail(engine, settings))


def _mail(engine: Engine, settings: Settings) -> dict[str, Channel]:
    """Wire e-mail, where there is a mail server. Raises SettingsError."""
    if not settings.smtp_host:
        return {}
    if not settings.mail_from:
        raise SettingsError("mail_from", "smtp_host is set, so say which address mail comes from.")
    from fhir_server.outbound.email import Mail, Smtp  # noqa: PLC0415  # most servers send none

    smtp = Smtp(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_security,
        settings.smtp_user,
        settings.smtp_password,
        settings.mail_from,
        settings.smtp_ca_file,
        settings.delivery_seconds,
    )
    return {"email": Mail(smtp, engine.clock, settings.public_base, settings.mail_language)}


def _start(engine: Engine, services: Sequence[Outbound | Scheduler]) -> None:
    """Begin to look for changes of other processes too, and to tell subscribers."""
    engine.signal.start()
    for service in services:
        service.start()
    _settle_memory()
    engine.directory.warm_up(engine.store)


async def _stop(engine: Engine, services: Sequence[Outbound | Scheduler]) -> None:
    """Finish deliveries, write what still waits for the audit trail, then close the store."""
    for service in services:
        await asyncio.to_thread(service.stop)
    if engine.waiters is not None:
        engine.waiters.release()
    engine.signal.stop()
    await engine.auditor.close()
    engine.store.close()


def _settle_memory() -> None:
    """Take the definition tables out of the collector's sight: scanning them costs tens of milliseconds at a time."""
    gc.collect()
    gc.freeze()
