"""`ne` of `_filter`: an item in the set has an unequal value (R4 search_filter.html#ops).

So one value that differs is enough, and what has no value at all is not found; `not(… eq …)` finds what has none that is
equal. The tree of an equality is turned into that of the inequality: at the end of each way that a path leads, the values
that are asked of one parameter become one `Unequal`.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from fhir_server.search.parameters import Registry
from fhir_server.search.query import (
    EVERYTHING,
    And,
    Chain,
    CompositeIs,
    Equality,
    IdIs,
    Missing,
    Near,
    Node,
    Not,
    Or,
    RefersTo,
    RefersToIdentifier,
    StringIs,
    TokenIs,
    Unequal,
    UriIs,
)


def unequal(registry: Registry, resource_type: str, equal: Node, refused: Callable[[], Exception]) -> Node:
    """Return what asks for a value that differs from all that `equal` asks for; raises what `refused` makes for other nodes."""
    return _Unequal(registry, refused).of(equal, resource_type)


class _Unequal:
    def __init__(self, registry: Registry, refused: Callable[[], Exception]) -> None:
        self._registry, self._refused = registry, refused

    def of(self, node: Node, resource_type: str) -> Node:
        match node:
            case Chain(target=target, part=part):
                return replace(node, part=self.of(part, target))
            case IdIs():
                return Not(node)
            case Near(param=param):
                return And((Not(node), Missing(param, missing=False)))
            case CompositeIs():
                return _components(node)
            case And(parts) if all(isinstance(part, UriIs | TokenIs) for part in parts):  # a URL and its version
                return Or(tuple(self.of(part, resource_type) for part in parts))
            case Or(parts):
                found = tuple(self._ways(parts, resource_type))
                return found[0] if len(found) == 1 else Or(found)
            case TokenIs() | RefersTo() | RefersToIdentifier() | StringIs() | UriIs():
                return self._values(node.param, (node,), resource_type)
            case _:
                raise self._refused()

    def _ways(self, parts: Iterable[Node], resource_type: str) -> Iterable[Node]:
        """Yield what each way asks; alternatives for one parameter are one question."""
        together: dict[tuple[str, type[Node]], list[Equality]] = {}
        for part in parts:
            match part:
                case Or(()):
                    continue  # the later words of a family name, which are no name
                case TokenIs() | RefersTo() | RefersToIdentifier() | StringIs() | UriIs():
                    together.setdefault((part.param, type(part)), []).append(part)
                case _:
                    yield self.of(part, resource_type)
        for (param, _), values in together.items():
            yield self._values(param, tuple(values), resource_type)

    def _values(self, param: str, values: tuple[Equality, ...], resource_type: str) -> Node:
        if any(isinstance(value, TokenIs) for value in values) and self._is_text(param, resource_type):
            # Such a value is indexed as it was sent and without case, so its entries cannot be told from those of others.
            return And((Not(values[0] if len(values) == 1 else Or(values)), Missing(param, missing=False)))
        return Unequal(param, tuple(replace(value, param="") for value in values))

    def _is_text(self, param: str, resource_type: str) -> bool:
        """Tell whether a token parameter, perhaps one of a contained resource, reads strings."""
        before, _, code = param.rpartition(".")
        kind = before.rpartition("#")[2] if "#" in param else resource_type
        parameter = self._registry.of(kind).get(code)
        return parameter is not None and "string" in parameter.element_types


def _components(node: CompositeIs) -> Node:
    """An occurrence is another when any of its components is."""
    parts = node.parts
    return Or(
        tuple(
            replace(node, parts=tuple(Not(part) if place == at else EVERYTHING for at, part in enumerate(parts)))
            for place in range(len(parts))
        )
    )
