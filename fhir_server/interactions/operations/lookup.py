"""CodeSystem/$lookup: what a code system says of a code (R4 codesystem-operation-lookup.html)."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.operations.coded import coded
from fhir_server.interactions.operations.parameters import answer, out, parts, read_inputs
from fhir_server.interactions.request import Place, Request, Result
from fhir_server.model.resource import Resource
from fhir_server.store.port import Snapshot
from fhir_server.terminology.answers import Lookup
from fhir_server.terminology.concepts import Designation
from fhir_server.terminology.large import CodeSystem

LOOKUP: Final = "https://w3id.org/social-referral/OperationDefinition/code-system-lookup"
_NAMED: Final = frozenset({"name", "version", "display", "url", "system"})
"""Properties that have an output parameter of their own, or that the caller knows already."""
_KINDS: Final = {
    "code": "Code",
    "Coding": "Coding",
    "string": "String",
    "integer": "Integer",
    "boolean": "Boolean",
    "dateTime": "DateTime",
    "decimal": "Decimal",
}
_BASE_KINDS: Final = {
    "parent": "Code",
    "child": "Code",
    "status": "Code",
    "inactive": "Boolean",
    "notSelectable": "Boolean",
}


def lookup(engine: Engine, request: Request, place: Place) -> Operation:  # noqa: ARG001  # the shape of every handler
    """Return name, display, designations and properties of a code; `property` narrows the last two to what it names."""
    inputs = read_inputs(engine, request, LOOKUP)
    sent = coded(inputs, "version")[0]
    if not sent.system:
        raise inputs.refuse("name the code system with system.", "code" if inputs.given("code") else "coding")
    language, wanted = inputs.text("displayLanguage"), frozenset(inputs.texts("property"))

    def wants(name: str) -> bool:
        return not wanted or name in wanted

    def work(snapshot: Snapshot) -> Result:
        service = engine.terminology.on(snapshot)
        system = service.code_system(sent.system)
        found = service.lookup(system, sent.code, language)
        return answer(_outputs(system, found, wants))

    return Reading(work, heavy=True)


def _outputs(system: CodeSystem, found: Lookup, wants: Callable[[str], bool]) -> Iterator[Resource]:
    yield out("name", "String", found.name)
    if found.version:
        yield out("version", "String", found.version)
    yield out("display", "String", found.display)
    for one in found.concept.designations:
        if wants("designation") or wants(f"lang.{one.language}"):
            yield parts("designation", _designation(one))
    for code, kind, value in _properties(system, found):
        if wants(code) and code not in _NAMED:
            yield parts("property", (out("code", "Code", code), out("value", kind, value)))


def _designation(one: Designation) -> Iterator[Resource]:
    if one.language:
        yield out("language", "Code", one.language)
    if one.use is not None:
        yield out("use", "Coding", one.use)
    yield out("value", "String", one.value)


def _properties(system: CodeSystem, found: Lookup) -> Iterator[tuple[str, str, Any]]:
    concept = found.concept
    if concept.definition:
        yield "definition", "String", concept.definition
    for parent in concept.parents:
        yield "parent", "Code", parent
    for child in system.children(concept.code):
        yield "child", "Code", child
    for code, values in concept.properties.items():
        if code not in ("parent", "child"):
            for value in values:
                yield code, _kind(system, code, value), value


def _kind(system: CodeSystem, code: str, value: Any) -> str:
    """Return the type of a property: by its value where that tells, else as the code system declares it."""
    if isinstance(value, dict):
        return "Coding"
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, int):
        return "Integer"
    if isinstance(value, (Decimal, float)):
        return "Decimal"
    declared = _KINDS.get(system.property_types.get(code, ""), _BASE_KINDS.get(code, "String"))
    return declared if declared in ("Code", "String", "DateTime") else "String"
