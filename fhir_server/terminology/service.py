"""The terminology service: lookup, validate-code, expand, translate, subsumes (R4 terminology-service.html)."""

from collections.abc import Iterable, Iterator
from typing import Self

from fhir_server.artifacts.catalog import Catalog
from fhir_server.model.errors import NotFound, TooCostly
from fhir_server.model.resource import Resource
from fhir_server.terminology.answers import Expanded, Expansion, Listing, Lookup, Selection, Subsumption, Verdict, Wish
from fhir_server.terminology.concept_maps import MapIndex, Match
from fhir_server.terminology.concepts import CodeSystemIndex, Concept, fold
from fhir_server.terminology.large import CodeSystem, LargeSystem
from fhir_server.terminology.large_listing import LargeListing, large_listing
from fhir_server.terminology.membership import Member, Membership
from fhir_server.terminology.r4 import r4_source
from fhir_server.terminology.source import Collection, MapCollection, Source
from fhir_server.terminology.value_sets import ValueSetIndex, index

_SHORT = 20
"""Codes that fit in a message."""
_OTHER_MAPS = 5
"""Maps that may refer on to each other (`unmapped.mode` other-map)."""


class TerminologyService:
    """Answers from the code systems, value sets and concept maps it was given. Immutable.

    Canonicals may carry `|version`. Where a code system, value set or concept map is asked for by URL, the thing itself
    may be given instead.
    """

    __slots__ = ("_membership", "source")

    def __init__(
        self, code_systems: Iterable[Resource], value_sets: Iterable[Resource], concept_maps: Iterable[Resource]
    ) -> None:
        """Index the artefacts; raises NotSupported for a value set filter that cannot be evaluated."""
        systems = (one for one in code_systems if one.get("content") != "supplement")
        listed = Collection(value_sets, index)
        for _ in listed.every():  # an artefact that cannot be evaluated is told now, not at its first use
            pass
        self._use(Source(Collection(systems, CodeSystemIndex), listed, MapCollection(concept_maps)))

    def _use(self, source: Source) -> None:
        self.source = source
        self._membership = Membership(source.code_systems, source.value_sets)

    @classmethod
    def over(cls, source: Source) -> Self:
        """Return a service that answers from a source."""
        made = cls.__new__(cls)
        made._use(source)  # noqa: SLF001  # it is of this class
        return made

    @classmethod
    def load(cls, catalog: Catalog) -> Self:
        """Index every CodeSystem, ValueSet and ConceptMap of the catalogue; what it lacks, R4's own may have."""
        own = cls(catalog.of_type("CodeSystem"), catalog.of_type("ValueSet"), catalog.of_type("ConceptMap"))
        return cls.over(own.source.before(r4_source()))

    def knows(self, system: str) -> bool:
        """Whether the code system is loaded, in full or as a fragment."""
        return self.source.code_systems.get(system) is not None

    def code_system(self, canonical: str) -> CodeSystem:
        """Return a code system; raises NotFound."""
        known = self.source.code_systems.get(canonical)
        if known is None:
            raise NotFound(f"The code system {canonical[:300]!r} is not loaded.", key="code-system-unknown")
        return known

    def value_set(self, canonical: str) -> ValueSetIndex:
        """Return a value set; raises NotFound."""
        known = self.source.value_sets.get(canonical)
        if known is None:
            raise NotFound(f"The value set {canonical[:300]!r} is not loaded.", key="value-set-unknown")
        return known

    def concept_map(self, canonical: str) -> MapIndex:
        """Return a concept map; raises NotFound."""
        known = self.source.concept_maps.get(canonical)
        if known is None:
            raise NotFound(f"The concept map {canonical[:300]!r} is not loaded.", key="concept-map-unknown")
        return known

    def lookup(self, system: str | CodeSystem, code: str, display_language: str = "") -> Lookup:
        """Return what is known of a code; raises NotFound for an unknown system or code."""
        known = self.code_system(system) if isinstance(system, str) else system
        concept = known.get(code)
        if concept is None:
            raise NotFound(f"{known.url} has no code {code[:200]!r}.{_near(known, code)}", key="code-unknown")
        return Lookup(known.url, known.version, known.name, concept.text(display_language), concept)

    def validate_code(
        self,
        system: str | CodeSystem | None,
        code: str,
        value_set: str | ValueSetIndex | None = None,
        display_language: str = "",
        wish: Wish | None = None,
    ) -> Verdict:
        """Tell whether a code is in its code system, or in a value set when one is named.

        Without a system the value set must hold the code exactly once (R4 asks a system, forms often lack it).
        """
        language = wish.language if wish else display_language
        verdict, concept = self._judge(system, code, value_set, language)
        if verdict.result is not True or wish is None or concept is None:
            return verdict
        if concept.abstract and not wish.abstract:
            text = f"{code!r} only groups other codes, so it cannot be chosen."
            return verdict._replace(result=False, message=text)
        wanted = _spaceless(wish.display)
        if wanted and all(_spaceless(text) != wanted for text in concept.texts()):
            text = f"The display of {code!r} is {verdict.display!r}, not {wish.display[:200]!r}."
            return verdict._replace(result=False, message=text)
        return verdict

    def expand(
        self,
        value_set: str | ValueSetIndex,
        selection: Selection | None = None,
        offset: int = 0,
        count: int | None = None,
        display_language: str = "",
        *,
        at_most: int | None = None,
    ) -> Expansion:
        """List a value set in its own order, a page of it when `count` is given.

        Raises NotFound for an unknown value set, NotSupported when a code system that it needs is not loaded, TooCostly
        when it has more than `at_most` codes and no page is asked for.
        """
        asked = self.value_set(value_set) if isinstance(value_set, str) else value_set
        kept = (selection or Selection()).of(self.listing(asked))
        if count is None and at_most is not None and len(kept) - offset > at_most:
            raise TooCostly(
                f"{asked.label} has {len(kept)} codes; at most {at_most} are listed at once. Ask for pages with count "
                "and offset, or narrow it with filter.",
                key="expansion-too-costly",
            )
        page = kept[offset : None if count is None else offset + count]
        return Expansion(asked.url, len(kept), offset, tuple(_expanded(one, display_language) for one in page))

    def listing(self, asked: ValueSetIndex) -> Listing | LargeListing:
        """Return all codes of a value set; raises as `expand`."""
        large = large_listing(self.source.code_systems, self.source.value_sets, asked)
        return large or Listing(self._membership.members(asked))

    def members(self, value_set: str | ValueSetIndex) -> list[tuple[str, str]]:
        """Return (system, code) of a value set; raises as `expand`."""
        asked = self.value_set(value_set) if isinstance(value_set, str) else value_set
        return [(one.system, one.concept.code) for one in self.listing(asked).members]

    def translate(
        self,
        system: str,
        code: str,
        target: str = "",
        concept_map: str | MapIndex = "",
        *,
        source: str = "",
        reverse: bool = False,
    ) -> tuple[Match, ...]:
        """Return the mappings of a code: all, or those from and to one code system or value set, or those of one map.

        `reverse` reads the maps backwards. Raises NotFound for a concept map that is not loaded.
        """
        if isinstance(concept_map, MapIndex):
            maps: Iterable[MapIndex] = (concept_map,)
        elif concept_map:
            maps = (self.concept_map(concept_map),)
        else:
            maps = self.source.concept_maps.about(system, reverse=reverse)
        return tuple(
            match
            for one in maps
            if one.between(source, target, reverse=reverse)
            for match in self._in_map(one, system, code, _OTHER_MAPS, reverse=reverse)
        )

    def subsumes(self, system: str | CodeSystem, code_a: str, code_b: str) -> Subsumption:
        """Tell how A relates to B: `subsumes` when A is above B. Raises NotFound for an unknown system or code."""
        known = self.code_system(system) if isinstance(system, str) else system
        above, below = self.lookup(known, code_a).concept.code, self.lookup(known, code_b).concept.code
        if above == below:
            return "equivalent"
        if known.is_below(below, above):
            return "subsumes"
        return "subsumed-by" if known.is_below(above, below) else "not-subsumed"

    def _in_map(self, one: MapIndex, system: str, code: str, deeper: int, *, reverse: bool) -> Iterator[Match]:
        yield from one.find(system, code, reverse=reverse)
        if reverse:
            return
        for group in one.leftovers(system, code):
            match group.unmapped.get("mode"):
                case "fixed":
                    yield Match(
                        "inexact", group.target, group.unmapped["code"], group.unmapped.get("display", ""), one.url
                    )
                case "provided":
                    yield Match("equal", group.target, code, "", one.url)
                case "other-map" if deeper:
                    other = self.source.concept_maps.get(group.unmapped.get("url", ""))
                    if other is not None:
                        yield from self._in_map(other, system, code, deeper - 1, reverse=False)

    def _judge(
        self, system: str | CodeSystem | None, code: str, value_set: str | ValueSetIndex | None, language: str
    ) -> tuple[Verdict, Concept | None]:
        if value_set is None:
            return self._in_system(system or "", code, language)
        asked = self.source.value_sets.get(value_set) if isinstance(value_set, str) else value_set
        if asked is None:
            return Verdict(None, message=f"The value set {value_set} is not loaded."), None
        if isinstance(system, CodeSystemIndex | LargeSystem):
            system = system.url
        if not system:
            return self._without_system(asked, code, language)
        plain = system.partition("|")[0]
        result = self._membership.contains(asked, plain, code)
        known = self.source.code_systems.get(system)
        concept = (known.get(code) if known else None) or _stated(asked, plain, code)
        display = concept.text(language) if concept else ""
        if result:
            return Verdict(True, display, system=plain), concept
        if result is None:
            text = f"What is needed to tell whether {code!r} is in {asked.label} is not loaded."
            return Verdict(None, display, text, plain), concept
        return Verdict(False, display, f"{code!r} of {plain} is not in the value set {asked.label}.", plain), concept

    def _in_system(self, system: str | CodeSystem, code: str, language: str) -> tuple[Verdict, Concept | None]:
        known = self.source.code_systems.get(system) if isinstance(system, str) else system
        if known is None:
            return Verdict(None, message=f"The code system {system!r} is not loaded.", system=str(system)), None
        concept = known.get(code)
        url = known.url
        if concept is not None:
            return Verdict(True, concept.text(language), system=url), concept
        if not known.complete:
            return Verdict(None, message=f"Only a part of {url} is loaded, without {code!r}.", system=url), None
        return Verdict(False, message=f"{url} has no code {code!r}.{_near(known, code)}", system=url), None

    def _without_system(self, asked: ValueSetIndex, code: str, language: str) -> tuple[Verdict, Concept | None]:
        found = self.listing(asked).with_code(code)
        if len(found) == 1:
            return Verdict(True, found[0].concept.text(language), system=found[0].system), found[0].concept
        if found:
            systems = ", ".join(member.system for member in found)
            text = f"{code!r} is in {asked.label} more than once: name one of the systems {systems}."
            return Verdict(False, message=text), None
        return Verdict(False, message=f"{code!r} is not in the value set {asked.label}."), None


def _expanded(member: Member, language: str) -> Expanded:
    concept = member.concept
    display = concept.text(language)
    return Expanded(member.system, concept.code, display, concept.abstract, concept.inactive, concept)


def _stated(asked: ValueSetIndex, system: str, code: str) -> Concept | None:
    """Return what the value set itself says of a code that it lists."""
    for one in asked.includes:
        if one.concepts is not None and code in one.concepts and one.system.partition("|")[0] == system:
            return one.concepts[code]
    return None


def _spaceless(text: str) -> str:
    """Return a display without regard to case, accents and runs of space."""
    return " ".join(fold(text).split())


def _near(known: CodeSystem, code: str) -> str:
    """Return a hint with a code that differs only in case or accents, or the first codes of a short list."""
    if isinstance(known, LargeSystem):
        return ""
    same = next((concept.code for concept in known if fold(concept.code) == fold(code)), "")
    if same:
        return f" Codes differ by case: is {same!r} meant?"
    return f" It has: {', '.join(concept.code for concept in known)}." if len(known) <= _SHORT else ""
