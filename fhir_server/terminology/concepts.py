"""A CodeSystem as an index: concepts by code, hierarchy both ways, designations by language (R4 codesystem.html)."""

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fhir_server.model.resource import Resource

_COMPARABLE = ("valueCode", "valueString", "valueBoolean", "valueInteger", "valueDecimal", "valueDateTime")


class Concept(NamedTuple):
    """One concept. `designations` maps a language tag (`nl`, `nl-BE`) to text; `properties` a property code to values.

    `position` counts concepts in the order of the CodeSystem, parents before children.
    """

    code: str
    display: str
    definition: str
    designations: Mapping[str, str]
    parents: tuple[str, ...]
    properties: Mapping[str, tuple[Any, ...]]
    position: int

    @property
    def inactive(self) -> bool:
        """Whether the concept may no longer be used (properties `inactive` and `status` of R4)."""
        return True in self.properties.get("inactive", ()) or "retired" in self.properties.get("status", ())

    @property
    def abstract(self) -> bool:
        """Whether the concept only groups others (property `notSelectable` of R4)."""
        return True in self.properties.get("notSelectable", ())

    def text(self, languages: str) -> str:
        """Return the display in the first language of a comma list that has one: `nl-BE` falls back to `nl`, then base."""
        for wanted in languages.split(","):
            tag = wanted.partition(";")[0].strip()
            while tag:
                if tag in self.designations:
                    return self.designations[tag]
                tag = tag.rpartition("-")[0]
        return self.display

    def matches(self, folded: str) -> bool:
        """Whether each word of a folded filter text occurs in the code, the display or a designation."""
        texts = [fold(text) for text in (self.code, self.display, *self.designations.values())]
        return any(all(word in text for word in folded.split()) for text in texts)


class CodeSystemIndex:
    """All concepts of one CodeSystem, in its order. Immutable after construction."""

    __slots__ = (
        "_case_sensitive",
        "_children",
        "_concepts",
        "_folded",
        "complete",
        "name",
        "supplements",
        "url",
        "version",
    )

    def __init__(self, resource: Resource) -> None:
        """Index a CodeSystem resource; its `concept` tree and its `parent`/`child` properties both make hierarchy."""
        self.url: str = resource["url"]
        self.version: str = resource.get("version", "")
        self.name: str = str(resource.get("title") or resource.get("name") or self.url)
        self.complete: bool = resource.get("content") == "complete"
        self._case_sensitive: bool = resource.get("caseSensitive", True) is not False
        concepts: dict[str, Concept] = {}
        _flatten(resource.get("concept", ()), (), resource.get("language", ""), concepts)
        self._concepts = _with_listed_parents(concepts)
        self._folded = {} if self._case_sensitive else {code.casefold(): code for code in concepts}
        children: dict[str, list[str]] = {}
        for concept in self._concepts.values():
            for parent in concept.parents:
                children.setdefault(parent, []).append(concept.code)
        self._children = {parent: tuple(codes) for parent, codes in children.items()}

    def get(self, code: str) -> Concept | None:
        """Return the concept, or None; without regard to case where the code system says so."""
        found = self._concepts.get(code)
        return found or self._concepts.get(self._folded.get(code.casefold(), ""))

    def __iter__(self) -> Iterator[Concept]:
        return iter(self._concepts.values())

    def __len__(self) -> int:
        return len(self._concepts)

    def children(self, code: str) -> tuple[str, ...]:
        """Return the codes directly below."""
        return self._children.get(code, ())

    def descendants(self, code: str) -> frozenset[str]:
        """Return every code below, without the code itself."""
        return self._closure(code, self.children)

    def ancestors(self, code: str) -> frozenset[str]:
        """Return every code above, without the code itself."""
        return self._closure(code, lambda below: self._concepts[below].parents if below in self._concepts else ())

    @staticmethod
    def _closure(code: str, step: Any) -> frozenset[str]:
        found: set[str] = set()
        waiting = [code]
        while waiting:
            new = [other for other in step(waiting.pop()) if other not in found]
            found.update(new)
            waiting.extend(new)
        return frozenset(found - {code})


def fold(text: str) -> str:
    """Return text without case and accents, for filters that a person types."""
    return "".join(char for char in unicodedata.normalize("NFD", text.casefold()) if not unicodedata.combining(char))


def _flatten(tree: Any, parents: tuple[str, ...], language: str, into: dict[str, Concept]) -> None:
    for element in tree:
        code = element["code"]
        display = element.get("display", code)
        designations = {one["language"]: one["value"] for one in element.get("designation", ()) if "language" in one}
        if language:
            designations.setdefault(language, display)
        into[code] = Concept(
            code, display, element.get("definition", ""), designations, parents, _properties(element), len(into)
        )
        _flatten(element.get("concept", ()), (code,), language, into)


def _properties(element: Resource) -> Mapping[str, tuple[Any, ...]]:
    properties: dict[str, tuple[Any, ...]] = {}
    for one in element.get("property", ()):
        values = [one[name] for name in _COMPARABLE if name in one]
        if "valueCoding" in one:
            values.append(one["valueCoding"].get("code"))
        properties[one["code"]] = (*properties.get(one["code"], ()), *values)
    return properties


def _with_listed_parents(concepts: dict[str, Concept]) -> dict[str, Concept]:
    """Add the parents that the properties `parent` and `child` name (a polyhierarchy cannot be nested)."""
    parents = {code: [*concept.parents, *concept.properties.get("parent", ())] for code, concept in concepts.items()}
    for code, concept in concepts.items():
        for child in concept.properties.get("child", ()):
            if child in parents:
                parents[child].append(code)
    return {code: concept._replace(parents=tuple(dict.fromkeys(parents[code]))) for code, concept in concepts.items()}
