"""Texts of issues in Dutch, French and English, from the catalogues in messages/.

A text is made once, in English, and remembers how: the name of its template and the values in it, which may be such
texts themselves. So it costs nothing to say the same in another language, and only where somebody asks for it.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from fhir_server.model.issue import Issue
from fhir_server.validation.phrases import rephrased

LANGUAGES: Final = ("en", "nl", "fr")
"""The languages that texts can be given in; the first where none of them is wanted."""


class Said(str):
    """An English text that can be said again in another language."""

    __slots__ = ("name", "values")
    name: str
    values: Mapping[str, Any]

    def translated(self, language: str) -> str:
        """Return the text in a language; in English where the catalogue of that language lacks it."""
        template = catalogue(language).get(self.name)
        if template is None:
            return str(self)
        return template.format_map(
            {
                name: value.translated(language) if isinstance(value, Said) else value
                for name, value in self.values.items()
            }
        )


def say(name: str, /, **values: Any) -> Said:
    """Make the text of a template. Raises KeyError for a name that the English catalogue lacks."""
    return _said(catalogue("en")[name].format_map(values), name, values)


def rule_text(key: str, human: str) -> Said:
    """Make the text of an invariant: the sentence of its definition, or that of the catalogue of a language."""
    return say("invariant", key=key, human=_said(human, f"rule.{key}", {}))


def _said(text: str, name: str, values: Mapping[str, Any]) -> Said:
    said = Said(text)
    said.name, said.values = name, values
    return said


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Return the templates of a language by name."""
    raw = files(__package__).joinpath(f"messages/{language}.json").read_bytes()
    return MappingProxyType(json.loads(raw))


def choose_language(accept_language: str) -> str:
    """Return the best of LANGUAGES for an Accept-Language header (RFC 9110, 12.5.4)."""
    wanted: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept_language[:500].split(",")):
        tag, _, parameter = part.partition(";")
        primary = tag.strip().lower().partition("-")[0]
        quality = _quality(parameter)
        if primary in LANGUAGES and quality > 0:
            wanted.append((-quality, place, primary))
    return min(wanted)[2] if wanted else LANGUAGES[0]


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0


def translated(issue: Issue, language: str) -> Issue:
    """Return the issue with its text in a language; as it is where its text is known in English only."""
    text = issue.diagnostics
    if language == LANGUAGES[0]:
        return issue
    other = text.translated(language) if isinstance(text, Said) else rephrased(issue.key, text, language)
    return issue if other is None else issue._replace(diagnostics=other)


def outcome_in(issues: Iterable[Issue], accept_language: str) -> tuple[tuple[Issue, ...], str]:
    """Return the issues in the best language for an Accept-Language header, and the Content-Language that they then have.

    It names English too where some text is known in English only (RFC 9110, 8.5: a list when there are several).
    """
    given = tuple(issues)
    language = choose_language(accept_language) if accept_language else LANGUAGES[0]
    if language == LANGUAGES[0]:
        return given, language
    told = tuple(translated(issue, language) for issue in given)
    kept = [one.diagnostics == other.diagnostics for one, other in zip(given, told, strict=True)]
    return told, LANGUAGES[0] if all(kept) else f"{language}, {LANGUAGES[0]}" if any(kept) else language
