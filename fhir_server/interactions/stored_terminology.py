"""The terminology that one request answers from: our own and R4's, and behind it what clients stored.

Ours wins over a code system that was loaded whole, that over a stored resource with the same URL. Of several stored under one URL the
active one with the highest version counts. What is stored is indexed once and kept until a CodeSystem, ValueSet or
ConceptMap changes, which the feed of changes tells exactly, or a code system is loaded or removed.
"""

from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import Any, Final, Generic, TypeVar

from fhir_server.access.guarded import GuardedSnapshot
from fhir_server.artifacts.catalog import version_key
from fhir_server.interactions.loaded_terminology import loaded, loaded_source
from fhir_server.model.codec import decode
from fhir_server.model.errors import Gone, Malformed, NotFound, TooCostly
from fhir_server.model.resource import Resource
from fhir_server.search.query import And, Node, Not, Query, TextMode, TokenIs, UriIs
from fhir_server.search.request import Expand, Relation
from fhir_server.store.port import Snapshot, Version
from fhir_server.terminology.answers import Listing
from fhir_server.terminology.concept_maps import MapIndex
from fhir_server.terminology.concepts import CodeSystemIndex
from fhir_server.terminology.large import LargeSystem
from fhir_server.terminology.large_listing import LargeListing
from fhir_server.terminology.service import TerminologyService
from fhir_server.terminology.source import Source
from fhir_server.terminology.value_sets import ValueSetIndex, index

T = TypeVar("T")
Known = dict[tuple[str, str], Any]
"""(resource type, canonical) → its index; ("", canonical) → a value set and its listing; `_EDITIONS` → what is loaded."""

_TYPES: Final = ("CodeSystem", "ValueSet", "ConceptMap")
_INDEXES: Final[dict[str, Callable[[Resource], Any]]] = {
    "CodeSystem": CodeSystemIndex,
    "ValueSet": index,
    "ConceptMap": MapIndex,
}
_EDITIONS: Final = ("", "editions")
_SMALL: Final = 2_000
"""Codes of large code systems that are kept for a value set."""
_SAME_URL: Final = 20
"""Stored resources with one URL that are looked at."""
_MAPS: Final = 100
_KEPT: Final = 256
"""Indexes of stored resources that are kept; beyond it all are dropped and made again as they are asked for."""
_CODES: Final = 5_000
"""Codes that one search may ask for by `:in`, `:below` or `:above`."""


class ServerTerminology:
    """Our own terminology, and the way to what is stored."""

    def __init__(self, own: TerminologyService) -> None:
        self.own = own
        self._lock = Lock()
        self._sequence = self._stamp = -1
        self._known: Known = {}

    def on(self, snapshot: Snapshot, *, committed: bool = True) -> "Terminology":
        """Return the terminology as of a snapshot; `committed` is false where nothing of it is to be kept.

        Nothing is kept of a unit of work, whoever looks through it: what it wrote may be undone.
        """
        return Terminology(self.own, snapshot, self._as_of(snapshot) if committed and _lasts(snapshot) else {})

    def _as_of(self, snapshot: Snapshot) -> Known:
        last, stamp = snapshot.last_sequence(), snapshot.editions_stamp()
        with self._lock:
            if last < self._sequence or stamp < self._stamp:
                return {}  # older than what is kept
            if stamp > self._stamp:
                self._known, self._stamp = {}, stamp
            if last > self._sequence:
                if self._sequence < 0 or snapshot.changes(self._sequence, 1, _TYPES):
                    self._known = {}
                self._sequence = last
            return self._known


def _lasts(snapshot: Snapshot) -> bool:
    """Tell whether nothing of a snapshot can be undone: it is no `UnitOfWork`, which alone can write."""
    beneath = snapshot.beneath_all if isinstance(snapshot, GuardedSnapshot) else snapshot
    return not hasattr(beneath, "put")


class Terminology(TerminologyService):
    """The terminology service as of one snapshot."""

    __slots__ = ("_known", "_shelves", "_snapshot")

    def __init__(self, own: TerminologyService, snapshot: Snapshot, known: Known) -> None:
        self._snapshot, self._known = snapshot, known
        self._shelves = _Stored(snapshot, known)
        editions = known.get(_EDITIONS)
        if editions is None:
            editions = known[_EDITIONS] = loaded(snapshot)
        self._use(
            own.source.before(loaded_source(snapshot, editions)).before(
                Source(_Shelf(self._shelves, "CodeSystem"), _Shelf(self._shelves, "ValueSet"), _MapShelf(self._shelves))
            )
        )

    def listing(self, asked: ValueSetIndex) -> Listing | LargeListing:
        """Return all codes of a value set; kept for one that was not sent with the request."""
        place = ("", f"{asked.url}|{asked.version}")
        kept = self._known.get(place)
        if kept is not None and kept[0] is asked:
            before: Listing = kept[1]
            return before
        found = super().listing(asked)
        if isinstance(found, LargeListing) or (len(found.members) > _SMALL and self._touches_large(found)):
            return found  # it would hold on to the snapshot, or to much memory
        if asked.url and self.source.value_sets.get(asked.url) is asked:
            self._known[place] = (asked, found)
        return found

    def _touches_large(self, listing: Listing) -> bool:
        systems = {member.system for member in listing.members}
        return any(isinstance(self.source.code_systems.get(system), LargeSystem) for system in systems)

    def instance(self, resource_type: str, resource_id: str) -> Any:
        """Return the index of a stored CodeSystem, ValueSet or ConceptMap; raises NotFound or Gone."""
        version = self._snapshot.current(resource_type, resource_id)
        if version is None:
            raise NotFound(f"There is no {resource_type}/{resource_id} here.")
        if version.body is None:
            raise Gone(f"{resource_type}/{resource_id} was deleted.")
        return self._shelves.indexed(version)


class _Stored:
    """Finds and indexes what is stored."""

    def __init__(self, snapshot: Snapshot, known: Known) -> None:
        self._snapshot, self._known = snapshot, known

    def find(self, resource_type: str, canonical: str) -> Any:
        kept = self._known.get((resource_type, canonical))
        if kept is not None:
            return kept
        url, _, version = canonical.partition("|")
        if not url:
            return None
        where: list[Node] = [UriIs("url", TextMode.EXACT, url)]
        if version:
            where.append(TokenIs("version", None, version))
        if resource_type == "CodeSystem":
            where.append(Not(TokenIs("content-mode", None, "supplement")))
        rows = self._snapshot.search(Query(resource_type, And(tuple(where)), (), _SAME_URL))
        best = _best([row.version for row in rows])
        if best is None:
            return None
        found = self._known[resource_type, canonical] = self.indexed(best)
        return found

    def about(self, system: str, *, reverse: bool) -> list[MapIndex]:
        where = UriIs("target-system" if reverse else "source-system", TextMode.EXACT, system)
        rows = self._snapshot.search(Query("ConceptMap", where, (), _MAPS + 1))
        if len(rows) > _MAPS:
            raise TooCostly(f"More than {_MAPS} concept maps are about {system}. Name one with url.")
        by_url: dict[str, list[Version]] = {}
        for row in rows:
            found = self.indexed(row.version)
            by_url.setdefault(found.url or f"/{row.version.id}", []).append(row.version)
        return [self.indexed(best) for same in by_url.values() if (best := _best(same))]

    def indexed(self, version: Version) -> Any:
        place = (version.type, f"/{version.id}/{version.version}")
        found = self._known.get(place)
        if found is None:
            if len(self._known) > _KEPT:
                self._known.clear()
            found = self._known[place] = _INDEXES[version.type](decode(version.body or b""))
        return found


class _Shelf(Generic[T]):
    __slots__ = ("_stored", "_type")

    def __init__(self, stored: _Stored, resource_type: str) -> None:
        self._stored, self._type = stored, resource_type

    def get(self, canonical: str, /) -> T | None:
        found: T | None = self._stored.find(self._type, canonical)
        return found


class _MapShelf(_Shelf[MapIndex]):
    __slots__ = ()

    def __init__(self, stored: _Stored) -> None:
        super().__init__(stored, "ConceptMap")

    def about(self, system: str, *, reverse: bool) -> Iterable[MapIndex]:
        return self._stored.about(system, reverse=reverse)


def _best(versions: Sequence[Version]) -> Version | None:
    """Return the active one with the highest business version; the newest of equals."""
    if len(versions) <= 1:
        return versions[0] if versions else None

    def rank(version: Version) -> tuple[bool, Any, int]:
        resource = decode(version.body or b"")
        return resource.get("status") == "active", version_key(str(resource.get("version", ""))), version.sequence

    return max(versions, key=rank)


def expander(terminology: ServerTerminology, snapshot: Snapshot, base: str) -> Expand:
    """Return what answers `:in`, `:below` and `:above` as of a snapshot; what is unknown is refused as Malformed."""

    def expand(relation: Relation, text: str) -> list[tuple[str, str]]:
        service = terminology.on(snapshot)
        try:
            codes = _members(service, text, base) if relation == "in" else _related(service, relation, text)
        except (NotFound, Gone) as error:
            raise Malformed(issues=error.issues) from error
        if len(codes) > _CODES:
            raise TooCostly(
                f":{relation} {text[:200]!r} means {len(codes)} codes; at most {_CODES} can be searched for. Narrow it.",
                key="search-too-many-codes",
            )
        return codes

    return expand


def _members(service: Terminology, text: str, base: str) -> list[tuple[str, str]]:
    local = text.removeprefix(f"{base}/")
    if local.startswith("ValueSet/"):
        return service.members(service.instance("ValueSet", local.removeprefix("ValueSet/")))
    return service.members(text)


def _related(service: Terminology, relation: Relation, text: str) -> list[tuple[str, str]]:
    system, bar, code = text.partition("|")
    if not bar or not system or not code:
        raise Malformed(
            f":{relation} needs a code with its system, as system|code; found {text[:200]!r}.", key="search-bad-token"
        )
    known = service.code_system(system)
    concept = service.lookup(known, code).concept
    others = known.descendants(concept.code) if relation == "below" else known.ancestors(concept.code)
    return [(system, one) for one in (concept.code, *sorted(others))]
