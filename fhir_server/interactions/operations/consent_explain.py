"""$consent-explain: why a resource is shown to an organisation, or withheld from it.

A caller may ask for itself. A person may ask for any organisation, about one's own record. For a Task the answer also says
whether the referral and the person behind it are shown, since these are what an organisation looks for in vain.
"""

from collections.abc import Iterator
from typing import Final

from fhir_server.access.guarded import GuardedSnapshot
from fhir_server.access.principal import Principal
from fhir_server.artifacts.source import BASE
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.operations.parameters import answer, out, parts, read_inputs
from fhir_server.interactions.request import Place, Request, Result
from fhir_server.interactions.routing import Interaction
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import Forbidden, Malformed, NotFound, NotSupported
from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import Resource
from fhir_server.store.port import Snapshot, Version

DEFINITION: Final = f"{BASE}/OperationDefinition/consent-explain"
_REASONS: Final = {
    "written": "It was written by this organisation.",
    "read-by": "It belongs to a referral that this organisation asked for or was asked to take.",
    "in-pool": "It waits in the pool, where any organisation that takes referrals may claim it.",
    "taken-request": "This organisation took up the referral, and the Consent of the person holds.",
    "taken-task": "This organisation took up a referral of the person, and the Consent of the person holds.",
    "consented": "The Consent that the referral relies on permits this organisation now.",
    "referred": "It is named by a referral that this organisation asked for.",
    "named": "It is named by a referral that this organisation took up.",
    "reported": "It is what came of a referral of this organisation.",
    "open": "The person has not closed this part to this organisation.",
}
"""Rule of the table of policies → what it means when it holds."""
_ASKED: Final = {
    "Task": ("written", "read-by", "in-pool"),
    "ServiceRequest": ("written", "read-by", "taken-request", "consented", "open"),
    "Patient": ("written", "open"),
}
_OF_RECORDS: Final = ("written", "referred", "named", "reported", "open")


def consent_explain(engine: Engine, request: Request, place: Place) -> Operation:  # noqa: ARG001  # the shape of every handler
    """Explain one decision. Raises NotFound for what the caller does not see, as for what is not there."""
    inputs = read_inputs(engine, request, DEFINITION)
    parsed = parse_reference(inputs.text("resource"), request.base)
    if parsed.kind != "relative":
        raise Malformed(
            f"$consent-explain: resource={parsed.text[:100]!r} is no reference to a resource here, such as Task/7.",
            key="explain-resource",
            code="value",
        )
    principal = request.principal
    wanted = inputs.text("for") if inputs.given("for") else principal.organization or principal.person
    if wanted != principal.organization and not principal.person:
        raise Forbidden(
            "You may ask for your own organisation. A person may ask for any, about one's own record.",
            key="access-role",
        )

    def work(snapshot: Snapshot) -> Result:
        if not isinstance(snapshot, GuardedSnapshot):
            raise NotSupported("Access is not enforced here: everything is shown.", key="not-supported")
        version = snapshot.current(parsed.type, parsed.id)
        if version is None or version.body is None:
            raise NotFound(f"There is no {parsed.type}/{parsed.id} here.")
        seen = snapshot.seen_by(engine.access.policy(Principal(wanted)))
        return answer(_told(seen, version, wanted))

    return Reading(work)


def _told(seen: GuardedSnapshot, version: Version, wanted: str) -> Iterator[Resource]:
    yield out("for", "String", wanted)
    yield _decision(seen, version)
    if version.type == "Task":
        task = decode_stored(version.body or b"null")
        for member in ("focus", "for"):
            behind = parse_reference((task.get(member) or {}).get("reference", ""))
            found = seen.beneath(behind.type, behind.id) if behind.kind == "relative" else None
            if found is not None:
                yield _decision(seen, found)


def _decision(seen: GuardedSnapshot, version: Version) -> Resource:
    shown = seen.sees(version)
    rules = _ASKED.get(version.type, _OF_RECORDS)
    held = {name: seen.rule_holds(version, name) for name in rules}
    reasons = [out("because", "String", _REASONS[name]) for name, holds in held.items() if holds and name != "open"]
    if held.get("open") is False:
        reasons.append(out("because", "String", "The person closed this part to this organisation."))
    if held.get("consented") is False and not shown:
        reasons.append(
            out("because", "String", "No Consent that the referral relies on permits this organisation now.")
        )
    if not shown and not any(holds for name, holds in held.items() if name != "open"):
        reasons.append(out("because", "String", "No rule of the policies gives it to this organisation."))
    return parts(
        "decision",
        [out("resource", "String", f"{version.type}/{version.id}"), out("shown", "Boolean", shown), *reasons],
    )


CONSENT_EXPLAIN: Final = tuple(
    Interaction(method, "$consent-explain", "consent-explain", "system", consent_explain, DEFINITION)
    for method in ("GET", "POST")
)
