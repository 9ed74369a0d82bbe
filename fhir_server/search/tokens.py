"""Values of token parameters → nodes (R4 search.html#token)."""

from fhir_server.search.beside import broader, media_type
from fhir_server.search.escaping import split, unescape
from fhir_server.search.parameters import SearchParameter
from fhir_server.search.query import NOTHING, Node, OfType, Or, TokenIs, TokenText
from fhir_server.search.refusals import bad_value, not_supported
from fhir_server.search.request import Expand, Relation
from fhir_server.search.text import contact, normalise

SPECIAL_VALUES = frozenset(
    {"http://terminology.hl7.org/CodeSystem/special-values", "http://hl7.org/fhir/special-values"}
)
"""The system that R4 gives booleans, as it is published and as search.html#token writes it."""
EXPECTED = r"code, system|code, |code or system|, where a | that belongs to a code is written \|"
_BOOLEANS = frozenset({"boolean", "flag:boolean", "flag:dateTime"})
_WITHOUT_SYSTEM = frozenset({"code", "string", "id", "uri", "url", "canonical", "markdown", "oid", "uuid"}) | _BOOLEANS


def system_and_value(name: str, text: str) -> tuple[str | None, str | None]:
    """Read `value` (any system), `|value` (none stated), `system|value` and `system|` (any value)."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) == 1:
        return None, parts[0]
    if len(parts) > 2 or parts == ["", ""]:  # noqa: PLR2004  # system and code
        raise bad_value("search-bad-token", name, text, EXPECTED)
    return parts[0], parts[1] or None


def token(parameter: SearchParameter, param: str, name: str, text: str) -> Node:
    """Read one token."""
    system, code = system_and_value(name, text)
    return token_is(parameter, param, name, system, code)


def token_is(parameter: SearchParameter, param: str, name: str, system: str | None, code: str | None) -> Node:
    """Ask for a code as the elements of the parameter keep it: implied systems are not stored, contacts are folded."""
    types = parameter.element_types
    if types and types <= _BOOLEANS and code not in ("true", "false", None):
        raise bad_value("search-bad-boolean", name, code or "", "true or false")
    if types == {"ContactPoint"} and code is not None:
        code = contact(_with_plus(code))
    if types == {"string"} and code is not None:  # R4: a token on a string is compared without case
        code = code.casefold()
    implied = parameter.systems | (SPECIAL_VALUES if types & _BOOLEANS else set())
    if system is None or system not in implied:
        return TokenIs(param, system, code)
    if types <= _WITHOUT_SYSTEM:
        return TokenIs(param, None, code)
    return Or((TokenIs(param, system, code), TokenIs(param, "", code)))


def _with_plus(number: str) -> str:
    """Restore the + of an international number, which a URL that does not write it %2B turns into a blank."""
    return f"+{number[1:]}" if number[:1] == " " and "1" <= number[1:2] <= "9" else number


def media_type_below(param: str, value: str) -> Node:
    """Read `:below` on a media type: it, whatever its parameters are (R4 search.html#mimetype)."""
    return TokenIs(broader(param), None, media_type(unescape(value)))


def text(param: str, value: str) -> Node:
    """Read `:text`."""
    normal = normalise(unescape(value))
    return TokenText(param, normal) if normal else NOTHING


def of_type(param: str, name: str, value: str) -> Node:
    """Read `:of-type`: `type system|type code|value`, all three."""
    parts = [unescape(part) for part in split(value, "|")]
    if len(parts) != 3 or not all(parts):  # noqa: PLR2004  # the three parts
        raise bad_value("search-bad-of-type", name, value, "type-system|type-code|identifier-value, all three")
    return OfType(param, *parts)


def expanded(
    parameter: SearchParameter, param: str, name: str, value: str, relation: Relation, expand: Expand | None
) -> Node:
    """Read `:in`, `:below` and `:above` by asking terminology for the codes that are meant."""
    if expand is None:
        raise not_supported(name, "no terminology is at hand for this search.")
    meant = unescape(value)
    if relation != "in" and system_and_value(name, value)[0] is None and len(parameter.systems) == 1:
        meant = f"{next(iter(parameter.systems))}|{meant}"
    codes = expand(relation, meant)
    return Or(tuple(token_is(parameter, param, name, system, code) for system, code in codes))
