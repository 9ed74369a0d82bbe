"""What an expression works on: values that know their type and their place."""

from typing import Any, Final

from fhir_server.fhirpath.moments import Moment
from fhir_server.fhirpath.quantities import Quantity

Location = tuple[str | int, ...]
"""Keys and indexes that lead from the resource to the value in its JSON, e.g. `("name", 0, "given", 1)`."""

NO_INDEX: Final = -1


class Node:
    """One item of a collection.

    `value` is JSON, a Moment or a Quantity, and None for a primitive that has only extensions; `type` is a FHIR type, a
    `System.` type or empty where unknown. `name` is the element (`value`), `key` its member in JSON (`valueQuantity`),
    `index` its place in the array or NO_INDEX; `extra` is the `_name` object beside a primitive. Items that were
    computed have no parent and no key.
    """

    __slots__ = ("extra", "index", "key", "name", "parent", "type", "value")

    def __init__(
        self,
        value: Any,
        type_: str = "",
        parent: "Node | None" = None,
        name: str = "",
        key: str = "",
        index: int = NO_INDEX,
        extra: dict[str, Any] | None = None,
    ) -> None:
        self.value = value
        self.type = type_
        self.parent = parent
        self.name = name
        self.key = key
        self.index = index
        self.extra = extra

    def __repr__(self) -> str:
        return f"Node({self.value!r}, {self.type!r}, {self.path!r})"

    @property
    def path(self) -> str:
        """The simple FHIRPath of the item (`Patient.name[0].given[1]`); a root answers with its name."""
        steps: list[str] = []
        node: Node | None = self
        while node is not None:
            steps.append(node.name if node.index == NO_INDEX else f"{node.name}[{node.index}]")
            node = node.parent
        return ".".join(reversed(steps))

    @property
    def location(self) -> Location:
        """The keys and indexes from the root to the item; empty for the root itself."""
        steps: list[str | int] = []
        node, beside = self, ""
        while node.parent is not None:
            if node.index != NO_INDEX:
                steps.append(node.index)
            steps.append(beside + node.key)
            node = node.parent
            beside = "" if isinstance(node.value, dict) else "_"  # a primitive keeps its children in `_name`
        return tuple(reversed(steps))

    @property
    def root(self) -> "Node":
        """The outermost ancestor."""
        node = self
        while node.parent is not None:
            node = node.parent
        return node


def resource_node(resource: dict[str, Any]) -> Node:
    """Return the root node of a resource."""
    type_ = resource.get("resourceType", "")
    name = type_ if isinstance(type_, str) else ""
    return Node(resource, name, None, name)


def computed(value: Any, type_: str) -> Node:
    """Return an item that stands nowhere in the input."""
    return Node(value, type_)


def plain(node: Node) -> Any:
    """Return the value as JSON: moments as their text, quantities as a FHIR Quantity."""
    value = node.value
    if isinstance(value, Moment):
        return value.text
    if isinstance(value, Quantity):
        return value.to_json()
    return value
