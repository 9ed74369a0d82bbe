"""Filtering, projection and types (FHIRPath N1, sections 5.2, 6.3 and 7.1): each argument is evaluated per item."""

from typing import Final

from fhir_server.fhirpath.equality import node_key
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.evaluation import YES, Evaluation, Nodes, Step, answer, single, truth
from fhir_server.fhirpath.functions.function import Function, Run, Site
from fhir_server.fhirpath.tree import Member, Tree
from fhir_server.fhirpath.types import check_type, is_type


def keep(evaluation: Evaluation, nodes: Nodes, criteria: Step) -> Nodes:
    """Return the items for which the criteria are true."""
    outer, place = evaluation.this, evaluation.index
    kept: Nodes = []
    evaluation.spend(len(nodes))
    for index, node in enumerate(nodes):
        evaluation.this = item = [node]
        evaluation.index = index
        found = criteria(evaluation, item)
        if found is YES or (found and truth(evaluation, found, "a criterion")):
            kept.append(node)
    evaluation.this, evaluation.index = outer, place
    return kept


def project(evaluation: Evaluation, nodes: Nodes, projection: Step) -> Nodes:
    """Return what the projection yields for each item, flattened."""
    outer, place = evaluation.this, evaluation.index
    projected: Nodes = []
    evaluation.spend(len(nodes))
    for index, node in enumerate(nodes):
        evaluation.this = item = [node]
        evaluation.index = index
        projected.extend(projection(evaluation, item))
    evaluation.this, evaluation.index = outer, place
    return projected


def _where(site: Site) -> Run:
    criteria = site.arguments[0]
    return lambda evaluation, nodes, _focus: keep(evaluation, nodes, criteria)


def _select(site: Site) -> Run:
    projection = site.arguments[0]
    return lambda evaluation, nodes, _focus: project(evaluation, nodes, projection)


def _repeat(site: Site) -> Run:
    projection = site.arguments[0]

    def run(evaluation: Evaluation, nodes: Nodes, _: Nodes) -> Nodes:
        seen = set()
        found: Nodes = []
        while nodes:
            fresh: Nodes = []
            for node in project(evaluation, nodes, projection):
                key = node_key(node)
                if key not in seen:
                    seen.add(key)
                    fresh.append(node)
            found += fresh
            nodes = fresh
        return found

    return run


def _aggregate(site: Site) -> Run:
    aggregator = site.arguments[0]

    def run(evaluation: Evaluation, nodes: Nodes, focus: Nodes) -> Nodes:
        outer, place, running = evaluation.this, evaluation.index, evaluation.total
        evaluation.total = site.arguments[1](evaluation, focus) if len(site.arguments) > 1 else []
        evaluation.spend(len(nodes))
        for index, node in enumerate(nodes):
            evaluation.this = item = [node]
            evaluation.index = index
            evaluation.total = aggregator(evaluation, item)
        total = evaluation.total
        evaluation.this, evaluation.index, evaluation.total = outer, place, running
        return total

    return run


def _iif(site: Site) -> Run:
    criterion, chosen = site.arguments[:2]
    otherwise = site.arguments[2] if len(site.arguments) > 2 else None  # noqa: PLR2004  # the third argument

    def run(evaluation: Evaluation, nodes: Nodes, _: Nodes) -> Nodes:
        if truth(evaluation, criterion(evaluation, nodes), "iif()"):
            return chosen(evaluation, nodes)
        return otherwise(evaluation, nodes) if otherwise is not None else []

    return run


def _trace(site: Site) -> Run:
    """Let the input pass: tracing is for debuggers, and a server writes no data of persons to its log."""
    del site
    return lambda _evaluation, nodes, _focus: nodes


def type_argument(tree: Tree, text: str) -> str:
    """Return the type that an argument names (`Patient`, `FHIR.Patient`, `System.String`)."""
    if isinstance(tree, Member) and tree.source is None:
        return check_type(tree.name, text)
    if isinstance(tree, Member) and isinstance(tree.source, Member) and tree.source.source is None:
        return check_type(f"{tree.source.name}.{tree.name}", text)
    raise FhirPathError(f"FHIRPath {text!r}: ofType(), as() and is() take the name of a type.")


def only(name: str) -> Run:
    """Return the items of a type. `as` filters too: R4 itself writes it on collections (dom-3, search parameters)."""
    return lambda _evaluation, nodes, _focus: [node for node in nodes if is_type(node, name)]


def whether(name: str) -> Run:
    """Tell whether the one item is of a type."""

    def run(evaluation: Evaluation, nodes: Nodes, _: Nodes) -> Nodes:
        node = single(evaluation, nodes, "'is'")
        return [] if node is None else answer(is_type(node, name))

    return run


FILTERING: Final = {
    "where": Function(1, 1, _where),
    "select": Function(1, 1, _select),
    "repeat": Function(1, 1, _repeat),
    "aggregate": Function(1, 2, _aggregate),
    "iif": Function(2, 3, _iif),
    "trace": Function(1, 2, _trace),
    "ofType": Function(1, 1, lambda site: only(type_argument(site.trees[0], site.text))),
    "as": Function(1, 1, lambda site: only(type_argument(site.trees[0], site.text))),
    "is": Function(1, 1, lambda site: whether(type_argument(site.trees[0], site.text))),
}
