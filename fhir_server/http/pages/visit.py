"""One request to a page: who looks, in which language, what was sent, and the answers it may get."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request, Response

from fhir_server.access.principal import ANONYMOUS, Principal
from fhir_server.access.sessions import Session
from fhir_server.http.pages.fhir import Fhir
from fhir_server.http.pages.site import Site
from fhir_server.http.pages.templating import render
from fhir_server.http.pages.texts import LANGUAGES, Texts, choose
from fhir_server.http.security import DEVELOPMENT_NOTICE, PAGE_POLICY
from fhir_server.model.errors import FhirError, Forbidden, Malformed, TooLarge
from fhir_server.model.visible import hidden_character
from fhir_server.validation.wording import outcome_in

_LARGEST: Final = 256 * 1024
_MOST_FIELDS: Final = 1000
_LONGEST_PATH: Final = 2000
_COOKIE_BYTES: Final = 64
_LABELS: Final = {"name": "sign-in.name", "password": "sign-in.password", "code": "sign-in.code"}
"""Field → text, where that is not called by the name of the field."""
_SWITCH: Final = "in"
"""In the address to which a form is sent: only show it again, in this language."""


class FieldRefused(Malformed):
    """What was filled in cannot be taken; the page says which field it is in the language of the visit."""

    def __init__(self, name: str, fault: str, **values: object) -> None:
        said = {
            "long": "has {length} characters; at most {longest} are taken.",
            "hidden": "holds {code}, a character that nobody sees.",
        }
        super().__init__(f"{name} {said[fault].format_map(values)}", key="form-field")
        self.name, self.fault, self.values = name, fault, values


@dataclass(frozen=True, slots=True)
class Form:
    """What was filled in: names with one or more texts."""

    pairs: tuple[tuple[str, str], ...] = ()

    def one(self, name: str, longest: int = 2000) -> str:
        """Return the first text of a name, "" for none. Raises Malformed for one that is longer than a page allows."""
        text = self._text(name)
        if len(text) > longest:
            raise FieldRefused(name, "long", length=len(text), longest=longest)
        if code := hidden_character(text):
            raise FieldRefused(name, "hidden", code=code)
        return text

    def read(self, names: Iterable[str], longest: int) -> tuple[dict[str, str], list["FieldRefused"]]:
        """Return the first text of each name as it can be shown again, and what of them cannot be taken."""
        found, wrong = {}, []
        for name in names:
            try:
                found[name] = self.one(name, longest)
            except FieldRefused as error:
                wrong.append(error)
                found[name] = "".join(letter for letter in self._text(name) if not hidden_character(letter))
        return found, wrong

    def _text(self, name: str) -> str:
        return next((value for key, value in self.pairs if key == name), "").strip().replace("\r\n", "\n")

    def all(self, name: str) -> list[str]:
        """Return all texts of a name that are not empty."""
        return [value for key, value in self.pairs if key == name and value]

    def flag(self, name: str) -> bool:
        """Tell whether a box was ticked."""
        return bool(self.one(name))


@dataclass(slots=True)
class Visit:
    """One request; `form` is empty for GET."""

    site: Site
    request: Request
    texts: Texts
    session: Session | None
    query: Form
    form: Form
    visitor: str
    """The secret of a browser in which nobody has signed in."""
    expired: bool = False
    """Whether the browser holds a session that is over."""
    cookies: list[str] = field(default_factory=list)

    @property
    def switched(self) -> bool:
        """Whether the form came to be shown again in another language, and for nothing else."""
        return bool(_switch(self.request))

    @property
    def principal(self) -> Principal:
        """Who looks."""
        return self.session.principal if self.session is not None else ANONYMOUS

    @property
    def roles(self) -> frozenset[str]:
        """The roles of who looks."""
        return self.principal.roles

    @property
    def receives(self) -> bool:
        """Whether who looks takes referrals."""
        return bool(self.roles & {"recipient", "link-worker"})

    @property
    def refers(self) -> bool:
        """Whether who looks refers people."""
        return bool(self.roles & {"referrer", "link-worker"})

    @property
    def oversees(self) -> bool:
        """Whether who looks sees the figures of the region."""
        return bool(self.roles & {"operator", "link-worker"})

    @property
    def organization(self) -> str:
        """The organisation of who looks, as a reference."""
        return self.principal.organization

    @property
    def fhir(self) -> Fhir:
        """The FHIR interface with the rights of who looks."""
        return Fhir(self.site.engine, self.site.base, self.principal, self.texts.language)

    @property
    def csrf(self) -> str:
        """What each form of this visitor carries."""
        if self.session is not None:
            return self.session.csrf
        return self.site.sessions.csrf(f"visitor:{self.visitor}")

    @property
    def filled(self) -> Form:
        """What was filled in: the form that was sent, or the query of a link."""
        return self.form if self.request.method == "POST" else self.query

    @property
    def here(self) -> str:
        """The path and query of this page, for links that come back to it."""
        url = self.request.url
        return url.path + (f"?{url.query}" if url.query else "")

    def path(self, name: str) -> str:
        """Return a part of the address that a route names."""
        return str(self.request.path_params[name])

    async def page(
        self, template: str, *, status: int = HTTPStatus.OK, returnable: bool = False, **values: Any
    ) -> Response:
        """Answer with a page; one that is `returnable` names nobody, and the browser may keep it to go back to."""
        values |= {
            "t": self.texts,
            "visit": self,
            "path": self.request.url.path,
            "here": self.here if self.request.method == "GET" else self.request.url.path,
            "csrf": self.csrf,
            "who": await self._who(),
            "notice": DEVELOPMENT_NOTICE if self.site.development else "",
        }
        headers = {
            "content-security-policy": PAGE_POLICY,
            "content-language": self.texts.language,
            "cache-control": "private, no-cache" if returnable else "no-store",
            "vary": "cookie, accept-language",
        }
        return self.finish(Response(render(template, values), status, headers, "text/html; charset=utf-8"))

    def words(self, error: FhirError) -> list[str]:
        """Return what a refusal says, in the language of the visit as far as it is there."""
        if isinstance(error, FieldRefused):
            names = (_LABELS.get(error.name, ""), f"field.{error.name}", f"refer.{error.name}")
            label = next((self.texts(name) for name in names if self.texts.has(name)), error.name)
            return [self.texts(f"field.is.{error.fault}", field=label, **error.values)]
        told, _ = outcome_in(error.issues, self.texts.language)
        return [issue.diagnostics for issue in told]

    def see_other(self, path: str) -> Response:
        """Send the browser on with GET, so that a reload repeats nothing."""
        return self.finish(Response(status_code=HTTPStatus.SEE_OTHER, headers={"location": path}))

    def finish(self, response: Response) -> Response:
        """Put the cookies on an answer."""
        for cookie in self.cookies:
            response.headers.append("set-cookie", cookie)
        return response

    async def _who(self) -> str:
        """Return the name of the organisation of who looks, its roles where there is none."""
        if self.session is None:
            return ""
        try:
            found = await self.fhir.seen(self.organization)
        except FhirError:
            found = None
        return str((found or {}).get("name", "")) or ", ".join(sorted(self.roles))


def check_referrer(visit: Visit) -> None:
    """Raise Forbidden for who does not refer."""
    if not visit.refers or not visit.organization:
        raise Forbidden("Referring is for practices and link workers.", key="access-role")


async def visit_of(site: Site, request: Request) -> Visit:
    """Read a request. Raises TooLarge or Malformed for a form that no page of ours sends."""
    headers: Mapping[bytes, bytes] = dict(request.headers.raw)
    chosen = _switch(request) or site.cookies.language_in(headers)
    language = choose(chosen, request.headers.get("accept-language", ""))
    token = site.cookies.session_in(headers)
    session = await site.sessions.find(token)
    visitor = site.cookies.visitor_in(headers)[:_COOKIE_BYTES]
    visit = Visit(
        site,
        request,
        Texts(language, site.zone),
        session,
        _form(request.url.query),
        Form(),
        visitor,
        expired=bool(token) and session is None,
    )
    if session is None and not visitor and request.method == "GET":
        visit.visitor = secrets.token_urlsafe(32)
        visit.cookies.append(site.cookies.visitor(visit.visitor))
    if request.method == "POST":
        visit.form = _form((await _body(request)).decode("utf-8", "replace"))
    return visit


def local_path(text: str, otherwise: str = "/") -> str:
    """Return a path on this server; what leads elsewhere becomes `otherwise`."""
    parts = urlsplit(text.replace("\\", "/"))
    plain = text.isascii() and text.isprintable() and len(text) <= _LONGEST_PATH
    if not plain or parts.scheme or parts.netloc or not text.startswith("/") or text.startswith(("//", "/\\")):
        return otherwise
    return text


def _switch(request: Request) -> str:
    """Return the language in which a form that was sent is to be shown again, "" for none."""
    wanted = request.query_params.get(_SWITCH, "") if request.method == "POST" else ""
    return wanted if wanted in LANGUAGES else ""


def _form(text: str) -> Form:
    try:
        return Form(tuple(parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=_MOST_FIELDS)))
    except ValueError as error:
        raise Malformed(f"A form has at most {_MOST_FIELDS} fields.", key="form-field") from error


async def _body(request: Request) -> bytes:
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > _LARGEST:
            raise TooLarge(f"A form has at most {_LARGEST} bytes.")
    return bytes(read)
