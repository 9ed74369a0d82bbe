"""Which media type a client sends and wants, and what it prefers (R4 http.html#mime-type, #ops)."""

from typing import Final, Literal, NamedTuple, cast

from fhir_server.interactions.patch import FHIR_JSON, JSON_PATCH
from fhir_server.interactions.request import Parameters, ReturnPreference
from fhir_server.model.errors import Malformed, NotAcceptable, UnsupportedMediaType

FORM: Final = "application/x-www-form-urlencoded"
_JSON_TYPES: Final = frozenset({FHIR_JSON, "application/json", "text/json", "application/json+fhir"})
_WILDCARDS: Final = frozenset({"*/*", "application/*"})
_FORMATS: Final = frozenset({"json", "application/fhir+json", "application/json", "text/json"})
_RETURNS: Final = ("minimal", "representation", "OperationOutcome")


class Preferences(NamedTuple):
    """What the `Prefer` header asks."""

    returns: ReturnPreference | None = None
    strict: bool = True


NO_PREFERENCES: Final = Preferences()


def check_accept(accept: str) -> None:
    """Raise NotAcceptable unless the client takes JSON; an absent header takes anything."""
    if not accept:
        return
    for part in accept.split(","):
        media_type, _, parameters = part.partition(";")
        media_type = media_type.strip().lower()
        refused = "".join(parameters.split()).endswith(("q=0", "q=0.0"))
        if not refused and (media_type in _JSON_TYPES or media_type in _WILDCARDS):
            _check_fhir_version(parameters)
            return
    raise NotAcceptable(f"Accept is {accept[:200]!r}; this server answers in {FHIR_JSON}.")


def split_format(query: Parameters) -> tuple[Parameters, str, bool]:
    """Take `_format` and `_pretty` out of a query; return the rest, the format ("" when absent) and whether to indent."""
    asked, pretty, rest = "", False, []
    for name, value in query:
        if name == "_format":
            asked = value.replace(" ", "+")  # a '+' that was not escaped arrives as a space
        elif name == "_pretty":
            if value not in ("true", "false"):
                raise Malformed(f"_pretty={value!r} is neither true nor false.", key="bad-pretty")
            pretty = value == "true"
        else:
            rest.append((name, value))
    if asked and asked.partition(";")[0].strip().lower() not in _FORMATS:
        raise NotAcceptable(f"_format={asked[:100]!r} is not offered; use json.")
    return tuple(rest), asked, pretty


def sent_type(content_type: str, method: str, path: str) -> str:
    """Return the media type of a body, normalised. Raises UnsupportedMediaType for one that is not taken here."""
    media_type, _, parameters = content_type.partition(";")
    media_type = media_type.strip().lower()
    charset = "".join(parameters.lower().split()).partition("charset=")[2].strip('"')
    if charset and charset.partition(";")[0] not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType(f"The body is said to be in {charset!r}; FHIR JSON is UTF-8.")
    searching = method == "POST" and path.endswith("_search")
    taken: tuple[str, ...]
    if searching:
        taken = (FORM,)
    elif method == "PATCH":
        taken = (JSON_PATCH, *sorted(_JSON_TYPES))
    else:
        taken = tuple(sorted(_JSON_TYPES))
    if not media_type:
        return FORM if searching else FHIR_JSON
    if media_type not in taken:
        best = FORM if searching else FHIR_JSON if method != "PATCH" else f"{JSON_PATCH} or {FHIR_JSON}"
        raise UnsupportedMediaType(f"Content-Type is {media_type[:100]!r}; send {best} here.")
    _check_fhir_version(parameters)
    return JSON_PATCH if media_type == JSON_PATCH else FORM if searching else FHIR_JSON


def preferences(prefer: str) -> Preferences:
    """Read `Prefer: return=…` and `handling=…`; other preferences may be ignored (RFC 7240)."""
    returns: ReturnPreference | None = None
    strict = True
    for part in prefer.replace(";", ",").split(","):
        name, _, value = (text.strip() for text in part.partition("="))
        value = value.strip('"')
        if name == "return":
            if value not in _RETURNS:
                raise Malformed(f"Prefer: return={value!r} is not known; use {', '.join(_RETURNS)}.", key="bad-prefer")
            returns = cast("Literal['minimal', 'representation', 'OperationOutcome']", value)
        elif name == "handling":
            if value not in ("strict", "lenient"):
                raise Malformed(f"Prefer: handling={value!r} is not known; use strict or lenient.", key="bad-prefer")
            strict = value == "strict"
    return Preferences(returns, strict)


def _check_fhir_version(parameters: str) -> None:
    version = "".join(parameters.split()).partition("fhirVersion=")[2].partition(";")[0]
    if version and not version.startswith("4.0"):
        raise NotAcceptable(f"fhirVersion={version} is asked for; this server speaks 4.0 (R4).")
