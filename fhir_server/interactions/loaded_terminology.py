"""The code systems that were loaded whole into the store, as terminology asks for them."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from fhir_server.artifacts.catalog import version_key
from fhir_server.store.concepts import ConceptReader, Edition
from fhir_server.store.port import Store
from fhir_server.terminology.answers import Expansion, Selection, Verdict, Wish
from fhir_server.terminology.implicit import SNOMED, snomed_value_set, whole_value_set
from fhir_server.terminology.large import CodeSystem, LargeSystem
from fhir_server.terminology.releases.numbered import Head, head_of
from fhir_server.terminology.service import TerminologyService
from fhir_server.terminology.source import MapCollection, Source
from fhir_server.terminology.value_sets import ValueSetIndex

_OF_AN_EDITION: Final = "/version/"
"""Parts the edition of SNOMED CT from its date, in its version URIs."""


class Loaded(NamedTuple):
    """One edition and what is said of it."""

    edition: Edition
    head: Head


def loaded(snapshot: ConceptReader) -> tuple[Loaded, ...]:
    """Return all editions of a snapshot; a few, and small."""
    return tuple(Loaded(one, head_of(one.body)) for one in snapshot.editions())


def loaded_source(snapshot: ConceptReader, editions: Sequence[Loaded]) -> Source:
    """Return the loaded code systems, with the value sets that need no definition."""
    systems = _Systems(snapshot, editions)
    return Source(systems, _Implicit(editions), MapCollection(()))


class _Systems:
    def __init__(self, snapshot: ConceptReader, editions: Sequence[Loaded]) -> None:
        self._snapshot, self._editions = snapshot, editions

    def get(self, canonical: str, /) -> CodeSystem | None:
        url, _, version = canonical.partition("|")
        found = [
            one for one in self._editions if one.edition.system == url and _is_version(one.edition.version, version)
        ]
        if not found:
            return None
        edition, head = max(found, key=_rank)
        return LargeSystem(self._snapshot, edition.number, url, edition.version, edition.concepts, head)


class _Implicit:
    def __init__(self, editions: Sequence[Loaded]) -> None:
        self._editions = editions

    def get(self, canonical: str, /) -> ValueSetIndex | None:
        found = snomed_value_set(canonical)
        if found is not None:
            return found
        url, _, version = canonical.partition("|")
        named = [one for one in self._editions if one.head.value_set == url and url]
        if not named:
            return None
        edition = max(named, key=_rank).edition
        return whole_value_set(url, edition.system, version)


def _is_version(known: str, wanted: str) -> bool:
    """Whether a version is meant; an edition of SNOMED CT without a date means any date of it."""
    if not wanted or known == wanted:
        return True
    return (
        wanted.startswith(f"{SNOMED}/") and _OF_AN_EDITION not in wanted and known.startswith(wanted + _OF_AN_EDITION)
    )


def _rank(one: Loaded) -> tuple[object, int]:
    return version_key(one.edition.version.rpartition("/")[2]), one.edition.number


class LiveTerminology(TerminologyService):
    """Our own terminology for what is judged all the time; what it cannot tell is asked of what is loaded just then."""

    __slots__ = ("_own", "_store")

    def __init__(self, own: TerminologyService, store: Store) -> None:
        self._own, self._store = own, store
        self._use(own.source)

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
        """As of our own alone: who keeps the answer must not keep what was loaded at that moment."""
        return self._own.expand(value_set, selection, offset, count, display_language, at_most=at_most)

    def validate_code(
        self,
        system: str | CodeSystem | None,
        code: str,
        value_set: str | ValueSetIndex | None = None,
        display_language: str = "",
        wish: Wish | None = None,
    ) -> Verdict:
        """As the service; what our own cannot tell is asked of the store, which takes one small read while it is empty."""
        own = self._own.validate_code(system, code, value_set, display_language, wish)
        if own.result is not None or not self._store.read(lambda snapshot: snapshot.editions_stamp(), once=True):
            return own

        def work(snapshot: ConceptReader) -> Verdict:
            source = self._own.source.before(loaded_source(snapshot, loaded(snapshot)))
            return TerminologyService.over(source).validate_code(system, code, value_set, display_language, wish)

        return self._store.read(work)
