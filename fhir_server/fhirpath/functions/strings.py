"""Strings (FHIRPath N1, section 5.6)."""

from collections.abc import Callable
from typing import Any, Final

from fhir_server.fhirpath.evaluation import Evaluation, Nodes, single
from fhir_server.fhirpath.functions.function import Function, Run, Site, on_input, with_arguments
from fhir_server.fhirpath.functions.subsetting import whole_number
from fhir_server.fhirpath.operators import result
from fhir_server.fhirpath.regex import Regex, compile_regex
from fhir_server.fhirpath.tree import Constant


def text_of(evaluation: Evaluation, nodes: Nodes, what: str) -> str | None:
    """Return the one text of an input or argument, or None. Raises FhirPathError on anything that is no text."""
    node = single(evaluation, nodes, what)
    if node is None or node.value is None:
        return None
    value = node.value
    if isinstance(value, str):
        return value
    if isinstance(value, (dict, bool)):
        raise evaluation.refuse(f"{what} takes a string; use toString() on anything else.")
    return str(value)


def _on_text(name: str, compute: Callable[[str], Any]) -> Function:
    def run(evaluation: Evaluation, nodes: Nodes) -> Nodes:
        text = text_of(evaluation, nodes, f"{name}()")
        return [] if text is None else result(compute(text))

    return on_input(run)


def _with_text(name: str, compute: Callable[[str, str], Any]) -> Function:
    def run(evaluation: Evaluation, nodes: Nodes, argument: Nodes) -> Nodes:
        text, other = text_of(evaluation, nodes, f"{name}()"), text_of(evaluation, argument, f"{name}()")
        return [] if text is None or other is None else result(compute(text, other))

    return with_arguments(1, 1, run)


def _substring(evaluation: Evaluation, nodes: Nodes, start: Nodes, length: Nodes | None = None) -> Nodes:
    text, first = text_of(evaluation, nodes, "substring()"), whole_number(evaluation, start, "substring()")
    if text is None or first is None or not 0 <= first < len(text):
        return []
    count = None if length is None else whole_number(evaluation, length, "substring()")
    return result(text[first:] if count is None else text[first : first + max(count, 0)])


def _replace(evaluation: Evaluation, nodes: Nodes, pattern: Nodes, substitution: Nodes) -> Nodes:
    text = text_of(evaluation, nodes, "replace()")
    old, new = text_of(evaluation, pattern, "replace()"), text_of(evaluation, substitution, "replace()")
    if text is None or old is None or new is None:
        return []
    evaluation.spend((len(text) + text.count(old) * len(new)) // 100)  # before it is made: it may be beyond any memory
    return result(text.replace(old, new))


def _pattern(site: Site) -> Callable[[Evaluation, Nodes], Regex | None]:
    """Compile the pattern with the expression where it is a literal, else when it is known."""
    tree = site.trees[0]
    if isinstance(tree, Constant) and isinstance(tree.value, str):
        regex = compile_regex(tree.value)
        return lambda _evaluation, _focus: regex

    def late(evaluation: Evaluation, focus: Nodes) -> Regex | None:
        pattern = text_of(evaluation, site.arguments[0](evaluation, focus), f"{site.name}()")
        return None if pattern is None else compile_regex(pattern)

    return late


def _matches(site: Site) -> Run:
    pattern = _pattern(site)

    def run(evaluation: Evaluation, nodes: Nodes, focus: Nodes) -> Nodes:
        text, regex = text_of(evaluation, nodes, "matches()"), pattern(evaluation, focus)
        return [] if text is None or regex is None else result(regex.found_in(text))

    return run


def _replace_matches(site: Site) -> Run:
    pattern = _pattern(site)

    def run(evaluation: Evaluation, nodes: Nodes, focus: Nodes) -> Nodes:
        text, regex = text_of(evaluation, nodes, "replaceMatches()"), pattern(evaluation, focus)
        new = text_of(evaluation, site.arguments[1](evaluation, focus), "replaceMatches()")
        if text is None or regex is None or new is None:
            return []
        replaced = regex.replaced(text, new)
        evaluation.spend(len(replaced) // 100)
        return result(replaced)

    return run


def _to_chars(evaluation: Evaluation, nodes: Nodes) -> Nodes:
    text = text_of(evaluation, nodes, "toChars()")
    evaluation.spend(len(text or ""))
    return [item for letter in text or "" for item in result(letter)]


STRINGS: Final[dict[str, Function]] = {
    "indexOf": _with_text("indexOf", lambda text, other: text.find(other)),
    "startsWith": _with_text("startsWith", lambda text, other: text.startswith(other)),
    "endsWith": _with_text("endsWith", lambda text, other: text.endswith(other)),
    "contains": _with_text("contains", lambda text, other: other in text),
    "upper": _on_text("upper", str.upper),
    "lower": _on_text("lower", str.lower),
    "length": _on_text("length", len),
    "toChars": on_input(_to_chars),
    "substring": with_arguments(1, 2, _substring),
    "replace": with_arguments(2, 2, _replace),
    "matches": Function(1, 1, _matches),
    "replaceMatches": Function(2, 2, _replace_matches),
}
