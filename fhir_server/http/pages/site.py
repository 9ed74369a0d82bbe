"""What the pages are made with, wired once."""

from datetime import tzinfo
from typing import NamedTuple

from fhir_server.access.accounts import Accounts
from fhir_server.access.keys import Box
from fhir_server.access.sessions import Sessions
from fhir_server.access.sign_in import SignIn
from fhir_server.http.limits import Buckets
from fhir_server.http.pages.browser import PageCookies
from fhir_server.interactions.context import Engine


class Site(NamedTuple):
    """The collaborators of every page."""

    engine: Engine
    base: str
    """The FHIR base URL, for the links in answers."""
    sessions: Sessions
    cookies: PageCookies
    zone: tzinfo
    """Where the people who read the pages are."""
    failures: Buckets
    """Attempts to sign in that failed, by network address."""
    answers: Box
    """Seals the answers to a questionnaire on their way through the pages."""
    accounts: Accounts | None = None
    """None in development mode: there a person and a role are chosen from a list."""
    sign_in: SignIn | None = None

    @property
    def development(self) -> bool:
        """Whether nobody's identity is checked."""
        return self.accounts is None
