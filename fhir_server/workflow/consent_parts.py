"""The provisions of a Consent as far as reading goes: who may see, and which parts the person closed (R4 consent.html; pure).

A part is a resource type (`Observation`, `Patient` for the contact data), named by `provision.class` with a code of
http://hl7.org/fhir/resource-types. Single resources are closed by a Consent whose root provision denies and lists them in
`data`; a nested provision that lists `data` closes the types of what it lists, and one that is limited in any other way
closes all it could mean: in doubt a part stays closed.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import Resource
from fhir_server.workflow.codes import CONSENT_SCOPE
from fhir_server.workflow.links import codings, items

RESOURCE_TYPES: Final = "http://hl7.org/fhir/resource-types"
LISTED: Final = "data"
"""The part that stands for the resources that the root provision lists."""
_OPT_OUT: Final = frozenset({"OPTOUT", "OPTOUTE"})


class Provision(NamedTuple):
    """One rule: for these actors (none: for everybody) these parts ("" is all) are permitted, or closed."""

    permit: bool
    actors: tuple[Resource, ...]
    parts: tuple[str, ...] = ("",)


def data_provisions(consent: Resource) -> Iterator[Provision]:
    """Yield the rules of a Consent in the order of its provisions; none for one that is not about privacy."""
    if (CONSENT_SCOPE, "patient-privacy") not in set(codings(consent.get("scope"))):
        return
    root = consent.get("provision") or {}
    policy = {code for _, code in codings(consent.get("policyRule"))}
    permits = (root.get("type") or ("deny" if policy & _OPT_OUT else "permit")) == "permit"
    actors, classes = tuple(items(root.get("actor"))), _classes(root)
    if permits:
        yield Provision(True, actors, classes or ("",))
    elif root.get("data"):
        yield Provision(False, actors, (LISTED,))
    elif classes or actors or not items(root.get("provision")):  # with exceptions only, it is a permission to these
        yield Provision(False, actors, classes or ("",))
    yield from _nested(root)


def _nested(provision: Resource) -> Iterator[Provision]:
    for one in items(provision.get("provision")):
        actors, classes = tuple(items(one.get("actor"))), _classes(one)
        if one.get("type") != "permit":
            listed = tuple(sorted({_type(entry) for entry in items(one.get("data"))} - {""}))
            yield Provision(False, actors, classes or listed or ("",))
        elif "period" not in one and not one.get("data"):
            yield Provision(True, actors, classes or ("",))
        yield from _nested(one)


def _classes(provision: Resource) -> tuple[str, ...]:
    found = (one.get("code", "") for one in items(provision.get("class")) if one.get("system") == RESOURCE_TYPES)
    return tuple(dict.fromkeys(code for code in found if code))


def _type(listed: Resource) -> str:
    reference = listed.get("reference") or {}
    return parse_reference(reference.get("reference", "")).type
