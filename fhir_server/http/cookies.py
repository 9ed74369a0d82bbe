"""The cookie of a session: out of reach for scripts, other sites, other hosts and clear text."""

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final

_NAME: Final = "session"
_ONCE: Final = "sign-in"
_MINUTES: Final = 10


class Cookies:
    """Writes and reads the cookies of the pages; `secure` is whether browsers come by https."""

    def __init__(self, *, secure: bool) -> None:
        self._secure = secure

    def session(self, token: str) -> str:
        """Return the Set-Cookie that opens a session; the browser forgets it when it closes."""
        return self._cookie(_NAME, token)

    def no_session(self) -> str:
        """Return the Set-Cookie that ends a session."""
        return self._cookie(_NAME, "", "; Max-Age=0")

    def attempt(self, state: str) -> str:
        """Return the Set-Cookie that ties a sign-in with a provider to this browser."""
        return self._cookie(_ONCE, state, f"; Max-Age={_MINUTES * 60}")

    def session_in(self, headers: Mapping[bytes, bytes]) -> str:
        """Return the secret of the session that a request states, "" for none."""
        return self._sent(headers, _NAME)

    def attempt_in(self, headers: Mapping[bytes, bytes]) -> str:
        """Return the state of the sign-in that this browser began, "" for none."""
        return self._sent(headers, _ONCE)

    def _full_name(self, name: str) -> str:
        return f"__Host-{name}" if self._secure else name  # __Host-: no other host of the domain can set it

    def _cookie(self, name: str, value: str, more: str = "") -> str:
        secure = "; Secure" if self._secure else ""
        return f"{self._full_name(name)}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}"

    def _sent(self, headers: Mapping[bytes, bytes], name: str) -> str:
        try:
            found = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(self._full_name(name))
        except CookieError:
            return ""
        return found.value if found is not None else ""
