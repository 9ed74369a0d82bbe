"""Canonicals and codes of ours, wherever they are used: each must exist."""

from collections.abc import Iterator
from typing import Any

from fhir_server.artifacts.catalog import Catalog
from fhir_server.artifacts.source import BASE, Artifact, Fault
from fhir_server.model.errors import NotFound, NotSupported
from fhir_server.model.resource import Resource, walk
from fhir_server.terminology.service import TerminologyService

_NOT_REFERENCES = frozenset({"div", "description", "documentation"})


def load_terminology(catalog: Catalog) -> tuple[TerminologyService, list[Fault]]:
    """Index the terminology; one that cannot be evaluated is a finding, and an empty service goes on."""
    try:
        return TerminologyService.load(catalog), []
    except NotSupported as error:
        return TerminologyService((), (), ()), [Fault("terminology", "terminology-unsupported", str(error))]


def check_canonicals(path: str, content: Any, catalog: Catalog) -> Iterator[Fault]:
    """Yield every text below our base that names no artefact of ours."""
    for place, text in _texts(content, ""):
        canonical = text.partition("#")[0]  # what follows is the id of an element (Questionnaire.item.definition)
        own = canonical.startswith(f"{BASE}/") and "/" in canonical[len(BASE) + 1 :]
        if own and catalog.resolve(canonical) is None:
            where = f"{place.lstrip('.')}: " if place else ""
            yield Fault(path, "canonical-dangling", f"{where}{text} is none of our artefacts.")


def check_codes(path: str, content: Any, terminology: TerminologyService) -> Iterator[Fault]:
    """Yield every Coding of a code system of ours whose code does not exist."""
    for place, element in walk(content, ""):
        system, code = element.get("system"), element.get("code")
        if isinstance(system, str) and isinstance(code, str) and system.startswith(f"{BASE}/CodeSystem/"):
            verdict = terminology.validate_code(system, code)
            if verdict.result is False:
                yield Fault(path, "code-unknown", f"{place.lstrip('.')}: {verdict.message}")


def check_terminology(artifacts: tuple[Artifact, ...], terminology: TerminologyService) -> Iterator[Fault]:
    """Yield codes of ours that value sets and concept maps name and that do not exist, and value sets that are empty."""
    for artifact in artifacts:
        resource = artifact.resource
        if resource["resourceType"] == "ValueSet":
            yield from _value_set(artifact, terminology)
        elif resource["resourceType"] == "ConceptMap":
            for system, code in _mapped(resource):
                yield from _known(artifact.path, system, code, terminology)
        elif resource["resourceType"] == "CodeSystem":
            yield from _code_system(artifact)


def _value_set(artifact: Artifact, terminology: TerminologyService) -> Iterator[Fault]:
    compose = artifact.resource.get("compose", {})
    for component in [*compose.get("include", ()), *compose.get("exclude", ())]:
        system = component.get("system", "")
        for concept in component.get("concept", ()):
            yield from _known(artifact.path, system, concept["code"], terminology)
        for rule in component.get("filter", ()):
            if rule["property"] == "concept":
                yield from _known(artifact.path, system, rule["value"], terminology)
    try:
        if terminology.expand(artifact.canonical).total == 0:
            yield Fault(artifact.path, "value-set-empty", "The value set has no codes.")
    except (NotFound, NotSupported) as error:
        yield Fault(artifact.path, "value-set-unknown", str(error))


def _mapped(resource: Resource) -> Iterator[tuple[str, str]]:
    for group in resource.get("group", ()):
        for element in group["element"]:
            yield group["source"], element["code"]
            for target in element.get("target", ()):
                yield group.get("target", ""), target.get("code", "")


def _known(path: str, system: str, code: str, terminology: TerminologyService) -> Iterator[Fault]:
    verdict = terminology.validate_code(system, code)
    if verdict.result is False or (verdict.result is None and system.startswith(BASE)):
        yield Fault(path, "code-unknown", verdict.message)


def _code_system(artifact: Artifact) -> Iterator[Fault]:
    codes = [
        element["code"] for _, element in walk(artifact.resource.get("concept", []), "concept") if "code" in element
    ]
    for code in sorted({code for code in codes if codes.count(code) > 1}):
        yield Fault(artifact.path, "code-twice", f"The code {code!r} is there more than once.")
    stated = artifact.resource.get("count")
    if stated is not None and stated != len(codes):
        yield Fault(artifact.path, "code-count", f"count says {stated}; there are {len(codes)} codes.")


def _texts(element: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(element, str):
        yield place, element
    elif isinstance(element, dict):
        for name, value in element.items():
            if name not in _NOT_REFERENCES:
                yield from _texts(value, f"{place}.{name}")
    elif isinstance(element, list):
        for index, value in enumerate(element):
            yield from _texts(value, f"{place}[{index}]")
