"""Start and rest: seconds to the first answer, memory when idle."""

import time
from collections.abc import Iterator
from statistics import median

from bench import seeding
from bench.client import ask, http_request
from bench.measure import Line, Plan
from bench.processes import fhir_server

_PROBE = "/fhir/Organization/org-praktijk-bea"


def lines(plan: Plan) -> Iterator[Line]:
    """Start the server on a small store, read once, and let it rest."""
    starts, resident = [], []
    for _ in range(plan.rounds):
        with fhir_server(seeding.copy_of(seeding.region_file(), "idle"), _PROBE) as server:
            starts.append(server.seconds_to_answer)
            status, _, _ = ask(server.port, http_request("GET", "/fhir/metadata"))
            if status != 200:
                raise RuntimeError(f"/metadata answers {status}")
            time.sleep(1.0)
            resident.append(server.resident_mb())
    note = f"{min(starts):.2f} to {max(starts):.2f} s in {len(starts)} starts"
    yield Line("cold start to the first read", median(starts), "s", 2.0, False, note, {"starts": starts})
    yield Line(
        "memory when idle", median(resident), "MB", 150.0, False, "after one read and /metadata", {"resident": resident}
    )
