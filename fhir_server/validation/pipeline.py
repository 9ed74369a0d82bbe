"""The one entry to validation: is this a valid resource, and if not, everything that is wrong with it.

`validate` judges against base R4. `judge` also enforces the profiles that a resource claims, which is what a write asks;
`report` tells warnings and information too, which is what $validate asks.
"""

import time
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, Self

from fhir_server.artifacts.catalog import Catalog
from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource
from fhir_server.model.visible import hidden_characters
from fhir_server.terminology.service import TerminologyService
from fhir_server.validation.compiler import Compiler
from fhir_server.validation.finding import MAX_FINDINGS, Effort, Finding, Findings, Scope, merged
from fhir_server.validation.identifiers import Identifiers
from fhir_server.validation.profile import ProfiledCompiler, Profiles
from fhir_server.validation.wording import say

MAX_SECONDS: Final = 10.0
"""The invariants of profiles get so long per body; what takes longer is refused as too costly."""


class Verdict(NamedTuple):
    """What is wrong with a resource. `valid` tells whether it is valid R4: if so, only profiles are broken."""

    issues: tuple[Issue, ...]
    valid: bool


_ALL_IS_WELL: Final = Verdict((), True)


class Validator:
    """Judges resources. Built once; types are compiled on first use, profiles at once; shared by all threads."""

    def __init__(self, compiler: Compiler, profiles: Profiles | None = None) -> None:
        self._compiler = compiler
        self.profiles = profiles or Profiles((), Identifiers(()))
        self._profiled = ProfiledCompiler(self.profiles)
        self._advising = ProfiledCompiler(self.profiles, advice=True)

    @classmethod
    def load(cls, catalog: Catalog | None = None, terminology: TerminologyService | None = None) -> Self:
        """Build a validator over the facts that ship with the package, and the profiles of a catalogue if one is given.

        Raises UnenforceableConstruct for a profile that cannot be enforced.
        """
        if catalog is None:
            return cls(Compiler())
        return cls(Compiler(), Profiles.load(catalog, terminology or TerminologyService.load(catalog)))

    def validate(self, resource: Resource, *, path: str | None = None) -> list[Issue]:
        """Return every fault against base R4, in the order of the body; an empty list says that the resource is valid R4.

        `path` stands in front of each expression where the resource is part of something larger; without it the
        resource type does (`Patient.name[0].given[1]`).
        """
        return _issues(_findings(self._compiler, resource, None), resource, path)

    def judge(self, resource: Resource, *, path: str | None = None) -> Verdict:
        """Return every error of a resource that is to be stored: against R4, and against the profiles that it claims."""
        if not self.profiles.claimed(resource):
            found = _findings(self._compiler, resource, None)
        else:
            found = merged(_findings(self._profiled, resource, _effort()), _hidden(resource))
        errors = [one for one in found or () if one.severity in ("error", "fatal")]
        if not errors:
            return _ALL_IS_WELL
        valid = all(one.by_profile for one in errors)
        return Verdict(tuple(_issues(errors, resource, path)), valid)

    def claims(self, resource: Resource) -> list[Issue]:
        """Return the errors of a resource against the profiles that it claims itself, and nothing else.

        For what is not stored as it is, such as a transaction whose resources are judged one by one.
        """
        kind = str(resource.get("resourceType"))
        found = self._profiled.claims(kind, resource, Scope({}, {}, None, resource))
        return _issues([one for one in found or () if one.severity == "error"], resource, None)

    def report(
        self, resource: Any, *, path: str | None = None, profiles: Iterable[str] = (), must_support: bool = False
    ) -> list[Issue]:
        """Return all there is to say of a resource, warnings and information included.

        It is judged by base R4, by the profiles that it claims, and by those that are named here.
        """
        effort = _effort(advice=True, must_support=must_support)
        found = _findings(self._advising, resource, effort)
        if isinstance(resource, dict) and self.profiles.claimed(resource):
            found = merged(found, _hidden(resource))
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        if isinstance(kind, str):
            scope = Scope({}, {}, None, resource)
            scope.effort = effort
            for url in profiles:
                found = merged(found, self._advising.asked(url, kind, resource, scope))
        return _issues(found, resource, path)


def _effort(*, advice: bool = False, must_support: bool = False) -> Effort:
    return Effort(time.monotonic() + MAX_SECONDS, advice=advice, must_support=must_support)


def _findings(compiler: Compiler, resource: Any, effort: Effort | None) -> Findings:
    scope = Scope({}, {})
    scope.effort = effort
    try:
        return compiler.resource(resource, scope)
    except RecursionError:
        return [Finding("", "too-deep", "too-costly", say("too-deep"))]


def _hidden(resource: Resource) -> Findings:
    """Find the characters that nobody sees in a resource that claims a profile of ours (see `model.visible`)."""
    return [
        Finding(path, "hidden-character", "value", say("hidden-character", code=code), by_profile=True)
        for path, code in hidden_characters(resource)
    ] or None


def _issues(findings: Findings, resource: Any, path: str | None) -> list[Issue]:
    if not findings:
        return []
    kind = resource.get("resourceType") if isinstance(resource, dict) else ""
    root = path if path is not None else kind if isinstance(kind, str) else ""
    told = dict.fromkeys(
        Issue(one.key, one.code, one.text, f"{root}{one.path}".lstrip("."), one.severity) for one in findings
    )  # a fault that two profiles find is told once
    issues = list(told)
    if len(issues) > MAX_FINDINGS:
        text = say("too-many-problems", limit=MAX_FINDINGS)
        return [*issues[:MAX_FINDINGS], Issue("too-many-problems", "incomplete", text, root, "information")]
    return issues
