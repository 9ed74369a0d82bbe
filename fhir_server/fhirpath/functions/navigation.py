"""Tree navigation (FHIRPath N1, section 5.8) and the functions that FHIR adds (R4 fhirpath.html#functions)."""

from collections.abc import Iterator
from typing import Any, Final

from fhir_server.fhirpath.equality import scalar
from fhir_server.fhirpath.evaluation import Evaluation, Nodes, answer, single
from fhir_server.fhirpath.functions.function import Function, Run, Site, on_input
from fhir_server.fhirpath.functions.strings import text_of
from fhir_server.fhirpath.moments import Moment, moment_of
from fhir_server.fhirpath.node import Node, resource_node
from fhir_server.fhirpath.operators import result
from fhir_server.fhirpath.types import TypeModel, choice_of, items_of
from fhir_server.model.clock import render_instant
from fhir_server.model.reference import parse_reference

_OF_EVERY_ELEMENT: Final = {"extension": "Extension"}


def children_of(node: Node, types: TypeModel) -> Iterator[Node]:
    """Yield the elements directly below an item; below a primitive its id and extensions."""
    members = node.value if isinstance(node.value, dict) else node.extra
    if members is None:
        return
    holder = node if members is node.value else _beside(node)
    for member in members:
        key = member.removeprefix("_")
        if member == "resourceType" or (key != member and key in members):
            continue
        name, type_ = choice_of(key) or (key, "")
        type_ = type_ or _OF_EVERY_ELEMENT.get(name) or types.child(node.type, name)
        for item in items_of(holder, name, key, type_):
            item.parent = node
            yield item


def _beside(node: Node) -> Node:
    """Return a stand-in whose members are the `_name` object of a primitive."""
    return Node(node.extra or {}, node.type, node.parent, node.name, node.key, node.index)


def extensions_of(node: Node, types: TypeModel) -> Iterator[Node]:
    """Yield the extensions of an item."""
    members = node.value if isinstance(node.value, dict) else node.extra
    if members and ("extension" in members or "_extension" in members):
        yield from (child for child in children_of(node, types) if child.name == "extension")


def _children(site: Site) -> Run:
    types = site.types

    def run(evaluation: Evaluation, nodes: Nodes, _: Nodes) -> Nodes:
        found = [child for node in nodes for child in children_of(node, types)]
        evaluation.spend(len(found))
        return found

    return run


def _descendants(site: Site) -> Run:
    types = site.types

    def run(evaluation: Evaluation, nodes: Nodes, _: Nodes) -> Nodes:
        found: Nodes = []
        while nodes:
            nodes = [child for node in nodes for child in children_of(node, types)]
            evaluation.spend(len(nodes))
            found += nodes
        return found

    return run


def _extension(site: Site) -> Run:
    types, argument = site.types, site.arguments[0]

    def run(evaluation: Evaluation, nodes: Nodes, focus: Nodes) -> Nodes:
        url = text_of(evaluation, argument(evaluation, focus), "extension()")
        found = [item for node in nodes for item in extensions_of(node, types)]
        return [item for item in found if isinstance(item.value, dict) and item.value.get("url") == url]

    return run


def _has_value(_: Evaluation, nodes: Nodes) -> Nodes:
    return answer(len(nodes) == 1 and nodes[0].value is not None and not isinstance(nodes[0].value, dict))


def _get_value(evaluation: Evaluation, nodes: Nodes) -> Nodes:
    node = single(evaluation, nodes, "getValue()")
    return [] if node is None or node.value is None or isinstance(node.value, dict) else result(scalar(node))


def _resolve(evaluation: Evaluation, nodes: Nodes) -> Nodes:
    found: Nodes = []
    for node in nodes:
        evaluation.spend(1)
        value = node.value
        text = value.get("reference") if isinstance(value, dict) else value
        target = _target(evaluation, text if isinstance(text, str) else "", value)
        if target is not None:
            found.append(target)
    return found


def _target(evaluation: Evaluation, text: str, reference: Any) -> Node | None:
    """Find what a reference names: a contained resource, what the resolver returns, or else a bare item of its type."""
    if text.startswith("#"):
        return _contained(evaluation.root, text[1:])
    if evaluation.resolver is not None:
        resource = evaluation.resolver(text) if text else None
        return None if resource is None else resource_node(resource)
    parsed = parse_reference(text)
    type_ = parsed.type or (reference.get("type") if isinstance(reference, dict) else "")
    if not isinstance(type_, str) or not type_:
        return None
    return resource_node({"resourceType": type_, "id": parsed.id} if parsed.id else {"resourceType": type_})


def _contained(root: Node, name: str) -> Node | None:
    if not name:
        return root
    contained = root.value.get("contained") if isinstance(root.value, dict) else None
    for index, resource in enumerate(contained if isinstance(contained, list) else ()):
        if isinstance(resource, dict) and resource.get("id") == name:
            return Node(resource, str(resource.get("resourceType", "")), root, "contained", "contained", index)
    return None


def _clock(form: str) -> Function:
    def run(evaluation: Evaluation, _: Nodes) -> Nodes:
        if evaluation.now_ms is None:
            evaluation.now_ms = evaluation.clock.now_ms()
        instant = render_instant(evaluation.now_ms)
        text = {"now": instant, "today": instant[:10], "timeOfDay": instant[11:-1]}[form]
        moment = moment_of(text)
        return result(moment if form != "now" or moment is None else Moment(text, "dateTime", moment.parts, 0))

    return on_input(run)


NAVIGATION: Final[dict[str, Function]] = {
    "children": Function(0, 0, _children),
    "descendants": Function(0, 0, _descendants),
    "extension": Function(1, 1, _extension),
    "hasValue": on_input(_has_value),
    "getValue": on_input(_get_value),
    "resolve": on_input(_resolve),
    "now": _clock("now"),
    "today": _clock("today"),
    "timeOfDay": _clock("timeOfDay"),
}

UNSUPPORTED: Final = {
    "memberOf": "it needs a terminology",
    "subsumes": "it needs a terminology",
    "subsumedBy": "it needs a terminology",
    "conformsTo": "it needs a validator",
    "htmlChecks": "it needs a validator",
    "elementDefinition": "it needs the definitions of all elements",
    "slice": "it needs the definitions of all elements",
    "checkModifiers": "it needs the definitions of all elements",
}
"""Functions of FHIR that exist only where the caller lends them as host functions, and why."""
