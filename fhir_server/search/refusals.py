"""Refusals of a search: each names the parameter, what is allowed, and the nearest name."""

from collections.abc import Iterable
from difflib import get_close_matches

from fhir_server.model.errors import Malformed, NotSupported


class NotOffered(NotSupported):
    """A parameter or modifier that does not exist or is not offered; what lenient handling leaves out."""


def shown(text: str) -> str:
    """Quote what a client sent, cut to a readable length."""
    return repr(text if len(text) <= 60 else text[:57] + "…")  # noqa: PLR2004  # a line of a log


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint such as ` Did you mean 'owner'?`, or ""."""
    found = get_close_matches(name[:60], list(known), n=1, cutoff=0.6)
    return f" Did you mean {found[0]!r}?" if found else ""


def listed(names: Iterable[str]) -> str:
    """Return names for a sentence: all of them, sorted."""
    return ", ".join("every resource type" if name == "*" else name for name in sorted(names)) or "none"


def unknown_parameter(resource_type: str, name: str, full_name: str, known: Iterable[str]) -> NotOffered:
    """No such parameter on this type."""
    names = list(known)
    where = "" if name == full_name else f" (in {shown(full_name)})"
    return NotOffered(
        f"{resource_type} has no search parameter {shown(name)}{where}.{nearest(name, names)} "
        f"Search parameters of {resource_type}: {listed(names)}.",
        key="search-unknown-parameter",
    )


def unsupported_modifier(full_name: str, modifier: str, allowed: Iterable[str]) -> NotOffered:
    """The modifier does not exist for a parameter of this type."""
    names = list(allowed)
    return NotOffered(
        f"Search parameter {shown(full_name)} has the modifier {shown(':' + modifier)}, which it does not take."
        f"{nearest(modifier, names)} Its modifiers, each after a colon: {listed(names)}.",
        key="search-unsupported-modifier",
    )


def not_supported(full_name: str, why: str) -> NotOffered:
    """R4 defines it, this server does not offer it."""
    return NotOffered(f"Search parameter {shown(full_name)} is not supported: {why}", key="search-not-supported")


def bad_value(key: str, full_name: str, value: str, expected: str) -> Malformed:
    """A value cannot be read as the type of its parameter."""
    return Malformed(
        f"Search parameter {shown(full_name)} has the value {shown(value)}. Expected: {expected}.",
        key=key,
        code="value",
    )


def too_much(full_name: str, found: str, limit: str) -> Malformed:
    """A bound of SearchLimits is exceeded."""
    return Malformed(
        f"Search parameter {shown(full_name)} has {found}; at most {limit}.", key="search-limit", code="too-costly"
    )
