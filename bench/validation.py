"""Validation against `json.loads` of the same bytes, a Bundle against one resource, and the time until it can begin.

All in this process, the sides in turn, in CPU time: what one call costs, not what a server does with it.
"""

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from bench.measure import Line, Plan
from fhir_server.artifacts.catalog import Catalog
from fhir_server.model.codec import decode
from fhir_server.validation.pipeline import Validator

_EXAMPLES = Path(__file__).parents[1] / "examples/profiles"
_ENTRIES = 20
_BLOCK_SECONDS = 0.02
_READY = """
import time
began = time.perf_counter()
from fhir_server.artifacts.catalog import Catalog
from fhir_server.model.codec import decode
from fhir_server.search.parameters import Registry
from fhir_server.terminology.service import TerminologyService
from fhir_server.validation.pipeline import Validator
catalog = Catalog.load()
validator = Validator.load(catalog, TerminologyService.load(catalog))
Registry.load(catalog.of_type("SearchParameter"))
import sys
if validator.judge(decode(sys.stdin.buffer.read())).issues:
    raise SystemExit("the example is refused")
print(time.perf_counter() - began)
"""


def lines(plan: Plan) -> Iterator[Line]:
    """Measure the four budgets of validation."""
    raw = (_EXAMPLES / "social-referral-typical.json").read_bytes()
    resource, bundle = decode(raw), bundle_of(_ENTRIES)
    validator = Validator.load(Catalog.load())
    for judged in (resource, bundle):
        if issues := validator.judge(judged).issues:
            raise RuntimeError(f"the example is refused: {issues}")
    found = in_turn(
        plan.rounds * 20,
        {
            "loads": lambda: json.loads(raw),
            "base": lambda: validator.validate(resource),
            "profile": lambda: validator.judge(resource),
            "bundle": lambda: validator.judge(bundle),
        },
    )
    note = f"{found['loads']:.1f} µs for {len(raw)} bytes"
    yield Line("validate, base R4 / json.loads", found["base"] / found["loads"], "x", 3.0, False, note, found)
    note = f"{found['profile']:.1f} µs with profile, invariants and bindings"
    yield Line("validate, profile / json.loads", found["profile"] / found["loads"], "x", 10.0, False, note, found)
    note = f"{found['bundle']:.0f} µs for {_ENTRIES} entries, each with its profile"
    yield Line(
        "validate, 20-entry Bundle / 1 resource", found["bundle"] / found["profile"], "x", 25.0, False, note, found
    )
    ready = [_seconds_to_ready(raw) for _ in range(plan.rounds)]
    note = "imports, artefacts, first judgement"
    yield Line("artefacts ready after start", median(ready), "s", 0.5, False, note, {"seconds": ready})


def bundle_of(count: int) -> dict[str, Any]:
    """Return a ReferralBundle with `count` entries: the typical one, with more needs and findings of the same kinds."""
    bundle: dict[str, Any] = decode((_EXAMPLES / "referral-bundle-typical.json").read_bytes())
    more = [entry for entry in bundle["entry"] if entry["resource"]["resourceType"] in ("Condition", "Observation")]
    for number in range(count - len(bundle["entry"])):
        source = more[number % len(more)]
        kind, name = source["resource"]["resourceType"], f"more-{number}"
        bundle["entry"].append(
            {
                "fullUrl": f"urn:uuid:7d4a9f5e-2f65-4c8a-9b8b-{number:012d}",
                "resource": source["resource"] | {"id": name},
                "request": {"method": "PUT", "url": f"{kind}/{name}"},
            }
        )
    return bundle


def in_turn(rounds: int, sides: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median CPU time of one call of each side, in microseconds; the sides take turns in short blocks."""
    times = {name: max(1, int(_BLOCK_SECONDS / _once(side))) for name, side in sides.items()}
    spent: dict[str, list[float]] = {name: [] for name in sides}
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        for name, side in sides.items():
            began = time.process_time()
            for _ in range(times[name]):
                side()
            spent[name].append((time.process_time() - began) / times[name])
    gc.unfreeze()
    return {name: 1e6 * median(found) for name, found in spent.items()}


def _once(side: Callable[[], object]) -> float:
    for _ in range(20):
        side()
    began = time.process_time()
    for _ in range(20):
        side()
    return max(1e-7, (time.process_time() - began) / 20)


def _seconds_to_ready(raw: bytes) -> float:
    done = subprocess.run([sys.executable, "-c", _READY], input=raw, capture_output=True, check=True)
    return float(done.stdout)
