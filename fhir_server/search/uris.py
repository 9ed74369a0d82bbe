"""Values of uri parameters → nodes (R4 search.html#uri)."""

from fhir_server.model.reference import parse_reference
from fhir_server.search.beside import broader
from fhir_server.search.escaping import split, unescape
from fhir_server.search.operands import Operand
from fhir_server.search.parameters import SearchParameter
from fhir_server.search.query import And, Node, Or, TextMode, TokenIs, UriIs
from fhir_server.search.scope import Scope

CANONICAL_URL = "url"
"""The code of the parameters that hold the canonical URL of a resource; `version` then holds its version."""


def uri(scope: Scope, parameter: SearchParameter, operand: Operand, mode: TextMode) -> Node:
    """Read a URI; `url|version` where it is a canonical, and `Type/id` of this server for the canonicals of others."""
    whole = UriIs(operand.param, mode, unescape(operand.text))
    if "canonical" in parameter.element_types:
        return _canonical(scope, operand, whole)
    parts = [unescape(part) for part in split(operand.text, "|")]
    if len(parts) != 2 or mode is not TextMode.EXACT or parameter.code != CANONICAL_URL:  # noqa: PLR2004  # url and version
        return whole
    url, version = parts
    if not version or "version" not in scope.registry.of(parameter.bases[0]):
        return whole
    return And((UriIs(operand.param, mode, url), TokenIs("version", None, version.casefold())))


def _canonical(scope: Scope, operand: Operand, whole: UriIs) -> Node:
    if whole.mode is TextMode.BELOW and "|" in whole.value:
        return UriIs(broader(operand.param), TextMode.EXACT, whole.value)
    if whole.mode is TextMode.EXACT and scope.own_base and parse_reference(whole.value).kind == "relative":
        return Or((whole, UriIs(operand.param, whole.mode, f"{scope.own_base}/{whole.value}")))
    return whole
