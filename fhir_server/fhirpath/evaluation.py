"""The state of one evaluation, and the shape of a compiled step."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.node import Node
from fhir_server.model.clock import Clock
from fhir_server.model.errors import TooCostly

Nodes = list[Node]
"""A collection. A step never changes the one that it is given."""

YES: Final[Nodes] = [Node(True, "System.Boolean")]
NO: Final[Nodes] = [Node(False, "System.Boolean")]

Resolver = Callable[[str], dict[str, Any] | None]
"""Reference text → the resource that it names, or None."""

DEFAULT_BUDGET: Final = 500_000
"""Items that one evaluation may touch."""


class Evaluation:
    """What the steps of one evaluation share; made anew for every evaluation."""

    __slots__ = (
        "budget", "clock", "context", "index", "now_ms", "resolver", "resource", "root", "text", "this", "total",
        "variables",
    )  # fmt: skip

    def __init__(
        self,
        text: str,
        resource: Node,
        context: Node,
        root: Node,
        variables: Mapping[str, Any],
        resolver: Resolver | None,
        clock: Clock,
        budget: int,
    ) -> None:
        self.text = text
        self.resource = resource
        self.context = context
        self.root = root
        self.variables = variables
        self.resolver = resolver
        self.clock = clock
        self.budget = budget
        self.this: Nodes = [context]
        self.index = 0
        self.total: Nodes = []
        self.now_ms: int | None = None

    def spend(self, items: int) -> None:
        """Charge work. Raises TooCostly when the budget is used up."""
        self.budget -= items
        if self.budget < 0:
            raise TooCostly(f"FHIRPath {self.text!r} takes too much work on this resource. Simplify it.")

    def refuse(self, problem: str) -> FhirPathError:
        """Return the error for an input that the expression cannot work on."""
        return FhirPathError(f"FHIRPath {self.text!r}: {problem}", expression=self.context.path)


Step = Callable[[Evaluation, Nodes], Nodes]
"""A compiled part of an expression: focus → result."""


def single(evaluation: Evaluation, nodes: Nodes, what: str) -> Node | None:
    """Return the only item or None; raise FhirPathError on several (N1, Singleton Evaluation of Collections)."""
    if not nodes:
        return None
    if len(nodes) > 1:
        raise evaluation.refuse(f"{what} takes one item and got {len(nodes)}.")
    return nodes[0]


def truth(evaluation: Evaluation, nodes: Nodes, what: str) -> bool | None:
    """Read a collection as a boolean: none is None, one item that is no boolean is true, several are an error."""
    node = single(evaluation, nodes, what)
    if node is None:
        return None
    return node.value if isinstance(node.value, bool) else True


def answer(value: bool | None) -> Nodes:
    """Return a boolean as a collection; None is the empty one."""
    return [] if value is None else YES if value else NO
