r"""Splitting search values: `\,` `\|` `\$` and `\\` stand for themselves (R4 search.html#escaping)."""

import re

_ESCAPED = re.compile(r"\\([,|$\\])")
_STRAY = re.compile(r"^(?:[^\\]|\\[,|$\\])*+(\\.?)", re.DOTALL)


def split(text: str, separator: str) -> list[str]:
    """Split at every unescaped `separator`; escapes stay, so that the parts can be split further."""
    if separator not in text:
        return [text]
    if "\\" not in text:
        return text.split(separator)
    parts, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == separator:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    parts.append(text[start:])
    return parts


def stray_escape(text: str) -> str:
    """Return the first backslash that escapes nothing, with what follows it, "" when there is none."""
    found = _STRAY.search(text)
    return found[1] if found else ""


def unescape(text: str) -> str:
    """Resolve the four escapes; any other backslash is itself."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def escape(text: str) -> str:
    """Write a text so that it comes back whole as one value."""
    return re.sub(r"([,|$\\])", r"\\\1", text)
