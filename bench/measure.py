"""Rounds that alternate between the sides of a comparison, and what one line of the report holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, NamedTuple

from bench.client import Job, Outcome, run_apart
from bench.processes import Process


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure."""

    rounds: int = 5
    seconds: float = 2.0
    full: bool = False


class Side(NamedTuple):
    """One side of a comparison: a server and what is asked of it."""

    process: Process
    job: Job


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians over the rounds of one side. Times in microseconds."""

    rps: float
    p50: float
    p95: float
    p99: float
    cpu: float
    """User and system time of the server for one request."""
    spread: float
    """Half the distance between the least and the greatest rps, as a part of the median."""


@dataclass(frozen=True, slots=True)
class Line:
    """One budget: `value` is to be at least or at most `budget`; without a budget it is told for information."""

    name: str
    value: float
    unit: str
    budget: float | None = None
    at_least: bool = False
    note: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """`ok`, `MISSED`, or nothing when there is no budget."""
        if self.budget is None:
            return ""
        met = self.value >= self.budget if self.at_least else self.value <= self.budget
        return "ok" if met else "MISSED"


def alternate(plan: Plan, sides: Mapping[str, Side]) -> dict[str, Figures]:
    """Measure all sides in turn, round after round (A B A B); the first, shorter round warms up and is not counted."""
    outcomes: dict[str, list[tuple[Outcome, float]]] = {name: [] for name in sides}
    starts = dict.fromkeys(sides, 0)
    for turn in range(plan.rounds + 1):
        for name, side in sides.items():
            seconds = plan.seconds if turn else min(1.0, plan.seconds)
            outcome, cpu = once(side.process, replace(side.job, seconds=seconds, start=starts[name]))
            starts[name] += outcome.count
            if turn:
                outcomes[name].append((outcome, cpu))
    return {name: figures(found) for name, found in outcomes.items()}


def once(process: Process, job: Job) -> tuple[Outcome, float]:
    """Run a job; return its outcome and the CPU time of the server for one request, in microseconds.

    Raises RuntimeError when an answer was an error: a benchmark of refusals says nothing.
    """
    before = process.cpu_seconds()
    outcome = run_apart(job)
    cpu = 1e6 * (process.cpu_seconds() - before) / max(1, outcome.count)
    if any(status[0] not in "23" for status in outcome.statuses):
        raise RuntimeError(f"the server answered {outcome.statuses} to {job.requests[0][:200]!r}; see {process.log}")
    return outcome, cpu


def figures(found: Sequence[tuple[Outcome, float]]) -> Figures:
    """Return the medians of rounds."""
    rates = [outcome.rps for outcome, _ in found]
    middle = median(rates)
    return Figures(
        rps=middle,
        p50=median(outcome.p50 for outcome, _ in found),
        p95=median(outcome.p95 for outcome, _ in found),
        p99=median(outcome.p99 for outcome, _ in found),
        cpu=median(cpu for _, cpu in found),
        spread=(max(rates) - min(rates)) / 2 / middle,
    )
