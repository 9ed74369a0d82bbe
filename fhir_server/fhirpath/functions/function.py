"""The shape of a function, and the two ways to write one."""

from collections.abc import Callable
from typing import Any, NamedTuple

from fhir_server.fhirpath.evaluation import Evaluation, Nodes, Step
from fhir_server.fhirpath.tree import Tree
from fhir_server.fhirpath.types import TypeModel

Run = Callable[[Evaluation, Nodes, Nodes], Nodes]
"""A function bound to its arguments: (evaluation, input, focus of the whole expression) → result."""


class Site(NamedTuple):
    """One call in an expression, arguments compiled."""

    name: str
    arguments: tuple[Step, ...]
    trees: tuple[Tree, ...]
    text: str
    types: TypeModel


class Function(NamedTuple):
    """A function: the least and the most arguments it takes, and how a call of it is compiled."""

    least: int
    most: int
    build: Callable[[Site], Run]


class HostFunction(NamedTuple):
    """A function that the caller lends to expressions (`memberOf`, `htmlChecks`).

    `call` gets the input and each argument as lists of JSON values and returns a list of JSON values.
    """

    least: int
    most: int
    call: Callable[..., list[Any]]


def on_input(compute: Callable[[Evaluation, Nodes], Nodes]) -> Function:
    """Make a function without arguments."""

    def build(_: Site) -> Run:
        def run(evaluation: Evaluation, nodes: Nodes, _: Nodes) -> Nodes:
            return compute(evaluation, nodes)

        return run

    return Function(0, 0, build)


def with_arguments(least: int, most: int, compute: Callable[..., Nodes]) -> Function:
    """Make a function whose arguments are evaluated once, on the focus of the expression that it stands in."""

    def build(site: Site) -> Run:
        arguments = site.arguments

        def run(evaluation: Evaluation, nodes: Nodes, focus: Nodes) -> Nodes:
            return compute(evaluation, nodes, *(argument(evaluation, focus) for argument in arguments))

        return run

    return Function(least, most, build)
