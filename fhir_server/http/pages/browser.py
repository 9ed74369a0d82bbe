"""Cookies of the pages beside that of the session: the language, and who fills in a form before signing in."""

from collections.abc import Mapping
from typing import Final

from fhir_server.http.cookies import Cookies

_LANGUAGE: Final = "language"
_VISITOR: Final = "visitor"
_YEAR: Final = 31_536_000


class PageCookies(Cookies):
    """Writes and reads all cookies of the pages."""

    def language(self, language: str) -> str:
        """Return the Set-Cookie that keeps a language for a year."""
        return self._cookie(_LANGUAGE, language, f"; Max-Age={_YEAR}")

    def visitor(self, secret: str) -> str:
        """Return the Set-Cookie that ties forms to this browser while nobody has signed in."""
        return self._cookie(_VISITOR, secret)

    def no_attempt(self) -> str:
        """Return the Set-Cookie that forgets a sign-in with a provider."""
        return self._cookie("sign-in", "", "; Max-Age=0")

    def language_in(self, headers: Mapping[bytes, bytes]) -> str:
        """Return the language that was chosen in this browser, "" for none."""
        return self._sent(headers, _LANGUAGE)

    def visitor_in(self, headers: Mapping[bytes, bytes]) -> str:
        """Return the secret of a browser in which nobody has signed in, "" for none."""
        return self._sent(headers, _VISITOR)
