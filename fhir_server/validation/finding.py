"""What a check finds, and what checks know of the resource that they stand in.

A check is a function `(value, scope) → None | list[Finding]`: None says that all is well, so that a valid resource costs
no list and no path. The path of a finding is relative to the value that was checked; whoever called the check puts
its own step in front. Only resources with faults pay for paths.
"""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from fhir_server.model.issue import IssueCode, Severity
from fhir_server.validation.wording import say

MAX_FINDINGS = 500
"""Where a resource has more faults than this, the rest is not reported: the answer stays readable and bounded."""
SUGGESTIONS = 25
"""Searches for near names per body: a body of nonsense does not buy unbounded work."""
SHOWN = 60
"""Characters of a wrong value that are repeated in a message."""


class Finding(NamedTuple):
    """One fault: `path` is a FHIRPath suffix (`.name[0].given[1]`), empty for the value itself.

    `by_profile` tells a fault against a profile, or against the definition of an extension, from one against R4 itself.
    """

    path: str
    key: str
    code: IssueCode
    text: str
    severity: Severity = "error"
    by_profile: bool = False


Findings = list[Finding] | None


class Scope:
    """The resource that contains what is checked: the root of `%rootResource`, not a contained one.

    `contained` maps the ids of its contained resources to their types, `entries` the fullUrls of the Bundle around it
    to theirs. `root` is the resource itself, `outer` the scope of the Bundle or Parameters that it stands in. All scopes
    of one body share `suggested`, the names that near ones were searched for, and `effort`.
    """

    __slots__ = ("contained", "effort", "entries", "outer", "root", "suggested")

    def __init__(
        self,
        contained: Mapping[str, str],
        entries: Mapping[str, str],
        outer: "Scope | None" = None,
        root: dict[str, Any] | None = None,
    ) -> None:
        self.contained = contained
        self.entries = entries
        self.outer = outer
        self.root: dict[str, Any] = {} if root is None else root
        self.suggested: list[str] = outer.suggested if outer else []
        self.effort: Effort | None = outer.effort if outer else None

    def near(self, name: str, known: Iterable[str]) -> str:
        """Return the name most like the given one; empty when none is, or when enough was searched for this body."""
        if len(self.suggested) >= SUGGESTIONS:
            return ""
        self.suggested.append(name[:SHOWN])
        found = get_close_matches(name[:SHOWN], known, n=1)
        return found[0] if found else ""


class Effort:
    """What the judgement of one body may cost, and what it should tell beside faults."""

    __slots__ = ("advice", "deadline", "must_support")

    def __init__(self, deadline: float, *, advice: bool = False, must_support: bool = False) -> None:
        self.deadline = deadline  # of time.monotonic()
        self.advice = advice  # also what R4 only recommends
        self.must_support = must_support


Check = Callable[[Any, Scope], Findings]


def one(key: str, code: IssueCode, text: str, path: str = "") -> list[Finding]:
    """Return a list of one finding."""
    return [Finding(path, key, code, text)]


def below(step: str, findings: list[Finding]) -> list[Finding]:
    """Put a step in front of the path of each finding."""
    return [
        Finding(step + path, key, code, text, severity, by_profile)
        for path, key, code, text, severity, by_profile in findings
    ]


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
    return kind_of(value) if isinstance(value, (dict, list)) else str(value)[:SHOWN]


def kind_of(value: Any) -> str:
    """Name the JSON kind of a value."""
    if value is None:
        return say("kind.null")
    if isinstance(value, bool):
        return say("kind.boolean")
    if isinstance(value, str):
        return say("kind.string")
    if isinstance(value, dict):
        return say("kind.object")
    return say("kind.array" if isinstance(value, list) else "kind.number")


def wrong_shape(value: Any, wanted: str) -> list[Finding]:
    """Say that a value has another JSON kind than its element asks for; `wanted` is a template (`kind.object`)."""
    if value is None:
        return one("json-null", "structure", say("json-null", wanted=say(wanted)))
    if isinstance(value, list) and not value:
        return one("empty-array", "structure", say("empty-array"))
    hint = say("hint.brackets") if isinstance(value, list) else ""
    if isinstance(value, str) and wanted in ("kind.number", "kind.true-or-false"):
        hint = say("hint.quotes")
    return one("json-type", "structure", say("json-type", found=kind_of(value), wanted=say(wanted), hint=hint))
