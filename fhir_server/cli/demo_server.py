"""A server process for the demo: its own, on a fresh store, stopped when the demo stops."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from fhir_server.cli.serve import READY
from fhir_server.settings import PREFIX

_START_SECONDS = 30
_STOP_SECONDS = 15


class ServerProcess:
    """`fhir-server serve` as a child process; a context manager that returns when it answers. `base` is its FHIR base."""

    def __init__(self, folder: Path, port: int, artifacts: Path, store: str = "") -> None:
        self.port = port
        self.base = f"http://127.0.0.1:{port}/fhir"
        self.store = store or str(folder / "fhir.sqlite")
        self.log = folder / "server.log"
        self._artifacts = artifacts
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start on an empty store and wait until it answers. Raises ClickException with the log when it does not."""
        self._empty_folder()
        command = [sys.executable, "-m", "fhir_server", "serve", "--port", str(self.port), "--store", self.store]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environment["FHIR_ARTIFACT_ROOT"] = str(self._artifacts)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own command on our own interpreter
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()

    def wait(self) -> int:
        """Wait until the server ends by itself; return its exit status."""
        return self._process.wait() if self._process is not None else 0

    def stop(self) -> None:
        """Ask the server to stop, and end it when it does not listen."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _empty_folder(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        for left_over in self.log.parent.glob("fhir.sqlite*"):
            left_over.unlink()

    def _wait_until_it_answers(self) -> None:
        """Watch the log of this very process: on the port itself, another one might answer."""
        deadline = time.monotonic() + _START_SECONDS
        while self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
            if READY.encode() in self.log.read_bytes():
                return
            time.sleep(0.02)
        said = self.log.read_text(encoding="utf-8", errors="replace")[-4000:]
        raise click.ClickException(f"the server did not start; {self.log} says:\n{said}")


def choose_port(wanted: int) -> int:
    """Return the wanted port when it is free, else another one that is."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
            return chosen
    raise click.ClickException("no TCP port is free on 127.0.0.1")
