"""Tree → closures. What does not exist (functions, arities, types) is refused here, before any resource is seen."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.evaluation import Evaluation, Nodes, Step
from fhir_server.fhirpath.functions import FUNCTIONS
from fhir_server.fhirpath.functions.filtering import only, whether
from fhir_server.fhirpath.functions.function import HostFunction, Run, Site
from fhir_server.fhirpath.functions.navigation import UNSUPPORTED, extensions_of
from fhir_server.fhirpath.functions.subsetting import whole_number
from fhir_server.fhirpath.node import NO_INDEX, Node, computed, plain
from fhir_server.fhirpath.operators import LOGIC, OPERATORS, negative, positive, result
from fhir_server.fhirpath.tree import (
    Binary,
    Call,
    Constant,
    Empty,
    Index,
    Member,
    Special,
    Tree,
    TypeTest,
    Unary,
    Variable,
)
from fhir_server.fhirpath.types import TypeModel, check_type, choice_keys, is_type, items_of, system_type

_CODE_SYSTEMS: Final = {
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
    "ucum": "http://unitsofmeasure.org",
}
_HOLDERS: Final = frozenset({"resource", "contained", "outcome"})


class Compiler:
    """Compiles the trees of one expression."""

    def __init__(self, text: str, types: TypeModel, hosted: Mapping[str, HostFunction]) -> None:
        self._text = text
        self._types = types
        self._hosted = hosted

    def step(self, tree: Tree) -> Step:
        """Compile a tree. Raises FhirPathError for what this server does not know."""
        match tree:
            case Empty():
                return lambda _evaluation, _focus: []
            case Constant(value):
                constant = [computed(value, system_type(value))]
                return lambda _evaluation, _focus: constant
            case Variable(name):
                return _variable(name)
            case Special(name):
                return _special(name)
            case Member(source, name):
                return self._member(source, name)
            case Call():
                return self._call(tree)
            case Index(source, index):
                return _item(self.step(source), self.step(index))
            case Unary(operator, operand):
                return (negative if operator == "-" else positive)(self.step(operand))
            case TypeTest(operator, source, type_):
                name = check_type(type_, self._text)
                return _applied(self.step(source), only(name) if operator == "as" else whether(name))
            case Binary(operator, left, right):
                return self._binary(operator, self.step(left), self.step(right))

    def _binary(self, operator: str, left: Step, right: Step) -> Step:
        if operator in LOGIC:
            return LOGIC[operator](left, right)
        operate = OPERATORS[operator]
        return lambda evaluation, focus: operate(evaluation, left(evaluation, focus), right(evaluation, focus))

    def _member(self, source: Tree | None, name: str) -> Step:
        if name[:1].isupper():
            if source is not None:
                raise FhirPathError(
                    f"FHIRPath {self._text!r}: {name!r} is no element. Write ofType({name}) to choose by type."
                )
            type_ = check_type(name, self._text)
            return lambda _evaluation, focus: [node for node in focus if is_type(node, type_)]
        children = _children_named(name, self._types)
        if source is None:
            return children
        before = self.step(source)
        return lambda evaluation, focus: children(evaluation, before(evaluation, focus))

    def _call(self, call: Call) -> Step:
        arity: tuple[int, int]
        function = FUNCTIONS.get(call.name)
        hosted = self._hosted.get(call.name)
        if hosted is not None:
            arity = (hosted.least, hosted.most)
        elif function is not None:
            arity = (function.least, function.most)
        else:
            raise self._unknown(call)
        if not arity[0] <= len(call.arguments) <= arity[1]:
            wanted = str(arity[0]) if arity[0] == arity[1] else f"{arity[0]} to {arity[1]}"
            raise FhirPathError(
                f"FHIRPath {self._text!r}: {call.name}() takes {wanted} arguments and has {len(call.arguments)}."
            )
        typed = call.name in ("ofType", "as", "is") and hosted is None
        steps = () if typed else tuple(self.step(argument) for argument in call.arguments)
        site = Site(call.name, steps, call.arguments, self._text, self._types)
        run = _lent(hosted, steps) if hosted is not None else FUNCTIONS[call.name].build(site)
        source = self.step(call.source) if call.source is not None else None
        return _applied(source, run)

    def _unknown(self, call: Call) -> FhirPathError:
        if call.name in UNSUPPORTED:
            return FhirPathError(
                f"FHIRPath {self._text!r}: {call.name}() is not available here, {UNSUPPORTED[call.name]}."
            )
        near = get_close_matches(call.name, (*FUNCTIONS, *self._hosted), n=2)
        hint = f" Did you mean {' or '.join(f'{name}()' for name in near)}?" if near else ""
        return FhirPathError(
            f"FHIRPath {self._text!r}: at character {call.position + 1} there is no function {call.name}().{hint}"
        )


def _applied(source: Step | None, run: Run) -> Step:
    if source is None:
        return lambda evaluation, focus: run(evaluation, focus, focus)
    return lambda evaluation, focus: run(evaluation, source(evaluation, focus), focus)


def _lent(hosted: HostFunction, arguments: tuple[Step, ...]) -> Run:
    call = hosted.call

    def run(evaluation: Evaluation, nodes: Nodes, focus: Nodes) -> Nodes:
        evaluation.spend(len(nodes) + 1)
        values = [[plain(node) for node in argument(evaluation, focus)] for argument in arguments]
        returned = call([plain(node) for node in nodes], *values)
        return [item if isinstance(item, Node) else _lent_node(item) for item in returned]

    return run


def _lent_node(value: Any) -> Node:
    return computed(value, "" if isinstance(value, dict) else system_type(value))


def _variable(name: str) -> Step:
    fixed = _CODE_SYSTEMS.get(name)
    if name.startswith(("vs-", "ext-")):
        kind = "ValueSet" if name.startswith("vs-") else "StructureDefinition"
        fixed = f"http://hl7.org/fhir/{kind}/{name.partition('-')[2]}"
    if fixed is not None:
        constant = result(fixed)
        return lambda _evaluation, _focus: constant
    own: Callable[[Evaluation], Node] | None = {
        "resource": lambda evaluation: evaluation.resource,
        "context": lambda evaluation: evaluation.context,
        "rootResource": lambda evaluation: evaluation.root,
    }.get(name)
    if own is not None:
        return lambda evaluation, _focus: [own(evaluation)]

    def step(evaluation: Evaluation, _: Nodes) -> Nodes:
        if name not in evaluation.variables:
            raise evaluation.refuse(f"the variable %{name} is not set.")
        value = evaluation.variables[name]
        items = value if isinstance(value, (list, tuple)) else () if value is None else (value,)
        return [item if isinstance(item, Node) else _lent_node(item) for item in items]

    return step


def _special(name: str) -> Step:
    if name == "$this":
        return lambda evaluation, _focus: evaluation.this
    if name == "$index":
        return lambda evaluation, _focus: result(evaluation.index)
    return lambda evaluation, _focus: evaluation.total


def _item(source: Step, index: Step) -> Step:
    def step(evaluation: Evaluation, focus: Nodes) -> Nodes:
        nodes = source(evaluation, focus)
        number = whole_number(evaluation, index(evaluation, focus), "an index")
        return [] if number is None or number < 0 else nodes[number : number + 1]

    return step


def _children_named(name: str, types: TypeModel) -> Step:
    """Compile one step of a path: all items below the focus that carry the name."""
    beside, choices, child = f"_{name}", choice_keys(name), types.child
    simple = name not in _HOLDERS

    def step(evaluation: Evaluation, focus: Nodes) -> Nodes:
        found: Nodes = []
        for node in focus:
            members = node.value
            if type(members) is not dict:
                if name == "extension":
                    found.extend(extensions_of(node, types))
                elif name == "id" and node.extra is not None and "id" in node.extra:
                    found.append(Node(node.extra["id"], "string", node, "id", "id"))
                continue
            value = members.get(name)
            if value is None or not simple or beside in members:
                found.extend(_special_children(node, name, choices, child))
            elif type(value) is list:
                type_ = child(node.type, name)
                found += [
                    Node(item, type_, node, name, name, index) for index, item in enumerate(value) if item is not None
                ]
            else:
                found.append(Node(value, child(node.type, name), node, name, name, NO_INDEX))
        evaluation.budget -= len(found) + 1
        if evaluation.budget < 0:
            evaluation.spend(0)
        return found

    return step


def _special_children(node: Node, name: str, choices: dict[str, str], child: Callable[[str, str], str]) -> Nodes:
    """Return the items of a member with a `_name` sibling, of one that holds resources, or of a choice element."""
    members: dict[str, Any] = node.value
    if name in members or f"_{name}" in members:
        return list(items_of(node, name, name, child(node.type, name)))
    for member in members:
        key = member.removeprefix("_")
        if key in choices:
            return list(items_of(node, name, key, choices[key]))
    return []
