"""`Unequal`: patterns of the keys that hold a value which is known to be none of those that are asked."""

from collections.abc import Iterable, Iterator

from fhir_server.search import query as q
from fhir_server.search.query import TextMode
from fhir_server.store.mongo.layout import UNIT
from fhir_server.store.mongo.pieces import literal

_END = r"(?![\s\S])"
_SOME = r"[\s\S]"


def keys(node: q.Unequal) -> Iterator[tuple[str, str]]:
    """Yield (kind, pattern of what follows the head of such a key)."""
    tokens = [one for one in node.values if isinstance(one, q.TokenIs)]
    if tokens:
        yield "t", _codes((one.system, one.code) for one in tokens)
        implied = [one.code for one in tokens if not one.system]
        yield "k", _none_of(_SOME if code is None else literal(code) + _END for code in implied) + _SOME
    texts = [one for one in node.values if isinstance(one, q.StringIs)]
    if texts:
        yield "s", _none_of(_text(one) for one in texts)
    uris = [one.value for one in node.values if isinstance(one, q.UriIs)]
    if uris:
        yield "u", _none_of(found for uri in uris for found in _same(uri))
    identifiers = [one for one in node.values if isinstance(one, q.RefersToIdentifier)]
    if identifiers:
        yield from _identifiers(identifiers)
    yield from _references([one for one in node.values if isinstance(one, q.RefersTo)])


def _none_of(patterns: Iterable[str]) -> str:
    listed = "|".join(patterns)
    return f"(?!{listed})" if listed else ""


def _codes(asked: Iterable[tuple[str | None, str | None]]) -> str:
    """System, blank and some code, and none of those that are asked."""
    others = []
    for system, code in asked:
        before = "[^ ]* " if system is None else literal(f"{system} ")
        others.append(before + ("" if code is None else literal(code) + _END))
    return f"{_none_of(others)}[^ ]* {_SOME}"


def _text(asked: q.StringIs) -> str:
    if asked.mode is TextMode.WHOLE:
        return literal(asked.value + UNIT)
    return rf"[^{UNIT}]*{UNIT}{literal(asked.value)}{_END}"


def _same(uri: str) -> Iterator[str]:
    """Yield patterns of a URI, and of what is the same with or without a version."""
    yield literal(f"{uri}|")
    for place in (*(place for place, char in enumerate(uri) if char == "|"), len(uri)):
        yield literal(uri[:place]) + _END


def _identifiers(asked: list[q.RefersToIdentifier]) -> Iterator[tuple[str, str]]:
    """References that may be to every type that is asked, and are known by another identifier."""
    wanted = _codes((one.system, one.value) for one in asked)
    types = {one.target_type for one in asked if one.target_type}
    if not types:
        yield "it", wanted
    for kind in ("", *types) if len(types) == 1 else ("",):
        yield "itt", literal(kind + UNIT) + wanted


def _references(asked: list[q.RefersTo]) -> Iterator[tuple[str, str]]:
    """Other targets, and other versions of a target of which nothing but versions is asked."""
    targets = list(dict.fromkeys(one.target for one in asked))
    if targets:
        yield "r", _none_of(literal(target) + _END for target in targets)
    for target in targets:
        versions = [one.version for one in asked if one.target == target]
        if "" not in versions:
            yield "v", literal(f"{target} ") + _none_of(literal(one) + _END for one in versions)
