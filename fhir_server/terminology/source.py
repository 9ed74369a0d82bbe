"""Where code systems, value sets and concept maps come from: a collection, or several with one taking precedence."""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, Protocol, TypeVar

from fhir_server.artifacts.catalog import version_key
from fhir_server.model.resource import Resource
from fhir_server.terminology.concept_maps import MapIndex
from fhir_server.terminology.large import CodeSystem
from fhir_server.terminology.value_sets import ValueSetIndex

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Shelf(Protocol[T_co]):
    """Finds one thing by canonical URL; with `|version` exactly that version, without it the highest."""

    def get(self, canonical: str, /) -> T_co | None:
        """Return it, or None. Raises NotSupported when it is there and cannot be evaluated."""
        ...


class MapShelf(Shelf[MapIndex], Protocol):
    """As Shelf, for concept maps, which are also found by what they translate."""

    def about(self, system: str, *, reverse: bool) -> Iterable[MapIndex]:
        """Return the maps that translate codes of a system; those that lead to it when `reverse`."""
        ...


class Source(NamedTuple):
    """All that terminology is answered from."""

    code_systems: Shelf[CodeSystem]
    value_sets: Shelf[ValueSetIndex]
    concept_maps: MapShelf

    def before(self, other: "Source") -> "Source":
        """Return a source that asks this one first and the other where this one has nothing."""
        return Source(
            FirstOf((self.code_systems, other.code_systems)),
            FirstOf((self.value_sets, other.value_sets)),
            FirstOfMaps((self.concept_maps, other.concept_maps)),
        )


class FirstOf(Generic[T]):
    """Several shelves as one; the first that has it counts."""

    __slots__ = ("_shelves",)

    def __init__(self, shelves: Iterable[Shelf[T]]) -> None:
        self._shelves = tuple(shelves)

    def get(self, canonical: str, /) -> T | None:
        """Return what the first shelf has."""
        for shelf in self._shelves:
            found = shelf.get(canonical)
            if found is not None:
                return found
        return None


class FirstOfMaps(FirstOf[MapIndex]):
    """As FirstOf, for concept maps."""

    __slots__ = ("_maps",)

    def __init__(self, shelves: Iterable[MapShelf]) -> None:
        self._maps = tuple(shelves)
        super().__init__(self._maps)

    def about(self, system: str, *, reverse: bool) -> Iterator[MapIndex]:
        """Yield the maps of all shelves; a map that an earlier shelf has under the same URL is left out."""
        seen: set[str] = set()
        for shelf in self._maps:
            found = tuple(shelf.about(system, reverse=reverse))
            yield from (one for one in found if not one.url or one.url not in seen)
            seen.update(one.url for one in found)


class Collection(Generic[T]):
    """Resources by canonical, each indexed when it is first asked for."""

    __slots__ = ("_by_canonical", "_index", "_indexed")

    def __init__(self, resources: Iterable[Resource], index: Callable[[Resource], T]) -> None:
        self._index = index
        self._indexed: dict[str, T] = {}
        self._by_canonical: dict[str, Resource] = {}
        for one in sorted(resources, key=lambda one: version_key(str(one.get("version", "")))):
            self._by_canonical[one["url"]] = one
            if "version" in one:
                self._by_canonical[f"{one['url']}|{one['version']}"] = one

    def get(self, canonical: str, /) -> T | None:
        """Return the index of the resource with this canonical."""
        found = self._indexed.get(canonical)
        if found is None and canonical in self._by_canonical:
            found = self._indexed[canonical] = self._index(self._by_canonical[canonical])
        return found

    def every(self) -> Iterator[T]:
        """Yield all, the highest version of each; raises NotSupported for one that cannot be evaluated."""
        for canonical in self._by_canonical:
            if "|" not in canonical and (found := self.get(canonical)) is not None:
                yield found


class MapCollection(Collection[MapIndex]):
    """Concept maps by canonical."""

    __slots__ = ("_all",)

    def __init__(self, resources: Iterable[Resource]) -> None:
        super().__init__(resources, MapIndex)
        self._all = tuple(self.every())

    def about(self, system: str, *, reverse: bool) -> tuple[MapIndex, ...]:
        """Return the maps from, or with `reverse` to, a system."""
        return tuple(one for one in self._all if system in (one.targets if reverse else one.sources))
