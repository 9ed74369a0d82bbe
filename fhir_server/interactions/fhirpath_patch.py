"""FHIRPath Patch (R4 fhirpatch.html): a Parameters resource whose `operation`s add, insert, delete, replace and move.

Cardinality and choice types come from the facts of R4, so that what is added lands in an array exactly where R4 has
one, and `Patient.deceased` becomes `deceasedBoolean`. A deleted element takes parents with it that it leaves empty.
"""

from collections.abc import Callable
from typing import Any, Final

from fhir_server.artifacts import r4
from fhir_server.artifacts.r4 import ElementFacts
from fhir_server.artifacts.r4.types import R4Types
from fhir_server.fhirpath import FhirPathError, Node, TypeModel, compile_expression, owner_and_name
from fhir_server.interactions.json_patch import MAX_OPERATIONS, check_depth, copied
from fhir_server.interactions.patch_parts import Parts, read_parts, refused, value_of
from fhir_server.model.errors import Malformed, TooCostly
from fhir_server.model.resource import Resource

_TYPES: Final[TypeModel] = R4Types()


def apply_fhirpath_patch(resource: Resource, parameters: Resource) -> Resource:
    """Return a patched copy of a resource; neither argument is changed.

    Raises Malformed when the document is no FHIRPath Patch (the expression names `Parameters.parameter[i].part[j]`),
    RuleViolated with key `patch-path` when a path does not lead to what the operation needs.
    """
    if parameters.get("resourceType") != "Parameters":
        raise Malformed("A FHIRPath Patch is a Parameters resource.", key="patch-document")
    operations = parameters.get("parameter", [])
    if not isinstance(operations, list):
        raise Malformed("Parameters.parameter is an array.", key="patch-document", expression="Parameters.parameter")
    if len(operations) > MAX_OPERATIONS:
        raise TooCostly(f"The patch has {len(operations)} operations; at most {MAX_OPERATIONS} are taken. Split it.")
    prepared = [read_parts(operation, f"Parameters.parameter[{index}]") for index, operation in enumerate(operations)]
    patched: Resource = copied(resource)
    for parts in prepared:
        _APPLY[parts.type](patched, parts)
    check_depth(patched)
    return patched


def _find(resource: Resource, parts: Parts) -> list[Node]:
    """Return the items that the path of an operation selects; each is part of the resource itself."""
    try:
        found = compile_expression(parts.path, types=_TYPES).nodes(resource, resolver=lambda _: None)
    except FhirPathError as error:
        raise Malformed(str(error), key="patch-document", expression=parts.place("path")) from error
    for node in found:
        if node.root.value is not resource:
            raise refused(parts, "path", f"{parts.path!r} yields a value that is no element of the resource.")
    return found


def _only(resource: Resource, parts: Parts) -> Node:
    found = _find(resource, parts)
    if len(found) != 1:
        amount = f"{len(found)} elements" if found else "no element"
        raise refused(parts, "path", f"{parts.path!r} selects {amount}; {parts.type} needs exactly one.")
    return found[0]


def _holder(node: Node) -> dict[str, Any]:
    """Return the JSON object that an item stands in."""
    parent = node.parent
    if parent is None:
        raise TypeError("the root stands in no object")
    members: dict[str, Any] = parent.value if isinstance(parent.value, dict) else parent.extra or {}
    return members


def _facts(owner: Node, name: str, parts: Parts) -> ElementFacts:
    facts = r4.child(owner.type, name)
    if facts is None or facts.path.rpartition(".")[2].removesuffix("[x]") != name:
        raise refused(parts, "name" if parts.type == "add" else "path", f"{owner.type} has no element {name!r} in R4.")
    return facts


def _json_key(facts: ElementFacts, kind: str, parts: Parts) -> str:
    """Return the member that holds an element: of a choice, the one for the type of the value."""
    if not facts.choice:
        return facts.name
    for key, type_ in facts.json_names:
        if type_ == kind:
            return key
    wanted = ", ".join(type_ for _, type_ in facts.json_names)
    raise refused(parts, "value", f"{facts.path} takes {wanted}; found {kind or 'parts'}.")


def _add(resource: Resource, parts: Parts) -> None:
    owner = _only(resource, parts)
    if not isinstance(owner.value, dict):
        raise refused(parts, "path", f"{parts.path!r} is a primitive: replace it together with what it carries.")
    facts = _facts(owner, parts.name, parts)
    value = value_of(parts, facts)
    key = _json_key(facts, value.kind, parts)
    members = owner.value
    if facts.many:
        _insert_at(members, key, len(_longer(members, key)), value.value, value.extra)
        return
    taken = next((n for n, _ in facts.json_names if n in members or f"_{n}" in members), None)
    if taken is not None:
        raise refused(parts, "name", f"{owner.path}.{parts.name} is there already and does not repeat; use replace.")
    _set(members, key, value.value, value.extra)


def _insert(resource: Resource, parts: Parts) -> None:
    owner, name, size = _collection(resource, parts)
    facts = _facts(owner, name, parts)
    if not facts.many:
        raise refused(parts, "path", f"{parts.path!r} does not repeat; use add or replace.")
    if not 0 <= parts.index <= size:
        raise refused(parts, "index", f"Found index {parts.index}; {parts.path!r} has {size} items.")
    value = value_of(parts, facts)
    _insert_at(owner.value, _json_key(facts, value.kind, parts), parts.index, value.value, value.extra)


def _move(resource: Resource, parts: Parts) -> None:
    owner, name, size = _collection(resource, parts)
    for member, index in (("source", parts.source), ("destination", parts.destination)):
        if not 0 <= index < size:
            raise refused(parts, member, f"Found {member} {index}; {parts.path!r} has {size} items.")
    for key in (name, f"_{name}"):
        items = owner.value.get(key)
        if isinstance(items, list):
            items += [None] * (size - len(items))
            items.insert(parts.destination, items.pop(parts.source))
            _trim(owner.value, key)


def _collection(resource: Resource, parts: Parts) -> tuple[Node, str, int]:
    """Return the element that holds a whole list, its name and its length; the list may still be absent."""
    split = owner_and_name(parts.path, types=_TYPES) if _find(resource, parts) is not None else None
    if split is None:
        raise refused(parts, "path", f"{parts.path!r} must end in the name of a list, without index or filter.")
    owners = split[0].nodes(resource, resolver=lambda _: None)
    if len(owners) != 1 or not isinstance(owners[0].value, dict):
        raise refused(parts, "path", f"{parts.path!r} leads to {len(owners)} lists; {parts.type} needs exactly one.")
    owner, name = owners[0], split[1]
    held = owner.value.get(name, owner.value.get(f"_{name}", []))
    if not isinstance(held, list):
        raise refused(parts, "path", f"{parts.path!r} is no list; {parts.type} works on lists.")
    return owner, name, len(_longer(owner.value, name))


def _delete(resource: Resource, parts: Parts) -> None:
    found = _find(resource, parts)
    if len(found) > 1:
        raise refused(parts, "path", f"{parts.path!r} selects {len(found)} elements; delete takes one at a time.")
    if found:
        if found[0].parent is None:
            raise refused(parts, "path", "A patch cannot delete the resource itself; use the delete interaction.")
        _remove(found[0])


def _remove(node: Node) -> None:
    """Take an item out of its parent, and the parent too when nothing is left of it."""
    members, parent = _holder(node), node.parent
    for key in (node.key, f"_{node.key}"):
        items = members.get(key)
        if node.index >= 0 and isinstance(items, list):
            del items[node.index : node.index + 1]
            _trim(members, key)
        else:
            members.pop(key, None)
    if members or parent is None or parent.parent is None:
        return
    if isinstance(parent.value, dict) or parent.value is None:
        _remove(parent)
    else:
        _forget_extra(parent)


def _forget_extra(primitive: Node) -> None:
    """Drop the `_name` object of a primitive that keeps its value."""
    members, key = _holder(primitive), f"_{primitive.key}"
    if primitive.index >= 0:
        members[key][primitive.index] = None
        _trim(members, key)
    else:
        del members[key]


def _replace(resource: Resource, parts: Parts) -> None:
    node = _only(resource, parts)
    parent = node.parent
    if parent is None:
        raise refused(parts, "path", "A patch cannot replace the resource itself; use the update interaction.")
    facts = _facts(parent, node.name, parts)
    value = value_of(parts, facts)
    key, members = _json_key(facts, value.kind, parts), _holder(node)
    if node.index >= 0:
        _delete_item(members, key, node.index)
        _insert_at(members, key, node.index, value.value, value.extra)
    elif key == node.key:
        _set(members, key, value.value, value.extra)
    else:
        renamed = {key if name == node.key else name: member for name, member in members.items()}
        members.clear()
        members.update(renamed)
        members.pop(f"_{node.key}", None)
        _set(members, key, value.value, value.extra)


def _longer(members: dict[str, Any], key: str) -> list[Any]:
    values, extras = members.get(key, []), members.get(f"_{key}", [])
    longest: list[Any] = max(values, extras, key=len)
    return longest


def _set(members: dict[str, Any], key: str, value: Any, extra: Any) -> None:
    for name, content in ((key, value), (f"_{key}", extra)):
        if content is None:
            members.pop(name, None)
        else:
            members[name] = content


def _delete_item(members: dict[str, Any], key: str, index: int) -> None:
    for name in (key, f"_{key}"):
        items = members.get(name)
        if isinstance(items, list):
            del items[index : index + 1]


def _insert_at(members: dict[str, Any], key: str, index: int, value: Any, extra: Any) -> None:
    """Insert into a list and keep its `_name` sibling in step, where there is one or has to be one now."""
    size = len(_longer(members, key))
    for name, content in ((key, value), (f"_{key}", extra)):
        if name in members or content is not None:
            items = members.setdefault(name, [])
            items += [None] * (size - len(items))
            items.insert(index, content)
            _trim(members, name)


def _trim(members: dict[str, Any], key: str) -> None:
    """Drop a list that holds nothing; one beside a primitive is written only where it says something."""
    if all(item is None for item in members[key]):
        del members[key]


_APPLY: Final[dict[str, Callable[[Resource, Parts], None]]] = {
    "add": _add,
    "insert": _insert,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}
