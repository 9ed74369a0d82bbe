"""Texts of the workflow's rules in Dutch and French, found by their English.

The rules make their texts as plain English sentences. messages/phrases.json has each of these sentences with holes
(`{status}`) by the key of its rule, in every language: a text that fits a sentence is said with that sentence in another
language. What a hole held is kept as it is, but `{…_part}` is a phrase itself, `{…_list}` names joined by `and` or `or`,
and `{who}` and `{…_who}` the actors of a Task. A text that fits nothing stays English.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

LONGEST: Final = 2000
"""A longer text quotes so much of the resource that it is not searched for phrases."""
_HOLE: Final = re.compile(r"\{(\w+)\}")
_PARTS: Final = ""
"""The key in the file under which the phrases stand that are part of others."""
_ALONE: Final = "list"
"""Likewise for what stands in the place of a list."""


class _Phrase(NamedTuple):
    fits: re.Pattern[str]
    said: Mapping[str, str]


def rephrased(key: str, text: str, language: str) -> str | None:
    """Return the text of a rule in a language, None where its sentence is not known in it."""
    return _rephrased(key, text, language) if len(text) <= LONGEST else None


def _rephrased(key: str, text: str, language: str) -> str | None:
    for phrase in _phrases().get(key, ()):
        found = phrase.fits.fullmatch(text)
        if found is not None and language in phrase.said:
            holes = {name: _hole(name, value, language) for name, value in found.groupdict().items()}
            return phrase.said[language].format_map(holes)
    return None


def _hole(name: str, value: str, language: str) -> str:
    kind = name.rpartition("_")[2]
    if kind == "part":
        return _rephrased(_PARTS, value, language) or value
    if kind not in ("list", "who"):
        return value
    words = _content()["words"][language]
    known = words if kind == "who" else {word: words[word] for word in ("and", "or")}
    return _rephrased(_ALONE, value, language) or _each_word(value, known)


def _each_word(value: str, known: Mapping[str, str]) -> str:
    return re.sub(r"(?<![\w-])[a-z]+(?![\w-])", lambda word: known.get(word[0], word[0]), value)


@cache
def _phrases() -> Mapping[str, tuple[_Phrase, ...]]:
    return {
        key: tuple(_Phrase(_pattern(said["en"]), said) for said in listed)
        for key, listed in _content()["phrases"].items()
    }


@cache
def _content() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(files(__package__).joinpath("messages/phrases.json").read_bytes())
    return found


def _pattern(sentence: str) -> re.Pattern[str]:
    """Return what a text of the sentence looks like; a hole that occurs again holds the same again."""
    made, end, seen = "", 0, set[str]()
    for hole in _HOLE.finditer(sentence):
        name = hole[1]
        made += re.escape(sentence[end : hole.start()]) + (f"(?P={name})" if name in seen else f"(?P<{name}>.+?)")
        seen.add(name)
        end = hole.end()
    return re.compile(made + re.escape(sentence[end:]), re.DOTALL)
