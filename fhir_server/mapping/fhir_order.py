"""An order of things that refer to each other: what is referred to comes first, and circles stay together."""

from collections.abc import Iterator, Sequence


def in_order(graph: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Yield the nodes of `graph` (for each node, those that it refers to) in groups, referred-to ones first.

    A group of several nodes is a circle. Tarjan's algorithm without recursion, in the order of the nodes: linear.
    """
    found: dict[int, int] = {}
    lowest: dict[int, int] = {}
    open_nodes: list[int] = []
    placed: set[int] = set()
    for start in range(len(graph)):
        if start in found:
            continue
        path = [(start, iter(graph[start]))]
        found[start] = lowest[start] = len(found)
        open_nodes.append(start)
        while path:
            node, following = path[-1]
            for other in following:
                if other not in found:
                    found[other] = lowest[other] = len(found)
                    open_nodes.append(other)
                    path.append((other, iter(graph[other])))
                    break
                if other not in placed:
                    lowest[node] = min(lowest[node], found[other])
            else:
                path.pop()
                if path:
                    lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[node])
                if lowest[node] == found[node]:
                    yield _closed(open_nodes, node, placed)


def _closed(open_nodes: list[int], first: int, placed: set[int]) -> list[int]:
    at = open_nodes.index(first) if open_nodes[-1] != first else len(open_nodes) - 1
    group = open_nodes[at:]
    del open_nodes[at:]
    placed.update(group)
    return group
