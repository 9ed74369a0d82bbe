"""$validate: everything that there is to say of a resource, without storing it (R4 resource-operation-validate.html).

The answer is 200 with an OperationOutcome whatever is wrong with the resource. Only a request that cannot be understood is
refused. Texts are in Dutch, French or English, as Accept-Language asks.
"""

from typing import Any, Final, NamedTuple

from fhir_server.artifacts import r4
from fhir_server.interactions.context import Engine
from fhir_server.interactions.offer_extensions import read_extensions
from fhir_server.interactions.operation import Answer, Many, Operation, Reading
from fhir_server.interactions.operations.questionnaire_for import questionnaire_issues, response_issues
from fhir_server.interactions.request import Kind, Place, Request, Result
from fhir_server.interactions.unit import Unit
from fhir_server.model.codec import decode, decode_resource, encode
from fhir_server.model.errors import FhirError, Gone, Malformed, NotFound, NotSupported, Unavailable
from fhir_server.model.issue import Issue, has_errors, operation_outcome
from fhir_server.model.resource import Resource
from fhir_server.store.port import Snapshot, UnitOfWork
from fhir_server.validation.wording import outcome_in, say

_FORMS: Final = ("Questionnaire", "QuestionnaireResponse")
_MODES: Final = ("create", "update", "delete")
_PARAMETERS: Final = {
    "resource": ("resource",),
    "mode": ("valueCode",),
    "profile": ("valueUri", "valueCanonical", "valueUrl"),
    "mustSupport": ("valueBoolean",),
}
"""Parameter → the members that may carry it."""


class Asked(NamedTuple):
    """What to validate, and how; `path` is where the resource stands in the body, None when it is the body."""

    resource: Resource | None = None
    path: str | None = None
    mode: str = ""
    profiles: tuple[str, ...] = ()
    must_support: bool = False


class _Undone(Exception):
    """The trial went well and is to be taken back."""


def validate(engine: Engine, request: Request, place: Place) -> Operation:
    """Validate the resource that is sent; at an instance without one, the resource that is stored there."""
    asked = _asked(request, place)
    for url in asked.profiles:
        _require_known(engine, url)
    if asked.mode == "delete":
        return Many(lambda: _told(request, _trial(engine, request, _instance(asked, place))))
    resource = asked.resource
    if resource is None:
        return Reading(lambda snapshot: _stored(engine, request, place, asked, snapshot), heavy=True)
    if resource.get("resourceType") in _FORMS:
        return Reading(lambda snapshot: _told(request, _answered(engine, asked, place, resource, snapshot)), heavy=True)
    if len(request.body or b"") > engine.limits.heavy_body_bytes:
        return Many(lambda: _told(request, _judged(engine, asked, place, resource)))
    return Answer(_told(request, _judged(engine, asked, place, resource)))


def _judged(engine: Engine, asked: Asked, place: Place, resource: Resource) -> list[Issue]:
    issues = engine.validator.report(
        resource, path=asked.path, profiles=asked.profiles, must_support=asked.must_support
    )
    kind = resource.get("resourceType", "")
    root = kind if asked.path is None else asked.path
    if place.type and kind != place.type:
        text = say("wrong-resource-type", found=str(kind)[:60], wanted=place.type)
        return [Issue("wrong-resource-type", "structure", text, root), *issues]
    return [*_identity(asked, place, resource, root), *issues, *_unread(resource, root, issues)]


def _unread(resource: Resource, root: str, issues: list[Issue]) -> list[Issue]:
    """Tell which extensions of a service `$suggest` cannot read, where no profile is claimed that refuses them."""
    if resource.get("resourceType") != "HealthcareService" or has_errors(issues):
        return []
    faults = read_extensions(resource).faults
    return [Issue("fact-unreadable", "value", one.why, f"{root}{one.place}", "warning") for one in faults]


def _answered(engine: Engine, asked: Asked, place: Place, resource: Resource, snapshot: Snapshot) -> list[Issue]:
    """Judge a resource; a QuestionnaireResponse that is valid R4 also by its questionnaire, a Questionnaire by what $extract takes."""
    issues = _judged(engine, asked, place, resource)
    kind = str(resource.get("resourceType"))
    if kind not in _FORMS or has_errors(issues):
        return issues
    root = kind if asked.path is None else asked.path
    more = (response_issues if kind == "QuestionnaireResponse" else questionnaire_issues)(engine, snapshot, resource)
    return [*issues, *(one._replace(expression=root + one.expression.removeprefix(kind)) for one in more)]


def _identity(asked: Asked, place: Place, resource: Resource, root: str) -> list[Issue]:
    sent = resource.get("id")
    if sent is None:
        return [Issue("id-missing", "required", say("mode-id-missing"), root)] if asked.mode == "update" else []
    if place.id and asked.mode != "create" and sent != place.id:
        text = say("mode-id-mismatch", found=repr(sent)[:80], wanted=repr(place.id))
        return [Issue("id-mismatch", "value", text, f"{root}.id")]
    return []


def _stored(engine: Engine, request: Request, place: Place, asked: Asked, snapshot: Snapshot) -> Result:
    version = snapshot.current(place.type, place.id)
    if version is None:
        raise NotFound(f"There is no {place.type}/{place.id} here.")
    if version.body is None:
        raise Gone(f"{place.type}/{place.id} was deleted.")
    return _told(request, _answered(engine, asked, place, decode(version.body), snapshot))


def _instance(asked: Asked, place: Place) -> Place:
    """Return what is to be deleted: the instance of the URL, or the one whose id the resource has."""
    resource = asked.resource or {}
    kind, found = place.type or resource.get("resourceType"), place.id or resource.get("id")
    if not (isinstance(kind, str) and kind in r4.resource_types() and isinstance(found, str)):
        raise Malformed(
            "mode=delete asks which resource: call [type]/[id]/$validate, or send the resource with its id.",
            key="mode-needs-instance",
            code="required",
        )
    return Place(kind, found)


def _trial(engine: Engine, request: Request, place: Place) -> list[Issue]:
    """Delete in a unit of work that is always undone, so that the rules of the real thing answer."""

    def work(uow: UnitOfWork) -> None:
        unit = Unit(engine, uow, request.principal)
        current = unit.view.current(place.type, place.id)
        if current is None:
            raise NotFound(say("mode-not-found", type=place.type, id=place.id), expression=place.type)
        if current.deleted:
            raise Gone(say("mode-deleted", type=place.type, id=place.id), expression=place.type)
        unit.delete(current)
        unit.settle()
        raise _Undone

    try:
        engine.store.write(work)
    except _Undone:
        return []
    except Unavailable:
        raise
    except FhirError as error:
        return [issue._replace(expression="") for issue in error.issues]
    return []


def _told(request: Request, issues: list[Issue]) -> Result:
    found = issues or [Issue("all-ok", "informational", say("all-ok"), severity="information")]
    told, language = outcome_in(found, request.languages)
    return Result(Kind.OK, encode(operation_outcome(told)), language=language)


def _require_known(engine: Engine, url: str) -> None:
    """R4 asks an error where a profile is nominated that the server cannot judge by."""
    base = url.removeprefix("http://hl7.org/fhir/StructureDefinition/")
    if engine.validator.profiles.get(url) is None and base not in r4.resource_types():
        raise NotSupported(
            f"The profile {url[:200]!r} is not known here, so nothing can be judged by it. Leave it out, or name one that "
            "GET StructureDefinition lists.",
            key="unknown-profile",
        )


def _asked(request: Request, place: Place) -> Asked:
    """Read the request; raises Malformed for one that cannot be understood."""
    asked = Asked()
    for name, value in request.query:
        if name not in _PARAMETERS or name == "resource":
            raise Malformed(f"$validate has no parameter {name[:60]!r} in its URL.", key="unknown-parameter")
        asked = _with(asked, name, value == "true" if name == "mustSupport" else value)
    if not request.body:
        if not place.id:
            raise Malformed(
                "Nothing was sent to validate. Send a resource, or a Parameters that holds it.", key="empty-body"
            )
        return asked
    body = decode_resource(request.body)
    listed = body.get("parameter")
    is_wrapped = body["resourceType"] == "Parameters" and (place.type != "Parameters" or _names_resource(listed))
    if not is_wrapped:
        return asked._replace(resource=body)
    if not isinstance(listed, list):
        raise Malformed(
            "Parameters.parameter is not an array with the parameters of $validate.", expression="Parameters"
        )
    for index, parameter in enumerate(listed):
        asked = _read(asked, parameter, f"Parameters.parameter[{index}]")
    if asked.resource is None and not place.id:
        raise Malformed("The Parameters hold no parameter 'resource' with the resource to validate.", key="empty-body")
    return asked


def _names_resource(listed: Any) -> bool:
    return isinstance(listed, list) and any(isinstance(one, dict) and one.get("name") == "resource" for one in listed)


def _read(asked: Asked, parameter: Any, place: str) -> Asked:
    name = parameter.get("name") if isinstance(parameter, dict) else None
    members = _PARAMETERS.get(name) if isinstance(name, str) else None
    if members is None:
        raise Malformed(
            f"$validate has no parameter {str(name)[:60]!r}; it has {', '.join(_PARAMETERS)}.",
            key="unknown-parameter",
            expression=place,
        )
    value = next((parameter[member] for member in members if member in parameter), None)
    if name == "resource":
        if not isinstance(value, dict):
            raise Malformed("The parameter 'resource' holds no resource.", key="operation-input", expression=place)
        return asked._replace(resource=value, path=f"{place}.resource")
    if not isinstance(value, bool if name == "mustSupport" else str):
        raise Malformed(f"The parameter {name!r} is sent as {members[0]}.", key="operation-input", expression=place)
    return _with(asked, str(name), value)


def _with(asked: Asked, name: str, value: Any) -> Asked:
    if name == "profile":
        return asked._replace(profiles=(*asked.profiles, value))
    if name == "mustSupport":
        return asked._replace(must_support=value)
    if value == "profile":
        return asked  # the mode of later versions of FHIR: no more than the profile is asked
    if value not in _MODES:
        raise Malformed(
            f"mode={value[:60]!r} is not known; it is {', '.join(_MODES)}.", key="operation-input", code="value"
        )
    return asked._replace(mode=value)
