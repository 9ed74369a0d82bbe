"""Subsetting and combining (FHIRPath N1, sections 5.3 and 5.4)."""

from typing import Final

from fhir_server.fhirpath.equality import distinct, node_key
from fhir_server.fhirpath.evaluation import Evaluation, Nodes, single
from fhir_server.fhirpath.functions.function import Function, on_input, with_arguments


def whole_number(evaluation: Evaluation, nodes: Nodes, what: str) -> int | None:
    """Return the one integer of an argument, or None. Raises FhirPathError on anything else."""
    node = single(evaluation, nodes, what)
    if node is None:
        return None
    if isinstance(node.value, bool) or not isinstance(node.value, int):
        raise evaluation.refuse(f"{what} takes an integer.")
    return node.value


def _single(evaluation: Evaluation, nodes: Nodes) -> Nodes:
    single(evaluation, nodes, "single()")
    return nodes


def _skip(evaluation: Evaluation, nodes: Nodes, count: Nodes) -> Nodes:
    number = whole_number(evaluation, count, "skip()")
    return [] if number is None else nodes[max(number, 0) :]


def _take(evaluation: Evaluation, nodes: Nodes, count: Nodes) -> Nodes:
    number = whole_number(evaluation, count, "take()")
    return [] if number is None else nodes[: max(number, 0)]


def _intersect(evaluation: Evaluation, nodes: Nodes, others: Nodes) -> Nodes:
    evaluation.spend(len(nodes) + len(others))
    wanted = {node_key(node) for node in others}
    return distinct([node for node in nodes if node_key(node) in wanted])


def _exclude(evaluation: Evaluation, nodes: Nodes, others: Nodes) -> Nodes:
    evaluation.spend(len(nodes) + len(others))
    unwanted = {node_key(node) for node in others}
    return [node for node in nodes if node_key(node) not in unwanted]


def _union(evaluation: Evaluation, nodes: Nodes, others: Nodes) -> Nodes:
    evaluation.spend(len(nodes) + len(others))
    return distinct([*nodes, *others])


def _combine(evaluation: Evaluation, nodes: Nodes, others: Nodes) -> Nodes:
    evaluation.spend(len(nodes) + len(others))
    return [*nodes, *others]


SUBSETTING: Final[dict[str, Function]] = {
    "single": on_input(_single),
    "first": on_input(lambda _evaluation, nodes: nodes[:1]),
    "last": on_input(lambda _evaluation, nodes: nodes[-1:]),
    "tail": on_input(lambda _evaluation, nodes: nodes[1:]),
    "skip": with_arguments(1, 1, _skip),
    "take": with_arguments(1, 1, _take),
    "intersect": with_arguments(1, 1, _intersect),
    "exclude": with_arguments(1, 1, _exclude),
    "union": with_arguments(1, 1, _union),
    "combine": with_arguments(1, 1, _combine),
}
