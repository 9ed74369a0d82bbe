"""CodeSystem/$subsumes: how two codes of one code system relate (R4 codesystem-operation-subsumes.html)."""

from typing import Final

from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.operations.coded import Coded, of_coding
from fhir_server.interactions.operations.parameters import Inputs, answer, out, read_inputs
from fhir_server.interactions.request import Place, Request, Result
from fhir_server.store.port import Snapshot

SUBSUMES: Final = "https://w3id.org/social-referral/OperationDefinition/code-system-subsumes"


def subsumes(engine: Engine, request: Request, place: Place) -> Operation:
    """Return equivalent, subsumes (A is above B), subsumed-by or not-subsumed; NotFound for an unknown code."""
    inputs = read_inputs(engine, request, SUBSUMES)
    first, second = _sent(inputs, "A"), _sent(inputs, "B")
    system = first.system or second.system
    if second.system and first.system != second.system:
        raise inputs.refuse("codingA and codingB must be of one code system.", "codingB")
    if not place.id and not system:
        raise inputs.refuse("name the code system with system, or by its id in the path.")

    def work(snapshot: Snapshot) -> Result:
        service = engine.terminology.on(snapshot)
        known = service.instance("CodeSystem", place.id) if place.id else service.code_system(system)
        if place.id and system and system.partition("|")[0] != known.url:
            raise inputs.refuse(f"CodeSystem/{place.id} is {known.url}, not {system}.", "system")
        return answer((out("outcome", "Code", service.subsumes(known, first.code, second.code)),))

    return Reading(work, heavy=True)


def _sent(inputs: Inputs, letter: str) -> Coded:
    code, coding = f"code{letter}", f"coding{letter}"
    given = inputs.given(code, coding)
    if len(given) != 1:
        raise inputs.refuse(f"send {code} or {coding}, one of them.", given[0] if given else "")
    if given == [code]:
        return Coded(inputs.canonical("system", "version"), inputs.text(code))
    sent = inputs.value(coding)
    if "code" not in sent:
        raise inputs.refuse(f"{coding} has no code.", coding)
    return of_coding(sent)
