"""The load client: one process, non-blocking sockets with keep-alive, requests that were built beforehand.

Runs as `python -m bench.client`: a Job as JSON on standard input, an Outcome as JSON on standard output. Each connection has
one request under way. Closed loop (`rate` 0): the next request follows the answer at once. Open loop: requests fall
due at a fixed rate, and one that finds no free connection counts its waiting time, so that a server which stalls cannot
hide it. In the closed loop the client does not sleep: waking it would be charged to the server, and more to a slow one
than to a quick one that always finds it awake.
"""

import json
import select
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

_RECEIVE = 1 << 18


@dataclass(frozen=True, slots=True)
class Job:
    """What to ask: requests are taken in turn, from the first, by whichever connection is free."""

    port: int
    requests: tuple[str, ...]
    """Whole HTTP requests, as Latin-1 text."""
    connections: int = 1
    seconds: float = 1.0
    rate: float = 0.0
    """Requests per second; 0 means as fast as answers come."""
    start: int = 0
    """Index of the first request, so that rounds do not repeat each other."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job. Times in microseconds."""

    count: int
    seconds: float
    p50: float
    p95: float
    p99: float
    statuses: dict[str, int]

    @property
    def rps(self) -> float:
        """Answers per second."""
        return self.count / self.seconds


def http_request(method: str, path: str, headers: Sequence[tuple[str, str]] = (), body: bytes | None = None) -> str:
    """Build the text of one HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", "accept: application/fhir+json"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        lines += ["content-type: application/fhir+json", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]) + (body or b"").decode("latin-1")


def run_apart(job: Job) -> Outcome:
    """Run a job in a process of its own and return its outcome."""
    command = [sys.executable, "-m", "bench.client"]
    done = subprocess.run(command, input=json.dumps(asdict(job)).encode(), capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.decode()[-2000:])
    return Outcome(**json.loads(done.stdout))


def ask(port: int, request: str) -> tuple[int, dict[str, str], bytes]:
    """Do one request on a connection of its own; return status, headers with lower-case names, and body."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
        link.sendall(request.encode("latin-1"))
        data = bytearray()
        while (whole := _whole(data)) == 0:
            chunk = link.recv(_RECEIVE)
            if not chunk:
                raise ConnectionError(f"the server closed the connection after {bytes(data[:200])!r}")
            data += chunk
    head, _, body = bytes(data[:whole]).partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in lines[1:])
    return int(lines[0].split(" ")[1]), {name.lower(): value for name, value in pairs}, body


class _Connection:
    __slots__ = ("data", "link", "since")

    def __init__(self, port: int) -> None:
        self.link = socket.create_connection(("127.0.0.1", port))
        self.link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.link.setblocking(False)
        self.since = 0.0
        self.data = bytearray()

    def send(self, request: bytes, since: float) -> None:
        self.since = since
        sent = self.link.send(request)
        if sent < len(request):
            self.link.setblocking(True)
            self.link.sendall(request[sent:])
            self.link.setblocking(False)

    def receive(self) -> int:
        """Read what there is; return the status once the answer is whole, else 0."""
        chunk = self.link.recv(_RECEIVE)
        if not chunk:
            raise ConnectionError("the server closed a connection")
        data: bytes | bytearray = chunk
        if self.data:
            self.data += chunk
            data = self.data
        if _whole(data) == 0:
            if not self.data:
                self.data += chunk
            return 0
        status = int(data[9:12])
        if self.data:
            self.data = bytearray()
        return status


def _whole(data: bytes | bytearray) -> int:
    """Return the length of the answer when all of it is there, else 0."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    at = data.find(b"ontent-length: ", 0, end)
    length = int(data[at + 15 : data.find(b"\r", at)]) if at >= 0 else 0
    return end + 4 + length if len(data) >= end + 4 + length else 0


def run(job: Job) -> Outcome:
    """Run a job in this process."""
    requests = [text.encode("latin-1") for text in job.requests]
    connections = {item.link.fileno(): item for item in (_Connection(job.port) for _ in range(job.connections))}
    times: list[float] = []
    statuses: Counter[str] = Counter()
    drive = _steady if job.rate else _flat_out
    began = time.perf_counter()
    ended = drive(connections, requests, job, times, statuses)
    for item in connections.values():
        item.link.close()
    times.sort()
    p50, p95, p99 = (_percentile(times, part) for part in (0.50, 0.95, 0.99))
    return Outcome(len(times), ended - began, p50, p95, p99, dict(statuses))


def _percentile(ordered: Sequence[float], part: float) -> float:
    return 1e6 * ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


def _flat_out(
    connections: dict[int, _Connection], requests: list[bytes], job: Job, times: list[float], statuses: Counter[str]
) -> float:
    clock = time.perf_counter
    poll = select.epoll()
    turn, number = job.start, len(requests)
    until = clock() + job.seconds
    for handle, item in connections.items():
        poll.register(handle, select.EPOLLIN)
        item.send(requests[turn % number], clock())
        turn += 1
    under_way = len(connections)
    while under_way:
        for handle, _ in poll.poll(0):  # never asleep: to wake a client costs a server more than a small answer does
            item = connections[handle]
            status = item.receive()
            if not status:
                continue
            now = clock()
            times.append(now - item.since)
            statuses[str(status)] += 1
            if now < until:
                item.send(requests[turn % number], now)
                turn += 1
            else:
                under_way -= 1
    return clock()


def _steady(
    connections: dict[int, _Connection], requests: list[bytes], job: Job, times: list[float], statuses: Counter[str]
) -> float:
    clock = time.perf_counter
    handles = list(connections)
    free = deque(connections.values())
    began = clock()
    total, number, turn, done = int(job.rate * job.seconds), len(requests), 0, 0
    while done < total:
        now = clock()
        while free and turn < total and (due := began + turn / job.rate) <= now:
            waited = len(free) == 0 or now - due > 1 / job.rate
            free.popleft().send(requests[(job.start + turn) % number], due if waited else now)
            turn += 1
        pause = max(0.0, began + turn / job.rate - clock()) if free and turn < total else 1.0
        for handle in select.select(handles, (), (), pause)[0]:
            item = connections[handle]
            status = item.receive()
            if status:
                times.append(clock() - item.since)
                statuses[str(status)] += 1
                free.append(item)
                done += 1
    return clock()


def middle(outcomes: Sequence[Outcome], name: str) -> float:
    """Return the median of one figure over rounds."""
    return median(float(getattr(outcome, name)) for outcome in outcomes)


def main() -> None:
    given: dict[str, Any] = json.load(sys.stdin)
    given["requests"] = tuple(given["requests"])
    json.dump(asdict(run(Job(**given))), sys.stdout)


if __name__ == "__main__":
    main()
