"""The profiles that are enforced, and the compiler that judges resources by them on the way through base R4.

A resource is judged by each profile of ours that it claims in `meta.profile`, wherever it stands: the body, an entry, a
contained resource, a parameter. An extension of ours is judged by its definition wherever it is used.
"""

from collections.abc import Iterable
from typing import Any, Final, Self

from fhir_server.artifacts.catalog import Catalog
from fhir_server.artifacts.r4 import ElementFacts, structure
from fhir_server.fhirpath import compile_expression
from fhir_server.terminology.service import TerminologyService
from fhir_server.validation.advice import HasCode, advised, relative_system, unknown_code
from fhir_server.validation.checks import fail, invariant_check
from fhir_server.validation.compiler import Compiler
from fhir_server.validation.core_extensions import core_extension, may_stand
from fhir_server.validation.differential import UnenforceableConstruct
from fhir_server.validation.finding import Check, Findings, Scope, below, merged
from fhir_server.validation.identifiers import Identifiers
from fhir_server.validation.profile_compiler import HL7, Profile, ProfileCompiler
from fhir_server.validation.structure import Members
from fhir_server.validation.wording import say

_NOT_ADVISED: Final = frozenset({"dom-6"})
"""A narrative is only recommended (dom-6): a warning on nearly every resource that systems exchange helps nobody."""


class Profiles:
    """Every profile and extension of the catalogue, compiled. Immutable; shared by all threads."""

    def __init__(
        self, profiles: Iterable[Profile], identifiers: Identifiers, has_code: HasCode = lambda _system, _code: None
    ) -> None:
        self._by_url = {profile.url: profile for profile in profiles}
        self.identifiers = identifiers
        self.has_code = has_code

    @classmethod
    def load(cls, catalog: Catalog, terminology: TerminologyService) -> Self:
        """Compile every profile. Raises UnenforceableConstruct for the first one that cannot be enforced."""
        profiles, refused = compile_all(catalog, terminology)
        if refused:
            raise refused[0]
        identifiers = Identifiers(catalog.of_type("NamingSystem"))
        return cls(profiles, identifiers, lambda system, code: terminology.validate_code(system, code).result)

    def get(self, canonical: str) -> Profile | None:
        """Return the profile with this canonical, whatever version it names."""
        return self._by_url.get(canonical) or self._by_url.get(canonical.partition("|")[0])

    def claimed(self, resource: Any) -> bool:
        """Tell whether a resource, or one directly in it (contained, in an entry), claims a profile of ours."""
        if type(resource) is not dict:
            return False
        meta = resource.get("meta")
        listed = meta.get("profile") if type(meta) is dict else None
        if type(listed) is list and any(type(url) is str and self.get(url) for url in listed):
            return True
        inner = resource.get("contained")
        if type(inner) is list and any(map(self.claimed, inner)):
            return True
        entries = resource.get("entry") if resource.get("resourceType") == "Bundle" else None
        return type(entries) is list and any(
            self.claimed(entry.get("resource")) for entry in entries if type(entry) is dict
        )


def compile_all(
    catalog: Catalog, terminology: TerminologyService
) -> tuple[list[Profile], list[UnenforceableConstruct]]:
    """Compile every profile; the second part says what stands in the way of each that cannot be enforced."""
    compiler = ProfileCompiler(catalog, terminology)
    found, refused = [], []
    for definition in catalog.of_type("StructureDefinition"):
        if definition.get("derivation") != "constraint":
            continue
        try:
            found.append(compiler.compile(definition))
        except UnenforceableConstruct as error:
            refused.append(error)
    return found, refused


class ProfiledCompiler(Compiler):
    """The compiler of base R4, with profiles, extensions and national identifiers on top; `advice` adds remarks."""

    def __init__(self, profiles: Profiles, *, advice: bool = False) -> None:
        super().__init__()
        self._advises = advice
        self._profiles = profiles
        self._advice: dict[str, tuple[Check, ...]] = {}

    def claims(self, kind: str, value: dict[str, Any], scope: Scope) -> Findings:
        """Judge a resource by the profiles it claims; `scope` is that of its container."""
        meta = value.get("meta")
        listed = meta.get("profile") if type(meta) is dict else None
        found: Findings = None
        for index, url in enumerate(listed if type(listed) is list else ()):
            if type(url) is str:
                found = merged(found, self._claim(url, f".meta.profile[{index}]", kind, value, scope))
        return found

    def asked(self, url: str, kind: str, value: dict[str, Any], scope: Scope) -> Findings:
        """Judge a resource by a profile that the caller names; the type itself is a profile that R4 has."""
        return None if url == HL7 + kind else self._claim(url, "", kind, value, scope)

    def _claim(self, url: str, step: str, kind: str, value: dict[str, Any], scope: Scope) -> Findings:
        profile = self._profiles.get(url)
        if profile is None:
            if scope.effort is None or not scope.effort.advice or url == HL7 + kind:
                return None
            text = say("unknown-profile", profile=url[:200])
            return fail("unknown-profile", "not-supported", text, step, "information")
        if profile.type != kind:
            text = say("profile-mismatch", found=kind, profile=profile.url, wanted=profile.type)
            return fail("profile-mismatch", "structure", text, step)
        found = profile.check(value, scope)
        if scope.effort is not None and scope.effort.must_support:
            found = merged(found, _unsupported(profile, value))
        return found

    def _judge(self, kind: str, value: dict[str, Any], scope: Scope) -> Findings:
        found = super()._judge(kind, value, scope)
        found = merged(found, self.claims(kind, value, scope))
        found = merged(found, self._profiles.identifiers.check(kind, value))
        if scope.effort is not None and scope.effort.advice:
            for check in self._advised(kind):
                found = merged(found, check(value, scope))
        return found

    def _advised(self, kind: str) -> tuple[Check, ...]:
        known = self._advice.get(kind)
        if known is None:
            facts = structure(kind)
            known = tuple(
                invariant_check(one._asdict(), compile_expression(one.expression), kind, root=True)
                for one in (facts.constraints if facts else ())
                if one.severity == "warning" and one.key not in _NOT_ADVISED
            )
            self._advice[kind] = known
        return known

    def _item(self, members: Members, facts: ElementFacts, kind: str) -> Check:
        item = super()._item(members, facts, kind)
        if kind == "Extension":
            return _extended(item, members.path, self._profiles)
        if not self._advises:
            return item
        if kind == "Coding":
            return advised(item, lambda value: unknown_code(value, self._profiles.has_code))
        return advised(item, relative_system) if kind == "Identifier" else item

    def _companion(self, facts: ElementFacts, kind: str) -> Check:
        return _beside(super()._companion(facts, kind), facts.path, kind, self._profiles)


def _extended(item: Check, place: str, profiles: Profiles) -> Check:
    """Judge an extension by its definition when that is ours or R4's: its content, and that it may stand here.

    Beside a primitive (`Element`) the place is not known here: `_beside` judges it.
    """

    def check(value: Any, scope: Scope) -> Findings:
        found = item(value, scope)
        url = value.get("url") if type(value) is dict else None
        if type(url) is not str:
            return found
        profile = profiles.get(url)
        if profile is not None and profile.type == "Extension":
            found = merged(found, profile.check(value, scope))
            if place in profile.contexts:
                return found
        elif (core := core_extension(url)) is not None:
            found = merged(found, core.check(value))
        return found if place == "Element" else merged(found, _misplaced(url, profiles, place))

    return check


def _beside(item: Check, path: str, kind: str, profiles: Profiles) -> Check:
    """Judge the places of the extensions on a primitive, which is an element at `path` of the type `kind`."""

    def check(value: Any, scope: Scope) -> Findings:
        found = item(value, scope)
        listed = value.get("extension") if type(value) is dict else None
        for index, one in enumerate(listed if type(listed) is list else ()):
            url = one.get("url") if type(one) is dict else None
            if type(url) is str and (fault := _misplaced(url, profiles, kind, path)):
                found = merged(found, below(f".extension[{index}]", fault))
        return found

    return check


def _misplaced(url: str, profiles: Profiles, place: str, element: str = "") -> Findings:
    profile = profiles.get(url)
    if profile is not None:
        name, contexts, places = profile.url, profile.contexts, frozenset(profile.contexts)
    elif (core := core_extension(url)) is not None:
        name, contexts, places = core.url, core.contexts, core.places
    else:
        return None
    if not places or may_stand(places, place, element):
        return None
    text = say("extension-context", url=name, place=element or place, contexts=", ".join(contexts))
    return fail("extension-context", "extension", text)


def _unsupported(profile: Profile, value: dict[str, Any]) -> Findings:
    found: Findings = None
    for path, names in profile.must_support:
        if names.isdisjoint(value):
            text = say("must-support-absent", profile=profile.url, path=path)
            found = merged(found, fail("must-support-absent", "informational", text, severity="information"))
    return found
