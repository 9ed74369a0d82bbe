"""A CodeSystem as an index: concepts by code, hierarchy both ways, designations by language (R4 codesystem.html)."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fhir_server.model.resource import Resource

_AS_DISPLAY = "display"
"""Code of the designation use "display" (http://terminology.hl7.org/CodeSystem/designation-usage)."""
_VALUES = ("valueCode", "valueString", "valueBoolean", "valueInteger", "valueDecimal", "valueDateTime", "valueCoding")


class Designation(NamedTuple):
    """Another text of a concept: `language` is a BCP 47 tag or "", `use` a Coding that says what the text is for."""

    language: str
    value: str
    use: Mapping[str, Any] | None = None


class Concept(NamedTuple):
    """One concept. `properties` maps a property code to values: text, number, boolean, or a Coding.

    `position` counts concepts in the order of the CodeSystem, parents before children.
    """

    code: str
    display: str
    definition: str
    designations: tuple[Designation, ...]
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
        if not self.designations or not languages:
            return self.display
        for wanted in languages.casefold().split(","):
            tag = wanted.partition(";")[0].strip()
            while tag:
                found = [one for one in self.designations if one.language.casefold() == tag]
                if found:
                    return next(
                        (one for one in found if one.use is None or one.use.get("code") == _AS_DISPLAY), found[0]
                    ).value
                tag = tag.rpartition("-")[0]
        return self.display

    def texts(self) -> Iterator[str]:
        """Yield every text that names the concept."""
        yield self.display
        for one in self.designations:
            yield one.value

    def folded(self) -> str:
        """Return the code and every text, folded, a line each: what a filter is held against."""
        return fold("\n".join((self.code, *self.texts())))

    def matches(self, folded: str) -> bool:
        """Whether each word of a folded filter text occurs in the code, the display or a designation."""
        return line_has(self.folded(), folded.split())


class CodeSystemIndex:
    """All concepts of one CodeSystem, in its order. Immutable after construction."""

    __slots__ = (
        "_case_sensitive",
        "_children",
        "_concepts",
        "_folded",
        "complete",
        "name",
        "property_types",
        "url",
        "version",
    )

    def __init__(self, resource: Resource) -> None:
        """Index a CodeSystem resource; its `concept` tree and its `parent`/`child` properties both make hierarchy."""
        self.url: str = resource.get("url", "")
        self.version: str = resource.get("version", "")
        self.property_types: Mapping[str, str] = {one["code"]: one["type"] for one in resource.get("property", ())}
        self.name: str = str(resource.get("title") or resource.get("name") or self.url)
        self.complete: bool = resource.get("content") == "complete"
        self._case_sensitive: bool = resource.get("caseSensitive", True) is not False
        concepts: dict[str, Concept] = {}
        _flatten(resource.get("concept", ()), resource.get("language", ""), concepts)
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

    def is_below(self, code: str, above: str) -> bool:
        """Tell whether `above` is somewhere above the code."""
        return above in self.ancestors(code)

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


def line_has(lines: str, words: Sequence[str]) -> bool:
    """Tell whether one of the lines holds each of the words."""
    if not all(word in lines for word in words):
        return False
    return len(words) == 1 or any(all(word in line for word in words) for line in lines.split("\n"))


def fold(text: str) -> str:
    """Return text without case and accents, for filters that a person types."""
    if text.isascii():
        return text.casefold()
    return "".join(char for char in unicodedata.normalize("NFD", text.casefold()) if not unicodedata.combining(char))


def designations_of(element: Resource) -> tuple[Designation, ...]:
    """Read the designations of a concept of a CodeSystem or ValueSet."""
    return tuple(
        Designation(one.get("language", ""), one["value"], one.get("use")) for one in element.get("designation", ())
    )


def _flatten(tree: Any, language: str, into: dict[str, Concept]) -> None:
    """Add a tree of concepts, parents before children; its depth is bounded by memory only, so it is not recursive."""
    waiting: list[tuple[Any, tuple[str, ...]]] = [(element, ()) for element in reversed(tree)]
    while waiting:
        element, parents = waiting.pop()
        code = element["code"]
        display = element.get("display", code)
        designations = designations_of(element)
        if language and all(one.language != language for one in designations):
            designations = (*designations, Designation(language, display))
        into[code] = Concept(
            code, display, element.get("definition", ""), designations, parents, _properties(element), len(into)
        )
        waiting.extend((child, (code,)) for child in reversed(element.get("concept", ())))


def _properties(element: Resource) -> Mapping[str, tuple[Any, ...]]:
    properties: dict[str, tuple[Any, ...]] = {}
    for one in element.get("property", ()):
        values = [one[name] for name in _VALUES if name in one]
        properties[one["code"]] = (*properties.get(one["code"], ()), *values)
    return properties


def _with_listed_parents(concepts: dict[str, Concept]) -> dict[str, Concept]:
    """Add the parents that the properties `parent` and `child` name (a polyhierarchy cannot be nested)."""
    parents = {code: [*concept.parents, *concept.properties.get("parent", ())] for code, concept in concepts.items()}
    for code, concept in concepts.items():
        for child in concept.properties.get("child", ()):
            if child in parents:
                parents[child].append(code)
    for code, found in parents.items():
        distinct = tuple(dict.fromkeys(found))
        if distinct != concepts[code].parents:
            concepts[code] = concepts[code]._replace(parents=distinct)
    return concepts
