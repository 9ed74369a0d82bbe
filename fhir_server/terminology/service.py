"""The terminology service: lookup, validate-code, expand, translate, subsumes (R4 terminology-service.html)."""

from collections.abc import Iterable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Literal, NamedTuple, Self

from fhir_server.artifacts.catalog import Catalog
from fhir_server.model.errors import NotFound
from fhir_server.model.resource import Resource
from fhir_server.terminology import value_sets as vs
from fhir_server.terminology.concept_maps import Match, Translations
from fhir_server.terminology.concepts import CodeSystemIndex, Concept, fold

Subsumption = Literal["equivalent", "subsumes", "subsumed-by", "not-subsumed"]


class Lookup(NamedTuple):
    """What a code system says of a code; `display` is in the language that was asked, where there is one."""

    system: str
    version: str
    name: str
    display: str
    concept: Concept


class Verdict(NamedTuple):
    """Whether a code is valid: True, False, or None when what is needed to tell is not loaded. `message` says why."""

    result: bool | None
    display: str = ""
    message: str = ""
    system: str = ""


class Expanded(NamedTuple):
    """A code of an expansion."""

    system: str
    code: str
    display: str
    abstract: bool
    inactive: bool


class Expansion(NamedTuple):
    """One page of an expansion; `total` counts all codes that pass the filter."""

    url: str
    total: int
    offset: int
    contains: tuple[Expanded, ...]


class TerminologyService:
    """Answers from the code systems, value sets and concept maps it was given. Immutable."""

    __slots__ = ("_maps", "_membership", "_systems", "_translations", "_value_sets")

    def __init__(
        self, code_systems: Iterable[Resource], value_sets: Iterable[Resource], concept_maps: Iterable[Resource]
    ) -> None:
        """Index the artefacts; raises NotSupported for a value set filter that cannot be evaluated."""
        maps = tuple(concept_maps)
        self._systems: Mapping[str, CodeSystemIndex] = MappingProxyType(
            {one["url"]: CodeSystemIndex(one) for one in code_systems if one.get("content") != "supplement"}
        )
        self._value_sets: Mapping[str, vs.ValueSetIndex] = MappingProxyType(
            {one["url"]: vs.index(one) for one in value_sets}
        )
        self._membership = vs.Membership(self._systems, self._value_sets)
        self._translations = Translations(maps)
        self._maps = frozenset(one["url"] for one in maps)

    @classmethod
    def load(cls, catalog: Catalog) -> Self:
        """Index every CodeSystem, ValueSet and ConceptMap of the catalogue."""
        return cls(catalog.of_type("CodeSystem"), catalog.of_type("ValueSet"), catalog.of_type("ConceptMap"))

    def knows(self, system: str) -> bool:
        """Whether the code system is loaded, in full or as a fragment."""
        return system in self._systems

    def lookup(self, system: str, code: str, display_language: str = "") -> Lookup:
        """Return what is known of a code; raises NotFound for an unknown system or code."""
        known = self._system(system)
        concept = known.get(code)
        if concept is None:
            raise NotFound(f"{system} has no code {code!r}.{_near(known, code)}", key="code-unknown")
        return Lookup(known.url, known.version, known.name, concept.text(display_language), concept)

    def validate_code(
        self, system: str | None, code: str, value_set: str | None = None, display_language: str = ""
    ) -> Verdict:
        """Tell whether a code is in its code system, or in a value set when one is named.

        Without a system the value set must hold the code exactly once (R4 asks a system, forms often lack it).
        """
        if value_set is None:
            return self._in_system(system or "", code, display_language)
        url = value_set.partition("|")[0]
        if url not in self._value_sets:
            return Verdict(None, message=f"The value set {value_set} is not loaded.")
        if not system:
            return self._without_system(url, code, display_language)
        result = self._membership.contains(url, system, code)
        display = self._display(system, code, display_language)
        if result:
            return Verdict(True, display, system=system)
        if result is None:
            return Verdict(None, display, f"What is needed to tell whether {code!r} is in {url} is not loaded.", system)
        return Verdict(False, display, f"{code!r} of {system} is not in the value set {url}.", system)

    def expand(
        self,
        value_set_url: str,
        filter: str = "",  # noqa: A002  # R4 names the parameter so
        offset: int = 0,
        count: int | None = None,
        display_language: str = "",
        *,
        active_only: bool = False,
    ) -> Expansion:
        """List a value set in its own order, a page of it when `count` is given.

        `filter` keeps codes whose code, display or a designation holds each word, without regard to case and accents.
        Raises NotFound for an unknown value set, NotSupported when a code system that it needs is not loaded.
        """
        url = value_set_url.partition("|")[0]
        if url not in self._value_sets:
            raise NotFound(f"The value set {value_set_url} is not loaded.", key="value-set-unknown")
        wanted = fold(filter)
        kept = [
            member
            for member in self._membership.members(url)
            if (not wanted or member.concept.matches(wanted)) and not (active_only and member.concept.inactive)
        ]
        page = islice(kept, offset, None if count is None else offset + count)
        listed = tuple(_expanded(member, display_language) for member in page)
        return Expansion(url, len(kept), offset, listed)

    def translate(
        self, system: str, code: str, target: str = "", concept_map: str = "", *, reverse: bool = False
    ) -> tuple[Match, ...]:
        """Return the mappings of a code, all of them or those to one target system or value set, or of one map.

        `reverse` reads the maps backwards. Raises NotFound for a concept map that is not loaded.
        """
        url = concept_map.partition("|")[0]
        if url and url not in self._maps:
            raise NotFound(f"The concept map {concept_map} is not loaded.", key="concept-map-unknown")
        return self._translations.find(system, code, target, url, reverse=reverse)

    def subsumes(self, system: str, code_a: str, code_b: str) -> Subsumption:
        """Tell how A relates to B: `subsumes` when A is above B. Raises NotFound for an unknown system or code."""
        above, below = self.lookup(system, code_a).concept.code, self.lookup(system, code_b).concept.code
        known = self._systems[system]
        if above == below:
            return "equivalent"
        if above in known.ancestors(below):
            return "subsumes"
        return "subsumed-by" if below in known.ancestors(above) else "not-subsumed"

    def _system(self, system: str) -> CodeSystemIndex:
        known = self._systems.get(system.partition("|")[0])
        if known is None:
            raise NotFound(f"The code system {system} is not loaded.", key="code-system-unknown")
        return known

    def _in_system(self, system: str, code: str, language: str) -> Verdict:
        known = self._systems.get(system)
        if known is None:
            return Verdict(None, message=f"The code system {system!r} is not loaded.", system=system)
        concept = known.get(code)
        if concept is not None:
            return Verdict(True, concept.text(language), system=system)
        if not known.complete:
            return Verdict(None, message=f"Only a part of {system} is loaded, without {code!r}.", system=system)
        return Verdict(False, message=f"{system} has no code {code!r}.{_near(known, code)}", system=system)

    def _without_system(self, url: str, code: str, language: str) -> Verdict:
        found = [member for member in self._membership.members(url) if member.concept.code == code]
        if len(found) == 1:
            return Verdict(True, found[0].concept.text(language), system=found[0].system)
        if found:
            systems = ", ".join(member.system for member in found)
            return Verdict(False, message=f"{code!r} is in {url} more than once: name one of the systems {systems}.")
        return Verdict(False, message=f"{code!r} is not in the value set {url}.")

    def _display(self, system: str, code: str, language: str) -> str:
        known = self._systems.get(system)
        concept = known.get(code) if known else None
        return concept.text(language) if concept else ""


def _expanded(member: vs.Member, language: str) -> Expanded:
    concept = member.concept
    return Expanded(member.system, concept.code, concept.text(language), concept.abstract, concept.inactive)


def _near(known: CodeSystemIndex, code: str) -> str:
    """Return a hint with a code that differs only in case or accents, or the first codes of a short list."""
    same = next((concept.code for concept in known if fold(concept.code) == fold(code)), "")
    if same:
        return f" Codes differ by case: is {same!r} meant?"
    return f" It has: {', '.join(concept.code for concept in known)}." if len(known) <= 20 else ""  # noqa: PLR2004  # a line's worth
