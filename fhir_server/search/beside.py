"""Index entries beside those of the search parameters: what only conditions of this server ask for.

Their names hold a colon or a number sign, which the code of no parameter has. So nobody can ask for them by name, sort by
them, or find them in the CapabilityStatement, and `:missing` and `_sort` see the values of the parameter only.
"""

MEDIA_TYPES = "urn:ietf:bcp:13"
"""The code system of media types."""
_MOST_PARTS = 6


def words(param: str) -> str:
    """Return the name of the later words of a family name: `berg` of `van den Berg` (R4 search.html#string)."""
    return f"{param}:word"


def is_words(param: str) -> bool:
    """Tell whether a name is one that `words` gives."""
    return param.endswith(":word")


def broader(param: str) -> str:
    """Return the name of what a value is below: `text/xml` of `text/xml; charset=utf-8`, `url|1` of `url|1.2`."""
    return f"{param}:below"


def extent(param: str) -> str:
    """Return the name of the pairs of limits of what is a Range: from low to high (R4 search.html#prefix)."""
    return f"{param}:extent"


def inside(param: str, resource_type: str, code: str = "") -> str:
    """Return the name of a parameter of the contained resource that `param` refers to; without a code, of its presence."""
    return f"{param}#{resource_type}.{code}" if code else f"{param}#{resource_type}"


def version_starts(url: str, version: str) -> tuple[str, ...]:
    """Return the canonicals that `url|version` is below: `url|1`, `url|1.2` and `url|1.2.0` of `url|1.2.0`."""
    parts = version.split(".")[:_MOST_PARTS]
    starts = [".".join(parts[: count + 1]) for count in range(len(parts))]
    return tuple(f"{url}|{start}" for start in dict.fromkeys((*starts, version)))


def media_type(text: str) -> str:
    """Return a media type without its parameters, in lower case (RFC 9110, section 8.3.1)."""
    return text.partition(";")[0].strip().lower()
