"""What an operation is given and what it returns, as R4 operations.html frames it.

An operation takes the parameters that its OperationDefinition declares: in the URL where they are primitive, in a
Parameters body, or, where one parameter is a resource, as that resource itself with the rest in the URL.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from fhir_server.interactions.context import Engine
from fhir_server.interactions.request import Kind, Request, Result
from fhir_server.interactions.unit import require_valid
from fhir_server.model.codec import decode_resource, encode
from fhir_server.model.errors import Malformed, NotSupported
from fhir_server.model.resource import Resource

_TEXTS: Final = frozenset(
    {"string", "code", "uri", "url", "canonical", "id", "markdown", "oid", "uuid", "date", "dateTime", "instant"}
)
_NUMBERS: Final = frozenset({"integer", "positiveInt", "unsignedInt"})
_PRIMITIVE: Final = _TEXTS | _NUMBERS | {"boolean"}
_MAX_DIGITS: Final = 9


class Declared(NamedTuple):
    """An input parameter as the OperationDefinition declares it."""

    name: str
    type: str
    many: bool


class Inputs:
    """The parameters of one request, each checked against its declaration."""

    def __init__(self, operation: str, declared: Mapping[str, Declared]) -> None:
        self.operation = operation
        self._declared = declared
        self._values: dict[str, list[Any]] = {}
        self._places: dict[str, str] = {}

    def add(self, declared: Declared, value: Any, place: str = "") -> None:
        """Take a value; raises Malformed when the parameter may be there only once."""
        if declared.name in self._values and not declared.many:
            raise Malformed(
                f"${self.operation} takes the parameter {declared.name!r} once only.",
                key="operation-input",
                expression=place,
            )
        self._values.setdefault(declared.name, []).append(value)
        self._places.setdefault(declared.name, place)

    def declared(self, name: str, place: str = "") -> Declared:
        """Return the declaration of a parameter; raises Malformed that names it when the operation has none."""
        found = self._declared.get(name)
        if found is None:
            raise Malformed(
                f"${self.operation} has no input parameter {name[:100]!r}. It has: {', '.join(self._declared)}.",
                key="unknown-parameter",
                code="not-supported",
                expression=place,
            )
        return found

    def body_parameter(self, resource_type: str) -> Declared | None:
        """Return the one parameter that a body of this type may stand for."""
        return next((one for one in self._declared.values() if one.type == resource_type), None)

    def given(self, *names: str) -> list[str]:
        """Return which of these parameters are there."""
        return [name for name in names if name in self._values]

    def where(self, name: str) -> str:
        """Return the expression of a parameter in the body, "" when it came in the URL or is not there."""
        return self._places.get(name, "")

    def text(self, name: str) -> str:
        """Return a text, "" when it is not there."""
        return str(self._values.get(name, ("",))[0])

    def texts(self, name: str) -> tuple[str, ...]:
        """Return all values of a parameter that repeats."""
        return tuple(self._values.get(name, ()))

    def number(self, name: str) -> int | None:
        """Return a number that is not negative, None when it is not there. Raises Malformed for a negative one."""
        found = self._values.get(name)
        if found and found[0] < 0:
            raise Malformed(
                f"{name} is {found[0]}; it counts from 0.",
                key="operation-input",
                code="value",
                expression=self.where(name),
            )
        return int(found[0]) if found else None

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean."""
        return bool(self._values.get(name, (default,))[0])

    def value(self, name: str) -> Any:
        """Return a Coding, CodeableConcept or resource as it was sent, None when it is not there."""
        return self._values.get(name, (None,))[0]

    def values(self, name: str) -> tuple[Any, ...]:
        """Return all values of a parameter that repeats, as they were sent."""
        return tuple(self._values.get(name, ()))

    def canonical(self, name: str, version: str) -> str:
        """Return a canonical with the version that another parameter names."""
        url, named = self.text(name), self.text(version)
        return f"{url}|{named}" if url and named and "|" not in url else url

    def refuse(self, text: str, name: str = "") -> Malformed:
        """Return the refusal of a combination that the operation does not take."""
        return Malformed(
            f"${self.operation}: {text}", key="operation-input", code="required", expression=self.where(name)
        )


def read_inputs(engine: Engine, request: Request, definition: str) -> Inputs:
    """Read the parameters of a request. Raises Malformed, naming the parameter, for what the operation does not take."""
    described = engine.catalog.get("OperationDefinition", definition)
    if described is None:
        raise NotSupported(f"The artefacts that this server runs on lack {definition}.", key="unknown-operation")
    declared = {
        one["name"]: Declared(one["name"], one.get("type", ""), one["max"] != "1")
        for one in described["parameter"]
        if one["use"] == "in"
    }
    inputs = Inputs(described["code"], declared)
    for name, text in request.query:
        one = inputs.declared(name)
        inputs.add(one, _from_text(one, text))
    if request.method == "POST" and request.body:
        _read_body(engine, inputs, decode_resource(request.body))
    return inputs


def _read_body(engine: Engine, inputs: Inputs, body: Resource) -> None:
    resource_type = body["resourceType"]
    if resource_type != "Parameters":
        stands_for = inputs.body_parameter(resource_type)
        if stands_for is None:
            raise Malformed(
                f"The body of ${inputs.operation} is a Parameters resource; found {resource_type[:60]!r}.",
                key="wrong-resource-type",
                expression="resourceType",
            )
        require_valid(engine, body)
        inputs.add(stands_for, body, resource_type)
        return
    require_valid(engine, body)
    for position, parameter in enumerate(body.get("parameter", ())):
        place = f"Parameters.parameter[{position}]"
        declared = inputs.declared(parameter["name"], place)
        inputs.add(declared, _from_json(declared, parameter, place), place)


def _from_text(declared: Declared, text: str) -> Any:
    if declared.type not in _PRIMITIVE:
        raise Malformed(
            f"The parameter {declared.name!r} is a {declared.type}; it fits in no URL. Send it by POST in a Parameters.",
            key="operation-input",
        )
    if not text:
        raise Malformed(f"The parameter {declared.name!r} has no value.", key="operation-input", code="value")
    if declared.type == "boolean":
        if text not in ("true", "false"):
            raise Malformed(
                f"{declared.name}={text[:100]!r} is neither true nor false.", key="operation-input", code="value"
            )
        return text == "true"
    if declared.type in _NUMBERS:
        if not text.removeprefix("-").isdecimal() or not text.isascii() or len(text) > _MAX_DIGITS:
            raise Malformed(f"{declared.name}={text[:100]!r} is no integer.", key="operation-input", code="value")
        return int(text)
    return text


def _from_json(declared: Declared, parameter: Resource, place: str) -> Any:
    """Return the value of a parameter of a body that is valid R4; of one that is made of parts, these."""
    if not declared.type and "part" in parameter:
        return parameter["part"]
    if "resource" in parameter:
        found, value = parameter["resource"]["resourceType"], parameter["resource"]
    else:
        member = next((name for name in parameter if name.startswith("value")), "")
        found, value = member[5:6].lower() + member[6:], parameter.get(member)
        found = member[5:] if member[5:] == declared.type else found
    fits = found == declared.type or any({found, declared.type} <= kind for kind in (_TEXTS, _NUMBERS))
    if not fits:
        raise Malformed(
            f"The parameter {declared.name!r} is a {declared.type}; found {found or 'no value'}.",
            key="operation-input",
            code="value",
            expression=place,
        )
    return value


def out(name: str, kind: str, value: Any) -> Resource:
    """Return an output parameter; `kind` is its type with a capital, as in `valueCode`."""
    return {"name": name, f"value{kind}": value}


def parts(name: str, members: Iterable[Resource]) -> Resource:
    """Return an output parameter made of parts."""
    return {"name": name, "part": list(members)}


def answer(parameters: Iterable[Resource]) -> Result:
    """Return the outputs of an operation as its result."""
    return Result(Kind.OK, encode({"resourceType": "Parameters", "parameter": list(parameters)}))
