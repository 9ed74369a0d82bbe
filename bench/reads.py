"""Reading: against the ceiling, a poll against a read, small against large stores, and steadiness."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from bench import seeding
from bench.client import Job, ask, http_request
from bench.measure import Figures, Line, Plan, Side, alternate
from bench.processes import Process, bare_server, fhir_server

_READS = 500
_POLLS = 200
_SMALL, _MIDDLE, _LARGE = 10_000, 100_000, 1_000_000
_MODERATE = 0.3
"""Steady load, as a part of what the server can do at most."""


def ceiling_lines(plan: Plan) -> Iterator[Line]:
    """Read by id and conditional read, 16 connections, against a bare route that sends the same bytes and headers."""
    store = seeding.tasks_file(_SMALL)
    requests, paths = _reads(store, 200)
    with fhir_server(store, paths[0]) as server:
        conditional = _conditional(server, paths)
        for name, asked, budget in (("read by id", requests, 0.5), ("304 to If-None-Match", conditional, 0.6)):
            answers = _recorded(server, paths, asked)
            with bare_server(answers, paths[0]) if asked is requests else bare_server(answers, "/ready") as bare:
                found = alternate(
                    plan,
                    {
                        "bare route": Side(bare, Job(bare.port, asked, connections=16)),
                        "server": Side(server, Job(server.port, asked, connections=16)),
                    },
                )
            ours, ceiling = found["server"], found["bare route"]
            note = f"{ours.rps:.0f} of {ceiling.rps:.0f}/s; CPU {ceiling.cpu:.0f} of {ours.cpu:.0f} µs = {ceiling.cpu / ours.cpu:.0%}"
            yield Line(f"{name}, of the ceiling", ours.rps / ceiling.rps, "%", budget, True, note, _all(found))


def poll_lines(plan: Plan) -> Iterator[Line]:
    """Poll over 100,000 Tasks against a read from the same store, one connection."""
    store = seeding.tasks_file(_MIDDLE + _MIDDLE // 10)
    reads, paths = _reads(store, _READS)
    with fhir_server(store, paths[0]) as server:
        found = alternate(
            plan,
            {
                "read": Side(server, Job(server.port, reads)),
                "poll, page of 20": Side(server, Job(server.port, polls(store, 0.05, 0.75))),
                "poll, nothing new": Side(server, Job(server.port, polls(store, 1 - 1e-9, 1 - 1e-9))),
            },
        )
    read = found["read"]
    for name in ("poll, page of 20", "poll, nothing new"):
        poll = found[name]
        note = f"p50 {poll.p50:.0f} to {read.p50:.0f} µs; CPU {poll.cpu:.0f} to {read.cpu:.0f} µs = {poll.cpu / read.cpu:.1f} x"
        budget = 4.0 if "20" in name else None
        yield Line(f"{name}, in reads", poll.p50 / read.p50, "x", budget, False, note, _all(found))


def growth_lines(plan: Plan) -> Iterator[Line]:
    """Read and poll medians in a store of 10,000 resources and in a large one, one connection."""
    large = _LARGE if plan.full else _MIDDLE + _MIDDLE // 10
    stores = {"small": seeding.tasks_file(_SMALL), "large": seeding.tasks_file(large)}
    with ExitStack() as stack:
        sides = {}
        for name, store in stores.items():
            reads, paths = _reads(store, 5 * _READS)
            server = stack.enter_context(fhir_server(store, paths[0]))
            sides[f"{name} read"] = Side(server, Job(server.port, reads))
            sides[f"{name} poll"] = Side(server, Job(server.port, polls(store, 0.05, 0.75)))
        found = alternate(plan, sides)
    for name in ("read", "poll"):
        small, grown = found[f"small {name}"], found[f"large {name}"]
        note = f"p50 {small.p50:.0f} to {grown.p50:.0f} µs; CPU {small.cpu:.0f} to {grown.cpu:.0f} µs = {grown.cpu / small.cpu:.2f} x"
        budget = 1.3 if plan.full else None
        yield Line(
            f"{name}, 10,000 to {large:,} resources", grown.p50 / small.p50, "x", budget, False, note, _all(found)
        )


def steady_lines(plan: Plan) -> Iterator[Line]:
    """Tail of reads and polls at a moderate, even rate; the bare route at the same rate tells how even the machine is."""
    store = seeding.tasks_file(_SMALL)
    reads, paths = _reads(store, _READS)
    with fhir_server(store, paths[0]) as server:
        answers = _recorded(server, paths, reads)
        with bare_server(answers, paths[0]) as bare:
            jobs = {
                "read": Side(server, Job(server.port, reads, connections=16)),
                "poll": Side(server, Job(server.port, polls(store, 0.05, 0.75), connections=16)),
            }
            most = alternate(replace(plan, rounds=1), jobs)
            sides = {
                name: Side(side.process, replace(side.job, rate=_MODERATE * most[name].rps))
                for name, side in jobs.items()
            }
            sides["bare route"] = Side(bare, Job(bare.port, reads, connections=16, rate=_MODERATE * most["read"].rps))
            found = alternate(plan, sides)
    yield from (tail(name, found[name], sides[name].job.rate, found) for name in sides)


def tail(name: str, found: Figures, rate: float, everything: dict[str, Figures]) -> Line:
    """Return the line for p99 over p50."""
    note = f"p50 {found.p50:.0f}, p95 {found.p95:.0f}, p99 {found.p99:.0f} µs at {rate:.0f}/s"
    budget = None if name == "bare route" else 5.0
    return Line(f"{name}, steady, p99 in p50", found.p99 / found.p50, "x", budget, False, note, _all(everything))


def polls(store: Path, low: float, high: float) -> tuple[str, ...]:
    """Return polls of random organisations that saw everything up to a moment between two parts of the file's life."""
    moments = seeding.instants(store, _POLLS, low, high)
    return tuple(
        http_request(
            "GET",
            f"/fhir/Task?owner=Organization/org-{number % seeding.ORGANISATIONS}&_lastUpdated=gt{moment}"
            "&_sort=_lastUpdated&_count=20",
        )
        for number, moment in enumerate(moments)
    )


def _reads(store: Path, number: int) -> tuple[tuple[str, ...], list[str]]:
    paths = [f"/fhir/Task/{name}" for name in seeding.task_ids(store, number)]
    return tuple(http_request("GET", path) for path in paths), paths


def _conditional(server: Process, paths: list[str]) -> tuple[str, ...]:
    tag = ask(server.port, http_request("GET", paths[0]))[1]["etag"]
    return tuple(http_request("GET", path, [("if-none-match", tag)]) for path in paths)


def _recorded(server: Process, paths: list[str], requests: tuple[str, ...]) -> Path:
    """Keep the server's answers for the bare route; the one that makes the date is the HTTP layer of both."""
    answers: dict[str, tuple[int, list[tuple[str, str]], str]] = {"/ready": (200, [("content-length", "0")], "")}
    for path, request in zip(paths, requests, strict=True):
        status, headers, body = ask(server.port, request)
        kept = [(name, value) for name, value in headers.items() if name != "date"]
        answers[path] = (status, kept, body.decode("latin-1"))
    target = seeding.FOLDER / "answers.json"
    target.write_text(json.dumps(answers), encoding="ascii")
    return target


def _all(found: dict[str, Figures]) -> dict[str, dict[str, float]]:
    return {name: asdict(item) for name, item in found.items()}
