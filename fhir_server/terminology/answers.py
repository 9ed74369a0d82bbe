"""What the terminology service is asked and answers, as plain values."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from fhir_server.terminology import spans
from fhir_server.terminology.concepts import Concept, fold, line_has
from fhir_server.terminology.large_listing import LargeListing, LargePage
from fhir_server.terminology.membership import Member
from fhir_server.terminology.releases.numbered import words_of

Subsumption: TypeAlias = Literal["equivalent", "subsumes", "subsumed-by", "not-subsumed"]


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


class Wish(NamedTuple):
    """How a code is to be judged besides being known: its display, and whether one that only groups others will do."""

    display: str = ""
    abstract: bool = True
    language: str = ""


class Expanded(NamedTuple):
    """A code of an expansion."""

    system: str
    code: str
    display: str
    abstract: bool
    inactive: bool
    concept: Concept


class Expansion(NamedTuple):
    """One page of an expansion; `total` counts all codes that pass the filter."""

    url: str
    total: int
    offset: int
    contains: tuple[Expanded, ...]


class Selection(NamedTuple):
    """Which codes of a value set to list.

    `filter` keeps codes whose code, display or a designation holds each word, without regard to case and accents.
    """

    filter: str = ""
    active_only: bool = False
    selectable_only: bool = False
    without_systems: frozenset[str] = frozenset()

    def of(self, listing: "Listing | LargeListing") -> Sequence[Member]:
        """Return the codes that are wanted; of a large listing those with a word that starts with each word."""
        if isinstance(listing, LargeListing):
            return self._of_large(listing)
        found: Sequence[Member] = listing.members
        words = fold(self.filter).split()
        if words:
            found = listing.having(words)
        if self.active_only or self.selectable_only or self.without_systems:
            found = [one for one in found if self._passes(one)]
        return found

    def _of_large(self, listing: LargeListing) -> LargePage:
        system, within = listing.system, listing.within
        if self.active_only:
            within = spans.difference(within, system.inactive)
        if self.selectable_only:
            within = spans.difference(within, system.abstract)
        if system.url in self.without_systems:
            within = spans.EMPTY
        return LargePage(system, within, words_of(self.filter))

    def _passes(self, member: Member) -> bool:
        concept = member.concept
        return (
            not (self.active_only and concept.inactive)
            and not (self.selectable_only and concept.abstract)
            and member.system not in self.without_systems
        )


class Listing:
    """All codes of a value set, with the texts that filters look at; these are made when a filter first asks."""

    __slots__ = ("_folded", "members")

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        self._folded: list[str] | None = None

    def with_code(self, code: str) -> list[Member]:
        """Return the members with a code, of whatever system."""
        return [member for member in self.members if member.concept.code == code]

    def having(self, words: Sequence[str]) -> list[Member]:
        """Return the codes that have one text with all of these folded words."""
        if self._folded is None:
            self._folded = [one.concept.folded() for one in self.members]
        folded = self._folded
        at: Sequence[int] = range(len(folded))  # numbers, not pairs: objects by the ten thousand wake the collector
        for word in words:
            at = [number for number in at if word in folded[number]]
        return [self.members[number] for number in at if line_has(folded[number], words)]
