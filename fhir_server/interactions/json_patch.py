"""JSON Patch (RFC 6902) on a resource, as R4 http.html#patch allows it.

The document is checked whole before anything is applied. Every refusal names the operation and its member (`[2].path`).
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final, NamedTuple

from fhir_server.model.codec import MAX_DEPTH
from fhir_server.model.errors import Malformed, RuleViolated, TooCostly
from fhir_server.model.resource import Resource

MAX_OPERATIONS: Final = 1_000
_MAX_COPIED: Final = 100_000
"""JSON values that the `copy` operations of one document may add: copies of copies would double without end."""

_MEMBERS: Final = {
    "add": ("path", "value"),
    "remove": ("path",),
    "replace": ("path", "value"),
    "move": ("from", "path"),
    "copy": ("from", "path"),
    "test": ("path", "value"),
}

Tokens = tuple[str, ...]


class Operation(NamedTuple):
    """One checked operation; `place` is its index in the document."""

    place: int
    name: str
    path: Tokens
    source: Tokens
    value: Any


def apply_json_patch(resource: Resource, patch: Any) -> Resource:
    """Return a patched copy of a resource; neither argument is changed, decimals keep their notation.

    Raises Malformed when the document is no JSON Patch, RuleViolated with key `patch-path` when a place does not exist
    and `patch-test-failed` when a test fails, TooCostly when it is too large.
    """
    operations = _operations(patch)
    try:
        document = _applied(copied(resource), operations)
    except RecursionError as error:
        raise too_deep() from error
    if not isinstance(document, dict):
        raise RuleViolated("The patch leaves no resource behind. Keep the root a JSON object.", key="patch-path")
    check_depth(document)
    return document


def too_deep() -> Malformed:
    """Return the refusal of a result that no codec would take."""
    return Malformed(f"The patched resource nests deeper than {MAX_DEPTH} levels.", key="too-deep")


def check_depth(document: Any) -> None:
    """Raise Malformed when a value nests deeper than the codec takes."""
    depth, level = 0, [document]
    while level := [item for item in level if isinstance(item, (dict, list))]:
        depth += 1
        if depth > MAX_DEPTH:
            raise too_deep()
        level = [child for item in level for child in _children(item)]


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _applied(document: Any, operations: list[Operation]) -> Any:
    budget = _MAX_COPIED
    for operation in operations:
        if operation.name == "copy":
            value = _get(document, operation, operation.source, "from")
            budget -= _size(value, budget)
            if budget < 0:
                raise TooCostly("The copy operations of this patch multiply the resource. Add the content instead.")
        document = _APPLY[operation.name](document, operation)
    return document


def copied(value: Any) -> Any:
    """Return a deep copy of a JSON value."""
    if isinstance(value, dict):
        return {name: copied(member) for name, member in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def _operations(patch: Any) -> list[Operation]:
    if not isinstance(patch, list):
        raise Malformed("A JSON Patch is an array of operations (RFC 6902).", key="patch-document")
    if len(patch) > MAX_OPERATIONS:
        raise TooCostly(f"The patch has {len(patch)} operations; at most {MAX_OPERATIONS} are taken. Split it.")
    return [_operation(place, operation) for place, operation in enumerate(patch)]


def _operation(place: int, operation: Any) -> Operation:
    if not isinstance(operation, dict):
        raise _malformed(f"[{place}]", "An operation is an object with op and path.")
    name = operation.get("op")
    if not isinstance(name, str) or name not in _MEMBERS:
        raise _malformed(f"[{place}].op", f"Found op {name!r}; allowed are {', '.join(_MEMBERS)}.")
    for member in _MEMBERS[name]:
        if member not in operation:
            raise _malformed(f"[{place}].{member}", f"The operation {name!r} needs the member {member!r}.")
    source = _pointer(place, "from", operation["from"]) if "from" in _MEMBERS[name] else ()
    path = _pointer(place, "path", operation["path"])
    if name == "move" and len(path) > len(source) and path[: len(source)] == source:
        raise _malformed(f"[{place}].path", "A value cannot move into itself.")
    return Operation(place, name, path, source, operation.get("value"))


def _pointer(place: int, member: str, text: Any) -> Tokens:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise _malformed(f"[{place}].{member}", f"Found {text!r}; a JSON Pointer is a text that starts with '/'.")
    tokens = text.split("/")[1:]
    if any(token.replace("~0", "").replace("~1", "").count("~") for token in tokens):
        raise _malformed(f"[{place}].{member}", f"Found {text!r}; '~' is written ~0 and '/' ~1 in a JSON Pointer.")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in tokens)


def _malformed(expression: str, problem: str) -> Malformed:
    return Malformed(f"{expression}: {problem}", key="patch-document", expression=expression)


def _no_place(operation: Operation, member: str, tokens: Tokens, problem: str) -> RuleViolated:
    pointer = "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)
    expression = f"[{operation.place}].{member}"
    return RuleViolated(
        f"{expression}: {pointer or 'the whole document'!r} {problem}.", key="patch-path", expression=expression
    )


def _step(container: Any, token: str, operation: Operation, tokens: Tokens, member: str) -> Any:
    if isinstance(container, dict):
        if token not in container:
            raise _no_place(operation, member, tokens, f"does not exist: there is no member {token!r}")
        return container[token]
    if isinstance(container, list):
        return container[_index(container, token, operation, tokens, member, len(container) - 1)]
    raise _no_place(operation, member, tokens, f"does not exist: {token!r} stands below a value without members")


def _index(container: list[Any], token: str, operation: Operation, tokens: Tokens, member: str, last: int) -> int:
    if not (token.isascii() and token.isdecimal()) or (len(token) > 1 and token[0] == "0"):
        raise _no_place(operation, member, tokens, f"does not exist: {token!r} is no index of an array")
    if len(token) > len(str(last)) or int(token) > last:
        raise _no_place(operation, member, tokens, f"does not exist: the array has {len(container)} items")
    return int(token)


def _get(document: Any, operation: Operation, tokens: Tokens, member: str) -> Any:
    for token in tokens:
        document = _step(document, token, operation, tokens, member)
    return document


def _put(document: Any, operation: Operation, value: Any) -> Any:
    if not operation.path:
        return value
    container = _get(document, operation, operation.path[:-1], "path")
    token = operation.path[-1]
    if isinstance(container, dict):
        container[token] = value
    elif isinstance(container, list):
        last = len(container)
        index = last if token == "-" else _index(container, token, operation, operation.path, "path", last)  # noqa: S105  # the end of an array
        container.insert(index, value)
    else:
        raise _no_place(operation, "path", operation.path, "cannot be added below a value without members")
    return document


def _take(document: Any, operation: Operation, tokens: Tokens, member: str) -> Any:
    if not tokens:
        raise _no_place(operation, member, tokens, "cannot be removed")
    container = _get(document, operation, tokens[:-1], member)
    value = _step(container, tokens[-1], operation, tokens, member)
    del container[tokens[-1] if isinstance(container, dict) else int(tokens[-1])]
    return value


def _add(document: Any, operation: Operation) -> Any:
    return _put(document, operation, copied(operation.value))


def _remove(document: Any, operation: Operation) -> Any:
    _take(document, operation, operation.path, "path")
    return document


def _replace(document: Any, operation: Operation) -> Any:
    value = copied(operation.value)
    if not operation.path:
        return value
    container = _get(document, operation, operation.path[:-1], "path")
    token = operation.path[-1]
    _step(container, token, operation, operation.path, "path")
    container[token if isinstance(container, dict) else int(token)] = value
    return document


def _move(document: Any, operation: Operation) -> Any:
    if operation.source == operation.path:
        _get(document, operation, operation.source, "from")
        return document
    return _put(document, operation, _take(document, operation, operation.source, "from"))


def _copy(document: Any, operation: Operation) -> Any:
    return _put(document, operation, copied(_get(document, operation, operation.source, "from")))


def _test(document: Any, operation: Operation) -> Any:
    found = _get(document, operation, operation.path, "path")
    if not _same(found, operation.value):
        expression = f"[{operation.place}].value"
        raise RuleViolated(
            f"{expression}: the test failed, another value stands at '/{'/'.join(operation.path)}'. Read the resource "
            "again and make the patch anew.",
            key="patch-test-failed",
            expression=expression,
        )
    return document


_APPLY: Final[dict[str, Callable[[Any, Operation], Any]]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def _same(left: Any, right: Any) -> bool:
    """Compare as RFC 6902 section 4.6 asks: numbers by value, objects in any order, true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, (int, Decimal)) and isinstance(right, (int, Decimal)):
        return left == right
    return type(left) is type(right) and bool(left == right)


def _size(value: Any, most: int) -> int:
    """Count the JSON values in a value, up to `most` and a little more."""
    count, level = 0, [value]
    while level and count <= most:
        count += len(level)
        level = [child for item in level for child in _children(item)]
    return count
