"""The pages put together, for development mode and for protected mode."""

from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter

from fhir_server.access.keys import Box
from fhir_server.access.sessions import Sessions
from fhir_server.http.limits import Buckets
from fhir_server.http.pages.browser import PageCookies
from fhir_server.http.pages.routes import pages_router
from fhir_server.http.pages.site import Site
from fhir_server.http.protection import Protection
from fhir_server.interactions.context import Engine


def wired_pages(
    engine: Engine,
    base: str,
    time_zone: str,
    protection: Protection | None,
    secret: bytes,
    failures_per_minute: float,
    lives: tuple[int, int],
) -> APIRouter:
    """Return the routes of the pages. Raises ValueError for a time zone that is not known.

    `secret` seals what forms carry; with `lives` (minutes of rest, hours in all) it is also for the sessions of development
    mode, protected mode has its own.
    """
    idle, hours = lives
    return pages_router(
        Site(
            engine,
            base,
            protection.sessions
            if protection is not None
            else Sessions(engine.store, engine.clock, secret, idle_minutes=idle, hours=hours),
            PageCookies(secure=base.startswith("https:")),
            _zone(time_zone),
            Buckets(failures_per_minute / 60, max(1.0, failures_per_minute)),
            Box(secret, "answers in a form"),
            protection.accounts if protection is not None else None,
            protection.sign_in if protection is not None else None,
        )
    )


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone that this machine knows; Europe/Brussels is one.") from error
