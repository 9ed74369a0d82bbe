"""Text → tokens, after the lexical rules of FHIRPath N1 (http://hl7.org/fhirpath/N1/grammar.html)."""

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from fhir_server.fhirpath.errors import FhirPathError

TokenKind = Literal["name", "quoted", "string", "number", "moment", "variable", "special", "symbol", "end"]

MAX_TEXT: Final = 20_000
"""Characters of one expression; the longest of R4 has some 2,000."""

_TOKENS: Final = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/)
      |(?P<moment>@(?:T\d{2}(?::\d{2}(?::\d{2}(?:\.\d+)?)?)?
          |\d{4}(?:-\d{2}(?:-\d{2})?)?(?:T(?:\d{2}(?::\d{2}(?::\d{2}(?:\.\d+)?)?)?(?:Z|[+-]\d{2}:\d{2})?)?)?))
      |(?P<number>\d+(?:\.\d+)?)
      |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
      |(?P<quoted>`(?:[^`\\]|\\.)*`)
      |(?P<string>'(?:[^'\\]|\\.)*')
      |(?P<variable>%(?:[A-Za-z_][A-Za-z0-9_-]*|`(?:[^`\\]|\\.)*`|'(?:[^'\\]|\\.)*'))
      |(?P<special>\$(?:this|index|total)\b)
      |(?P<symbol><=|>=|!=|!~|[()\[\]{}.,+\-*/&|=~<>])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE: Final = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_PLAIN_ESCAPES: Final = {
    "'": "'", '"': '"', "`": "`", "\\": "\\", "/": "/", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip


class Token(NamedTuple):
    """One token; `text` is unquoted and unescaped for names and strings, `position` counts characters from 0."""

    kind: TokenKind
    text: str
    position: int


def tokenize(text: str) -> tuple[Token, ...]:
    """Split an expression into tokens, closed by an `end` token. Raises FhirPathError at the first stray character."""
    if len(text) > MAX_TEXT:
        raise FhirPathError(f"The expression has {len(text)} characters; at most {MAX_TEXT} are taken. Split it.")
    return (*_tokens(text), Token("end", "", len(text)))


def _tokens(text: str) -> Iterator[Token]:
    position = 0
    while position < len(text):
        match = _TOKENS.match(text, position)
        if match is None or (text.startswith("/*", position) and match.lastgroup != "skip"):
            raise FhirPathError(
                f"FHIRPath {text!r}: at character {position + 1} {text[position : position + 12]!r} begins no token. "
                "Check quotes, comments and stray characters."
            )
        kind = match.lastgroup
        if kind != "skip":
            yield _token(kind, match[0], position, text)
        position = match.end()


def _token(kind: str | None, found: str, position: int, text: str) -> Token:
    if kind == "name":
        return Token("name", found, position)
    if kind == "quoted":
        return Token("quoted", _unescape(found[1:-1], text), position)
    if kind == "string":
        return Token("string", _unescape(found[1:-1], text), position)
    if kind == "variable":
        name = _unescape(found[2:-1], text) if found[1] in "`'" else found[1:]
        return Token("variable", name, position)
    if kind == "special":
        return Token("special", found, position)
    if kind == "number":
        return Token("number", found, position)
    return Token("moment" if kind == "moment" else "symbol", found, position)


def _unescape(body: str, text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        escape = match[1]
        if len(escape) > 1:
            return chr(int(escape[1:], 16))
        if escape not in _PLAIN_ESCAPES:
            raise FhirPathError(
                f"FHIRPath {text!r}: the escape {match[0]!r} does not exist. Double the backslash to mean one."
            )
        return _PLAIN_ESCAPES[escape]

    return _ESCAPE.sub(plain, body) if "\\" in body else body
