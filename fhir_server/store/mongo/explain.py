"""How a search runs: its pipelines without their values, what the server says of their plans, and the candidates."""

import json
import time
from collections.abc import Iterator
from typing import Any

from fhir_server.store.mongo import order
from fhir_server.store.mongo.compile import Search
from fhir_server.store.mongo.layout import CURRENT
from fhir_server.store.mongo.link import Document, Link
from fhir_server.store.port import Explanation, Row


def explain(link: Link, search: Search) -> Explanation:
    """Run a search under the limit of time and tell about it; its rows are counted and dropped."""
    began = time.perf_counter()
    rows = search.rows()
    milliseconds = 1e3 * (time.perf_counter() - began)
    requests = list(search.reader.requests)
    plans = [_plan(link, stages) for stages in requests]
    lines = tuple(dict.fromkeys(line for plan in plans for line in _lines(plan)))
    return Explanation(
        " ; ".join(json.dumps(_veiled(stages), ensure_ascii=False) for stages in requests),
        lines,
        tuple(dict.fromkeys(line.split()[1] for line in lines if line.startswith("IXSCAN"))),
        tuple(dict.fromkeys(CURRENT for line in lines if line.startswith("COLLSCAN"))),
        _candidates(search, rows),
        len(rows),
        milliseconds,
    )


def _plan(link: Link, stages: list[Document]) -> Any:
    """Ask for the plan of a pipeline; not in a transaction, which cannot be asked for plans."""
    command = {"aggregate": CURRENT, "pipeline": stages, "cursor": {}}
    return link.db.command("explain", command, verbosity="queryPlanner")


def _lines(plan: Any) -> Iterator[str]:
    """Yield the stages of the winning plans, whatever surrounds them."""
    if isinstance(plan, dict):
        for name, value in plan.items():
            if name == "winningPlan":
                yield from _stages(value)
            elif name != "rejectedPlans":
                yield from _lines(value)
    elif isinstance(plan, list):
        for one in plan:
            yield from _lines(one)


def _stages(plan: Any) -> Iterator[str]:
    if isinstance(plan, dict):
        if "stage" in plan:
            name = plan.get("indexName", "")
            express = "IXSCAN _id_" if plan["stage"] in ("IDHACK", "EXPRESS_IXSCAN") and not name else ""
            yield express or f"{plan['stage']} {name}".strip()
        for value in plan.values():
            yield from _stages(value)
    elif isinstance(plan, list):
        for one in plan:
            yield from _stages(one)


def _candidates(search: Search, rows: list[Row]) -> int:
    """Count what the first selection offers, up to the last row of a full page where it comes in the asked order."""
    stages = search.matching(search.query)
    if stages is None:
        return 0
    offered = stages[:2] if stages[0]["$match"].keys() == {"t"} else stages[:1]
    query = search.query
    if order.by_sequence(query) and len(rows) >= query.limit:
        descending = not query.sort or query.sort[0].descending
        last = rows[-1].version
        offered = [*offered, {"$match": {"s": {"$gte" if descending else "$lte": last.sequence}}}]
    return sum(int(one["n"]) for one in search.reader.run([*offered, {"$count": "n"}]))


def _veiled(value: Any) -> Any:
    """Leave the values out: an index key shows its parameter and kind, anything else a question mark."""
    match value:
        case dict():
            return {
                name: one if name in ("from", "as", "localField", "foreignField") else _veiled(one)
                for name, one in value.items()
            }
        case list():
            return [_veiled(one) for one in value[:3]]
        case str() if value.startswith("$"):
            return value
        case str() if " " in value:
            return f"{value.partition(' ')[0]} ?"
        case bool() | None:
            return value
        case _:
            return "?"
