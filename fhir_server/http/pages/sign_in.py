"""Signing in and out: an account with a password and a device, a provider, or in development mode a choice from a list."""

import ipaddress
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import urlsplit

from fastapi import Response

from fhir_server.access.accounts import Account
from fhir_server.access.jose import TokenRefused
from fhir_server.access.principal import Principal, Role
from fhir_server.http.identity import caller_address
from fhir_server.http.pages.texts import LANGUAGES
from fhir_server.http.pages.visit import Visit, local_path
from fhir_server.model.errors import Forbidden, Malformed, Unauthenticated
from fhir_server.model.reference import parse_reference

DEVELOPMENT_ROLES: Final = ("recipient", "referrer", "link-worker", "operator")
"""The roles that have pages."""
_MOST_ORGANIZATIONS: Final = "500"


async def form(visit: Visit) -> Response:
    """Show how to sign in; who has signed in goes on."""
    if visit.session is not None:
        return visit.see_other(home(visit.principal))
    return await _form(visit, "expired" if visit.query.one("why") == "expired" else "")


async def send(visit: Visit) -> Response:
    """Judge what was filled in and open a session, always under a new secret."""
    site = visit.site
    address = caller_address(visit.request.scope)
    who: Account | Principal
    if site.accounts is None:
        who = _chosen(visit)
    else:
        site.failures.check(address)
        try:
            who = await site.accounts.sign_in(
                visit.form.one("name", 200), visit.form.one("password", 200), visit.form.one("code", 20)
            )
        except Unauthenticated:
            site.failures.spend(address)
            return await _form(visit, "refused", status=HTTPStatus.UNAUTHORIZED)
    return await _opened(visit, who, local_path(visit.form.one("to"), ""))


async def with_provider(visit: Visit) -> Response:
    """Send the browser to a provider."""
    if visit.site.sign_in is None:
        raise Forbidden("No provider is configured here.", key="sign-in-provider")
    try:
        begun = await visit.site.sign_in.begin(visit.query.one("provider"))
    except TokenRefused:
        return await _form(visit, "provider", status=HTTPStatus.BAD_REQUEST)
    visit.cookies.append(visit.site.cookies.attempt(begun.state))
    return visit.see_other(begun.url)


async def returned(visit: Visit) -> Response:
    """Take back the browser from a provider."""
    site = visit.site
    if site.sign_in is None:
        raise Forbidden("No provider is configured here.", key="sign-in-provider")
    address = caller_address(visit.request.scope)
    site.failures.check(address)
    cookie = site.cookies.attempt_in(dict(visit.request.headers.raw))
    visit.cookies.append(site.cookies.no_attempt())
    try:
        who = await site.sign_in.finish(visit.query.one("state"), cookie, visit.query.one("code"))
    except TokenRefused:
        site.failures.spend(address)
        return await _form(visit, "provider", status=HTTPStatus.UNAUTHORIZED)
    return await _opened(visit, who, "")


async def out(visit: Visit) -> Response:
    """End the session."""
    if visit.session is not None:
        await visit.site.sessions.close(visit.session.token)
    visit.cookies.append(visit.site.cookies.no_session())
    left = visit.see_other("/sign-in?why=out")
    left.headers["clear-site-data"] = '"cache"'  # nor can who comes next go back
    return left


async def language(visit: Visit) -> Response:
    """Keep the language that was chosen and come back."""
    chosen = visit.path("language")
    if chosen in LANGUAGES:
        visit.cookies.append(visit.site.cookies.language(chosen))
    return visit.see_other(local_path(visit.query.one("to")))


async def front_door(visit: Visit) -> Response:
    """Lead people to where the work is, and systems to the CapabilityStatement."""
    if "text/html" not in visit.request.headers.get("accept", ""):
        return visit.see_other(f"{visit.site.base}/metadata")
    return visit.see_other(home(visit.principal) if visit.session is not None else "/sign-in")


def home(principal: Principal) -> str:
    """Return the first page of somebody, by role."""
    if principal.roles & {"recipient", "link-worker"} or not principal.roles:
        return "/inbox"
    return "/referrals" if "referrer" in principal.roles else "/region"


async def _opened(visit: Visit, who: Account | Principal, to: str) -> Response:
    opened = await visit.site.sessions.open(who)
    visit.cookies.append(visit.site.cookies.session(opened.token))
    return visit.see_other(to or home(opened.principal))


async def _form(visit: Visit, said: str, *, status: int = HTTPStatus.OK) -> Response:
    values: dict[str, Any] = {"said": said or ("out" if visit.query.one("why") == "out" else "")}
    values["to"] = local_path(visit.query.one("to") or visit.form.one("to"), "")
    if visit.site.development:
        found = await visit.fhir.search("Organization", ("_sort", "name"), ("_count", _MOST_ORGANIZATIONS))
        values["organizations"] = [(f"Organization/{one['id']}", one.get("name", one["id"])) for one in found.matches]
        values["roles"] = DEVELOPMENT_ROLES
        return await visit.page("sign-in-development.html", status=status, **values)
    values["providers"] = visit.site.sign_in.offered() if visit.site.sign_in is not None else []
    values["name"] = visit.form.one("name", 200)
    return await visit.page("sign-in.html", status=status, **values)


def _chosen(visit: Visit) -> Principal:
    """Return whom somebody chose to be: in development mode only, and only on this machine."""
    host = urlsplit(f"//{visit.request.headers.get('host', '')}").hostname or ""
    if not (_is_loopback(host) and _is_loopback(caller_address(visit.request.scope))):
        raise Forbidden("In development mode the pages are for this machine only.", key="development-only")
    organization, role = visit.form.one("organization"), visit.form.one("role")
    parsed = parse_reference(organization)
    if parsed.kind != "relative" or parsed.type != "Organization" or role not in DEVELOPMENT_ROLES:
        raise Malformed("Choose an organisation and a role from the list.", key="bad-dev-organization")
    return Principal(organization, cast("frozenset[Role]", frozenset({role})), agent="development")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
