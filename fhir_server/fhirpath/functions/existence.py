"""Existence (FHIRPath N1, section 5.1)."""

from typing import Final

from fhir_server.fhirpath.equality import distinct, node_key
from fhir_server.fhirpath.evaluation import NO, YES, Evaluation, Nodes, answer, truth
from fhir_server.fhirpath.functions.filtering import keep
from fhir_server.fhirpath.functions.function import Function, Run, Site, on_input, with_arguments
from fhir_server.fhirpath.operators import result


def _exists(site: Site) -> Run:
    if not site.arguments:
        return lambda _evaluation, nodes, _focus: YES if nodes else NO
    criteria = site.arguments[0]

    def run(evaluation: Evaluation, nodes: Nodes, _: Nodes) -> Nodes:
        return answer(bool(keep(evaluation, nodes, criteria)))

    return run


def _all(site: Site) -> Run:
    criteria = site.arguments[0]

    def run(evaluation: Evaluation, nodes: Nodes, _: Nodes) -> Nodes:
        return answer(len(keep(evaluation, nodes, criteria)) == len(nodes))

    return run


def _empty(_: Evaluation, nodes: Nodes) -> Nodes:
    return NO if nodes else YES


def _not(evaluation: Evaluation, nodes: Nodes) -> Nodes:
    value = truth(evaluation, nodes, "not()")
    return answer(None if value is None else not value)


def _booleans(name: str, wanted: bool, every: bool) -> Function:
    def compute(evaluation: Evaluation, nodes: Nodes) -> Nodes:
        if not all(isinstance(node.value, bool) for node in nodes):
            raise evaluation.refuse(f"{name}() takes booleans.")
        found = [node.value is wanted for node in nodes]
        return answer(all(found) if every else any(found))

    return on_input(compute)


def _subset_of(_: Evaluation, nodes: Nodes, others: Nodes) -> Nodes:
    return answer({node_key(node) for node in nodes} <= {node_key(node) for node in others})


def _superset_of(_: Evaluation, nodes: Nodes, others: Nodes) -> Nodes:
    return answer({node_key(node) for node in nodes} >= {node_key(node) for node in others})


def _count(_: Evaluation, nodes: Nodes) -> Nodes:
    return result(len(nodes))


def _is_distinct(_: Evaluation, nodes: Nodes) -> Nodes:
    return answer(len(distinct(nodes)) == len(nodes))


EXISTENCE: Final = {
    "empty": on_input(_empty),
    "exists": Function(0, 1, _exists),
    "not": on_input(_not),
    "all": Function(1, 1, _all),
    "allTrue": _booleans("allTrue", wanted=True, every=True),
    "anyTrue": _booleans("anyTrue", wanted=True, every=False),
    "allFalse": _booleans("allFalse", wanted=False, every=True),
    "anyFalse": _booleans("anyFalse", wanted=False, every=False),
    "subsetOf": with_arguments(1, 1, _subset_of),
    "supersetOf": with_arguments(1, 1, _superset_of),
    "count": on_input(_count),
    "distinct": on_input(lambda _evaluation, nodes: distinct(nodes)),
    "isDistinct": on_input(_is_distinct),
}
