"""What the server says itself in what it stores: sentences of texts.json and displays of codes, in four languages.

The value of an element is in the language of the deployment (setting `language`). What is no code carries the same in every
language that it is known in, with the core extension `translation` on the element, so that each reader's software can
choose (R4 extension-translation.html). A code needs none of that: whoever reads it looks its display up.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from fhir_server.model.resource import Resource
from fhir_server.workflow.codes import CANONICAL, TASK_PARAMETER
from fhir_server.workflow.links import items

LANGUAGES: Final = ("nl", "fr", "en", "de")
"""The languages that each sentence is known in."""
TRANSLATION: Final = "http://hl7.org/fhir/StructureDefinition/translation"
Translations = Mapping[str, str]
"""Language to text."""


class Wording:
    """Says things in the language of a deployment. Immutable. Without code systems it knows no displays."""

    __slots__ = ("_displays", "language")

    def __init__(self, language: str = "en", code_systems: Iterable[Resource] = ()) -> None:
        """Take the displays of the project's own ones among the code systems, in each language of LANGUAGES."""
        self.language = language
        self._displays: dict[tuple[str, str], Translations] = {}
        for system in code_systems:
            if system["url"].startswith(f"{CANONICAL}/"):
                own = system.get("language", "en")
                for concept in _concepts(system):
                    self._displays[system["url"], concept["code"]] = _languages(concept, own)

    def display(self, system: str, code: str) -> str:
        """Return the display of a code in the language of the deployment, "" for a code that is not known here."""
        return self._said(self._displays.get((system, code), {}))

    def coding(self, system: str, code: str) -> Resource:
        """Return a Coding, with its display when it is known."""
        display = self.display(system, code)
        return {"system": system, "code": code, **({"display": display} if display else {})}

    def concept(self, system: str, code: str) -> Resource:
        """Return a CodeableConcept of one code."""
        return {"coding": [self.coding(system, code)]}

    def kind(self, code: str) -> Resource:
        """Return the type of a Task.input or Task.output: a code of CodeSystem/task-parameter, and its display as text."""
        display = self.display(TASK_PARAMETER, code)
        coded: Resource = {"coding": [{"system": TASK_PARAMETER, "code": code}]}
        return {**coded, "text": display} if display else coded

    def sentence(self, element: str, name: str) -> Resource:
        """Return an element (`description`) with a sentence of texts.json, and its translations. Raises KeyError."""
        return self.element(element, sentences()[name])

    def element(self, element: str, translations: Translations, otherwise: str = "") -> Resource:
        """Return an element of type string, to be merged into what has it: its value and its translations.

        The value is in the language of the deployment, or `otherwise` where it is not translated into that.
        """
        value = translations.get(self.language, otherwise)
        if not value:
            return {}
        if not translations:
            return {element: value}
        return {element: value, f"_{element}": {"extension": [_translation(*one) for one in translations.items()]}}

    def translations(self, coding: Resource) -> Translations:
        """Return what a Coding of ours is called in each language; nothing when its display is of somebody's own making."""
        known = self._displays.get((coding.get("system", ""), coding.get("code", "")), {})
        return known if coding.get("display") in (None, *known.values()) else {}

    def _said(self, translations: Translations) -> str:
        return translations.get(self.language) or translations.get("en", "")


PLAIN: Final = Wording()
"""English sentences, and no displays."""


def in_language(element: Resource, name: str, language: str) -> str:
    """Return a text as `Wording` composes it in one of its languages, "" when there is none.

    Somebody who changes the value and leaves the old translations as they are is believed: the value stands.
    """
    value = str(element.get(name, ""))
    found = translations_of(element, name)
    return found.get(language, value) if value in found.values() else value


def translations_of(element: Resource, name: str) -> dict[str, str]:
    """Return the translations that an element of type string carries, by the language without its region."""
    found: dict[str, str] = {}
    for one in items((element.get(f"_{name}") or {}).get("extension")):
        if one.get("url") == TRANSLATION:
            parts = {part.get("url"): part for part in items(one.get("extension"))}
            tag = str(parts.get("lang", {}).get("valueCode", "")).partition("-")[0]
            content = parts.get("content", {})
            text = content.get("valueString", content.get("valueMarkdown"))
            if tag and isinstance(text, str):
                found[tag] = text
    return found


@cache
def sentences() -> Mapping[str, Translations]:
    """Return the sentences that the server composes, by name."""
    found: dict[str, dict[str, str]] = json.loads(files(__package__).joinpath("texts.json").read_bytes())
    return found


def _translation(language: str, text: str) -> Resource:
    parts = [{"url": "lang", "valueCode": language}, {"url": "content", "valueString": text}]
    return {"url": TRANSLATION, "extension": parts}


def _concepts(parent: Mapping[str, Any]) -> Iterator[Resource]:
    for concept in items(parent.get("concept")):
        yield concept
        yield from _concepts(concept)


def _languages(concept: Resource, own: str) -> Translations:
    said = {own: concept["display"]} if "display" in concept else {}
    for one in items(concept.get("designation")):
        if "use" not in one and one.get("language") in LANGUAGES:
            said.setdefault(one["language"], one["value"])
    return {language: said[language] for language in LANGUAGES if language in said}
