"""What a check finds, and what checks know of the resource that they stand in.

A check is a function `(value, scope) → None | list[Finding]`: None says that all is well, so that a valid resource costs
no list and no path. The path of a finding is relative to the value that was checked; whoever called the check puts
its own step in front. Only resources with faults pay for paths.
"""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from fhir_server.model.issue import IssueCode

MAX_FINDINGS = 500
"""Where a resource has more faults than this, the rest is not reported: the answer stays readable and bounded."""
SUGGESTIONS = 25
"""Searches for near names per body: a body of nonsense does not buy unbounded work."""
SHOWN = 60
"""Characters of a wrong value that are repeated in a message."""


class Finding(NamedTuple):
    """One fault: `path` is a FHIRPath suffix (`.name[0].given[1]`), empty for the value itself."""

    path: str
    key: str
    code: IssueCode
    text: str


Findings = list[Finding] | None


class Scope:
    """The resource that contains what is checked: the root of `%rootResource`, not a contained one.

    `contained` maps the ids of its contained resources to their types, `entries` the fullUrls of the Bundle around it
    to theirs. All scopes of one body share `suggested`,
    the names that near ones were searched for.
    """

    __slots__ = ("contained", "entries", "suggested")

    def __init__(self, contained: Mapping[str, str], entries: Mapping[str, str], outer: "Scope | None" = None) -> None:
        self.contained = contained
        self.entries = entries
        self.suggested: list[str] = outer.suggested if outer else []

    def near(self, name: str, known: Iterable[str]) -> str:
        """Return the name most like the given one; empty when none is, or when enough was searched for this body."""
        if len(self.suggested) >= SUGGESTIONS:
            return ""
        self.suggested.append(name[:SHOWN])
        found = get_close_matches(name[:SHOWN], known, n=1)
        return found[0] if found else ""


Check = Callable[[Any, Scope], Findings]


def one(key: str, code: IssueCode, text: str, path: str = "") -> list[Finding]:
    """Return a list of one finding."""
    return [Finding(path, key, code, text)]


def below(step: str, findings: list[Finding]) -> list[Finding]:
    """Put a step in front of the path of each finding."""
    return [Finding(step + path, key, code, text) for path, key, code, text in findings]


def merged(found: Findings, more: Findings) -> Findings:
    """Join two results; beyond MAX_FINDINGS nothing is added."""
    if not found:
        return more
    if more and len(found) <= MAX_FINDINGS:
        found.extend(more)
    return found


def shown(value: Any) -> str:
    """Render a value for a message: short, and without characters that would disturb a log."""
    if isinstance(value, str):
        text = value if len(value) <= SHOWN else value[:SHOWN] + "…"
        return "'" + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text) + "'"
    return f"{kind_of(value)}" if isinstance(value, (dict, list)) else str(value)[:SHOWN]


def kind_of(value: Any) -> str:
    """Name the JSON kind of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, dict):
        return "an object"
    return "an array" if isinstance(value, list) else "a number"


def wrong_shape(value: Any, wanted: str) -> list[Finding]:
    """Say that a value has another JSON kind than its element asks for."""
    if value is None:
        text = f"null stands where {wanted} belongs. Leave the element out instead."
        return one("json-null", "structure", text)
    if isinstance(value, list) and not value:
        return one("empty-array", "structure", "The array is empty. Leave the element out instead.")
    extra = " The element occurs at most once: send it without the brackets." if isinstance(value, list) else ""
    if isinstance(value, str) and wanted in ("a number", "true or false"):
        extra = " Send it without the quotes."
    return one("json-type", "structure", f"Found {kind_of(value)} where R4 asks for {wanted}.{extra}")
