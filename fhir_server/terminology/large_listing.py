"""Listing a value set that is made of one large code system, page by page."""

from collections.abc import Sequence
from typing import overload

from fhir_server.terminology import spans
from fhir_server.terminology.large import CodeSystem, LargeSystem
from fhir_server.terminology.membership import Member
from fhir_server.terminology.source import Shelf
from fhir_server.terminology.spans import Spans
from fhir_server.terminology.value_sets import Component, ValueSetIndex

_DEEPEST = 30
Part = tuple[LargeSystem, Spans]


class LargePage(Sequence[Member]):
    """Codes of one large code system as a sequence; only what is sliced is read."""

    def __init__(self, system: LargeSystem, within: Spans, words: Sequence[str]) -> None:
        self._system, self._within, self._words = system, within, words
        self._count = -1

    def __len__(self) -> int:
        if self._count < 0:
            self._count = self._system.count(self._within, self._words)
        return self._count

    @overload
    def __getitem__(self, at: int) -> Member: ...
    @overload
    def __getitem__(self, at: slice) -> list[Member]: ...
    def __getitem__(self, at: int | slice) -> Member | list[Member]:
        if isinstance(at, int):
            return self[at : at + 1][0]
        start, stop, _ = at.indices(len(self))
        found = self._system.page(self._within, self._words, start, max(0, stop - start))
        return [Member(self._system.url, one) for one in found]


class LargeListing:
    """All codes of a value set that is made of one large code system."""

    __slots__ = ("system", "within")

    def __init__(self, system: LargeSystem, within: Spans) -> None:
        self.system, self.within = system, within

    @property
    def members(self) -> list[Member]:
        """All codes at once; raises TooCostly for too many."""
        return [Member(self.system.url, one) for one in self.system.listed(self.within)]

    def with_code(self, code: str) -> list[Member]:
        """Return the members with a code."""
        found = self.system.get(code)
        here = found is not None and spans.has(self.within, found.position)
        return [Member(self.system.url, found)] if found is not None and here else []


def large_listing(
    systems: Shelf[CodeSystem], value_sets: Shelf[ValueSetIndex], value_set: ValueSetIndex
) -> LargeListing | None:
    """Return the listing of a value set; None where it takes looking at each code, or several code systems."""
    found = _Plan(systems, value_sets).of(value_set, ())
    return None if found is None else LargeListing(*found)


class _Plan:
    """Reckons with ranges of numbers instead of with codes."""

    def __init__(self, systems: Shelf[CodeSystem], value_sets: Shelf[ValueSetIndex]) -> None:
        self._systems, self._value_sets = systems, value_sets

    def of(self, value_set: ValueSetIndex, above: tuple[str, ...]) -> Part | None:
        if len(above) > _DEEPEST or (value_set.url and value_set.url in above):
            return None
        above = (*above, value_set.url)
        whole: Part | None = None
        for component in value_set.includes:
            part = self._part(component, above, listed=False)
            if part is None or (whole is not None and not whole[0].is_same(part[0])):
                return None
            whole = part if whole is None else (whole[0], spans.union(whole[1], part[1]))
        if whole is None:
            return None
        system, within = whole
        for component in value_set.excludes:
            if component.system and component.system.partition("|")[0] != system.url:
                continue
            part = self._part(component, above, listed=True)
            if part is None:
                return None
            within = spans.difference(within, part[1])
        return system, within if value_set.inactive else spans.difference(within, system.inactive)

    def _part(self, component: Component, above: tuple[str, ...], *, listed: bool) -> Part | None:
        parts: list[Part | None] = []
        if component.system:
            parts.append(self._own(component, listed=listed))
        for url in component.value_sets:
            nested = self._value_sets.get(url)
            parts.append(None if nested is None else self.of(nested, above))
        whole = parts[0] if parts else None
        for part in parts[1:]:
            if whole is None or part is None or not whole[0].is_same(part[0]):
                return None
            whole = whole[0], spans.intersection(whole[1], part[1])
        return whole

    def _own(self, component: Component, *, listed: bool) -> Part | None:
        system = self._systems.get(component.system)
        if not isinstance(system, LargeSystem) or not system.complete:
            return None
        if component.concepts is not None:  # in an include, their order and texts count: they are listed one by one
            found = system.get_all(list(component.concepts)).values() if listed else None
            return None if found is None else (system, spans.of_numbers(one.position for one in found))
        within = system.everything
        for rule in component.filters:
            selected = system.select(rule)
            if selected is None:
                return None
            within = spans.intersection(within, selected)
        return system, within
