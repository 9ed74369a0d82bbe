"""CodeSystem/$validate-code and ValueSet/$validate-code (R4 codesystem- and valueset-operation-validate-code.html)."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.operations.coded import Coded, coded
from fhir_server.interactions.operations.parameters import Inputs, answer, out, read_inputs
from fhir_server.interactions.request import Place, Request, Result
from fhir_server.interactions.stored_terminology import Terminology
from fhir_server.model.resource import Resource
from fhir_server.store.port import Snapshot
from fhir_server.terminology.answers import Verdict, Wish
from fhir_server.terminology.concepts import CodeSystemIndex
from fhir_server.terminology.large import CodeSystem
from fhir_server.terminology.value_sets import ValueSetIndex, index

VALIDATE_IN_CODE_SYSTEM: Final = "https://w3id.org/social-referral/OperationDefinition/code-system-validate-code"
VALIDATE_IN_VALUE_SET: Final = "https://w3id.org/social-referral/OperationDefinition/value-set-validate-code"
Judge = Callable[[Coded], Verdict]


def validate_in_code_system(engine: Engine, request: Request, place: Place) -> Operation:
    """Tell whether a code is in a code system; NotFound for a code system that the server does not know."""
    inputs = read_inputs(engine, request, VALIDATE_IN_CODE_SYSTEM)
    codes = coded(inputs, "version", system="url")
    if len(inputs.given("url", "codeSystem")) + bool(place.id) > 1:
        raise inputs.refuse("name one code system only: by id, url or codeSystem.", "url")
    if not place.id and not inputs.given("url", "codeSystem") and not all(one.system for one in codes):
        raise inputs.refuse("name the code system with url, or by its id in the path.")

    def work(snapshot: Snapshot) -> Result:
        service = engine.terminology.on(snapshot)
        system = _code_system(service, inputs, place)

        def judge(sent: Coded) -> Verdict:
            asked = system or service.code_system(sent.system)
            named = sent.system.partition("|")[0]
            if named and asked.url and named != asked.url:
                return Verdict(False, message=f"{sent.code!r} is of {named}, not of {asked.url}.")
            return service.validate_code(asked, sent.code, wish=_wish(inputs, sent))

        return answer(_outputs(_judged(codes, judge)))

    return Reading(work, heavy=True)


def validate_in_value_set(engine: Engine, request: Request, place: Place) -> Operation:
    """Tell whether a code is in a value set; NotFound for a value set that the server does not know."""
    inputs = read_inputs(engine, request, VALIDATE_IN_VALUE_SET)
    codes = coded(inputs, "systemVersion")
    named_value_set(inputs, place)

    def work(snapshot: Snapshot) -> Result:
        service = engine.terminology.on(snapshot)
        asked = value_set_of(service, inputs, place)

        def judge(sent: Coded) -> Verdict:
            return service.validate_code(sent.system or None, sent.code, asked, wish=_wish(inputs, sent))

        return answer(_outputs(_judged(codes, judge)))

    return Reading(work, heavy=True)


def named_value_set(inputs: Inputs, place: Place) -> None:
    """Raise Malformed unless exactly one value set is named: by id, url or itself."""
    if len(inputs.given("url", "valueSet")) + bool(place.id) != 1:
        raise inputs.refuse("name one value set: by its id in the path, by url, or send it as valueSet.", "url")


def value_set_of(service: Terminology, inputs: Inputs, place: Place) -> ValueSetIndex:
    """Return the value set that the request is about. Raises NotFound, or NotSupported when it cannot be evaluated."""
    if place.id:
        found: ValueSetIndex = service.instance("ValueSet", place.id)
        return found
    if inputs.given("valueSet"):
        return index(inputs.value("valueSet"))
    return service.value_set(inputs.canonical("url", "valueSetVersion"))


def _code_system(service: Terminology, inputs: Inputs, place: Place) -> CodeSystem | None:
    if place.id:
        found: CodeSystemIndex = service.instance("CodeSystem", place.id)
        return found
    if inputs.given("codeSystem"):
        return CodeSystemIndex(inputs.value("codeSystem"))
    return service.code_system(inputs.canonical("url", "version")) if inputs.given("url") else None


def _wish(inputs: Inputs, sent: Coded) -> Wish:
    return Wish(sent.display, inputs.flag("abstract", default=True), inputs.text("displayLanguage"))


def _judged(codes: Iterable[Coded], judge: Judge) -> Verdict:
    """Return the first code that is valid; where none is, all reasons."""
    refused: list[Verdict] = []
    for sent in codes:
        verdict = judge(sent)
        if verdict.result:
            return verdict
        refused.append(verdict)
    return refused[0]._replace(result=False, message=" ".join(one.message for one in refused))


def _outputs(verdict: Verdict) -> Iterator[Resource]:
    yield out("result", "Boolean", verdict.result)
    if verdict.message:
        yield out("message", "String", verdict.message)
    if verdict.display:
        yield out("display", "String", verdict.display)
