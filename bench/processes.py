"""Server processes under measurement: starting, what they consume, stopping."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.client import ask, http_request

ROOT = Path(__file__).parents[1]
_TICKS = os.sysconf("SC_CLK_TCK")
MASTER_KEY = "0b" * 32
"""Seals all stores of the benchmark, so that a copy opens too."""
_START_SECONDS = 60


class Process:
    """A server on a free port of the loopback; a context manager that has answered once when it is entered."""

    def __init__(
        self, command: Sequence[str], log: Path, probe: str, environment: Mapping[str, str] | None = None
    ) -> None:
        """`{port}` in the command becomes the port; `probe` is a path that answers 200."""
        self.port = _free_port()
        self.log = log
        self.seconds_to_answer = 0.0
        """From the start of the process to the first answer, 200."""
        self._command = [part.replace("{port}", str(self.port)) for part in command]
        self._probe = http_request("GET", probe)
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_")}
        began = time.perf_counter()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=clean | dict(self._environment),
            )
        while True:
            try:
                status = ask(self.port, self._probe)[0]
                break
            except OSError:
                if self._process.poll() is not None or time.perf_counter() - began > _START_SECONDS:
                    self.stop()
                    raise RuntimeError(f"{self._command} did not start: {self.log.read_text()[-3000:]}") from None
                time.sleep(0.005)
        self.seconds_to_answer = time.perf_counter() - began
        if status != 200:
            self.stop()
            raise RuntimeError(f"{self._command} answers {status} to its first request")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process and wait for it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def cpu_seconds(self) -> float:
        """Return user and system time of all threads so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_mb(self) -> float:
        """Return the resident set, pages of mapped files included, in MB."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self._process.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0


def fhir_server(store: Path, probe: str, **settings: str) -> Process:
    """Return our server on a store file, with the default settings unless some are named."""
    command = [sys.executable, "-m", "fhir_server", "serve", "--port", "{port}", "--store", str(store)]
    settings = {"log_level": "warning", "master_key": MASTER_KEY, **settings}
    environment = {f"FHIR_{name.upper()}": value for name, value in settings.items()}
    return Process(command, store.with_suffix(".log"), probe, environment)


def bare_server(answers: Path, probe: str) -> Process:
    """Return the ceiling: answers from a file, see bench.ceiling."""
    return Process([sys.executable, "-m", "bench.ceiling", "{port}", str(answers)], answers.with_suffix(".log"), probe)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
