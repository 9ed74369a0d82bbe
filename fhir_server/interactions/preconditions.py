"""Conditional headers (R4 http.html#cond-update, #concurrency, RFC 9110 §13)."""

import re
from email.utils import parsedate_to_datetime

from fhir_server.model.errors import Malformed, VersionConflict
from fhir_server.store.port import Version

_ETAG = re.compile(r'(?:W/)?"([A-Za-z0-9\-.]{1,64})"')


def expected_version(if_match: str) -> str | None:
    """Return the version that `If-Match` names, None when the header is absent. Raises Malformed otherwise."""
    if not if_match:
        return None
    match = _ETAG.fullmatch(if_match.strip())
    if match is None:
        raise Malformed(
            f'If-Match is {if_match!r}; send one entity tag as an answer gave it, such as W/"3".', key="bad-if-match"
        )
    return match[1]


def check_version(if_match: str, current: Version | None) -> None:
    """Raise VersionConflict unless `If-Match` is absent or names the current version."""
    expected = expected_version(if_match)
    if expected is None:
        return
    if current is None or current.deleted:
        raise VersionConflict(f"If-Match asks for version {expected}, but there is no current version.")
    if str(current.version) != expected:
        raise VersionConflict(
            f"If-Match asks for version {expected}; version {current.version} is current. Read it, apply your change to "
            "it, and send that."
        )


def not_modified(if_none_match: str, if_modified_since: str, version: Version) -> bool:
    """Tell whether a conditional read may be answered with 304; If-None-Match goes before If-Modified-Since."""
    if if_none_match:
        if if_none_match.strip() == "*":
            return True
        return str(version.version) in _ETAG.findall(if_none_match)
    if if_modified_since:
        try:
            since = parsedate_to_datetime(if_modified_since)
        except ValueError as error:
            raise Malformed(
                f"If-Modified-Since is {if_modified_since!r}; send an HTTP date as Last-Modified gave it.",
                key="bad-if-modified-since",
            ) from error
        return version.last_updated // 1000 <= int(since.timestamp())
    return False
