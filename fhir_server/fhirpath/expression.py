"""The public face: compile an expression once, evaluate it often."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from fhir_server.fhirpath.compiler import Compiler
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.evaluation import DEFAULT_BUDGET, Evaluation, Nodes, Resolver, Step
from fhir_server.fhirpath.functions.function import HostFunction
from fhir_server.fhirpath.node import Node, plain, resource_node
from fhir_server.fhirpath.parser import parse
from fhir_server.fhirpath.tree import Member, Tree
from fhir_server.fhirpath.types import NamedTypes, TypeModel, check_type, choice_keys
from fhir_server.model.clock import Clock, SystemClock
from fhir_server.model.resource import Resource

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Expression:
    """A compiled expression. Immutable and safe to share between threads."""

    __slots__ = ("_budget", "_clock", "_direct", "_step", "text", "tree")

    def __init__(self, text: str, tree: Tree, step: Step, clock: Clock, budget: int) -> None:
        self.text = text
        self.tree = tree
        self._step = step
        self._clock = clock
        self._budget = budget
        self._direct = _direct_path(tree)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def nodes(
        self,
        resource: Resource,
        *,
        context: Any = None,
        variables: Mapping[str, Any] = _NOTHING,
        resolver: Resolver | None = None,
        root: Resource | None = None,
    ) -> Nodes:
        """Evaluate and return the items with their types and places.

        `context` is where the expression starts: a Node of the resource, a JSON element, or (None) the resource itself.
        `variables` are the values of `%name` (JSON, or a list of it). `root` is the container of a contained resource
        (`%rootResource`). Raises FhirPathError when the input breaks a rule of FHIRPath, TooCostly beyond the budget.
        """
        own = resource_node(resource)
        start = own if context is None else context if isinstance(context, Node) else Node(context)
        container = own if root is None else resource_node(root)
        evaluation = Evaluation(self.text, own, start, container, variables, resolver, self._clock, self._budget)
        try:
            return self._step(evaluation, evaluation.this)
        except FhirPathError as error:
            if self.text in str(error):
                raise
            raise evaluation.refuse(str(error)) from error

    def evaluate(
        self,
        resource: Resource,
        *,
        context: Any = None,
        variables: Mapping[str, Any] = _NOTHING,
        resolver: Resolver | None = None,
        root: Resource | None = None,
    ) -> list[Any]:
        """Evaluate and return the values as JSON; primitives that have only extensions are left out."""
        if context is None and self._direct is not None:
            return self._direct(resource)
        found = self.nodes(resource, context=context, variables=variables, resolver=resolver, root=root)
        return [plain(node) for node in found if node.value is not None]

    def holds(
        self,
        resource: Resource,
        *,
        context: Any = None,
        variables: Mapping[str, Any] = _NOTHING,
        resolver: Resolver | None = None,
        root: Resource | None = None,
    ) -> bool:
        """Evaluate as an invariant: it holds when the result is true, or is there and no boolean; empty does not hold."""
        found = self.nodes(resource, context=context, variables=variables, resolver=resolver, root=root)
        if len(found) == 1 and isinstance(found[0].value, bool):
            return found[0].value
        return bool(found)


def compile_expression(
    text: str,
    *,
    functions: Mapping[str, HostFunction] = _NOTHING,
    types: TypeModel | None = None,
    clock: Clock | None = None,
    budget: int = DEFAULT_BUDGET,
) -> Expression:
    """Compile an expression of FHIRPath N1.

    `functions` lends functions that need a host (`memberOf`, `htmlChecks`); `types` tells the types of elements where
    the JSON does not; `budget` limits the items that one evaluation may touch.
    Raises FhirPathError on bad syntax, an unknown function or type, a wrong number of arguments or an unsafe pattern.
    """
    tree = parse(text)
    step = Compiler(text, types if types is not None else NamedTypes(), functions).step(tree)
    return Expression(text, tree, step, clock if clock is not None else SystemClock(), budget)


def owner_and_name(text: str, *, types: TypeModel | None = None) -> tuple[Expression, str] | None:
    """Split a path that ends in an element (`Patient.name.where(use = 'usual').given`) into what holds it and its name.

    None when it ends in anything else. Raises FhirPathError as `compile_expression` does.
    """
    tree = parse(text)
    if not isinstance(tree, Member) or tree.source is None:
        return None
    step = Compiler(text, types if types is not None else NamedTypes(), _NOTHING).step(tree.source)
    return Expression(text, tree.source, step, SystemClock(), DEFAULT_BUDGET), tree.name


def _direct_path(tree: Tree) -> Callable[[Resource], list[Any]] | None:
    """Return a walk over bare JSON for a path of plain elements (`Patient.name.given`), which needs no items."""
    names: list[str] = []
    while isinstance(tree, Member) and tree.source is not None:
        names.append(tree.name)
        tree = tree.source
    if not isinstance(tree, Member) or tree.source is not None or not names or not tree.name[:1].isupper():
        return None
    type_ = check_type(tree.name, tree.name)
    if type_ in ("Resource", "DomainResource"):
        return None
    path = tuple((name, choice_keys(name)) for name in reversed(names))

    def walk(resource: Resource) -> list[Any]:
        if resource.get("resourceType") != type_:
            return []
        found: list[Any] = [resource]
        for name, choices in path:
            below: list[Any] = []
            for element in found:
                if type(element) is not dict:
                    continue
                value = element.get(name)
                if value is None and choices and f"_{name}" not in element:
                    value = next((element[key] for key in element if key in choices), None)
                if type(value) is list:
                    below += value
                elif value is not None:
                    below.append(value)
            found = below
        return [value for value in found if value is not None]

    return walk
