"""A real server on a real socket: uvicorn in a thread, a fresh SQLite file, an httpx client."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from hypothesis import settings

from fhir_server.app import create_app
from fhir_server.artifacts.source import default_root
from fhir_server.settings import Settings
from tests.unit.outbound.receiver import Receiver

FHIR_JSON = "application/fhir+json"

# A gate gives one verdict on one state of the code: its draws are derived from the tests. New ones are `make explore`'s.
settings.register_profile("gate", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("gate")


class RunningServer:
    """A server that listens; `base` is its FHIR base URL."""

    def __init__(self, settings: dict[str, Any]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.settings = Settings(port=port, **settings)
        self.base = self.settings.public_base
        config = uvicorn.Config(
            create_app(self.settings), host="127.0.0.1", port=port, log_level="warning", lifespan="on", access_log=False
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the server did not start")
            threading.Event().wait(0.01)

    def stop(self) -> None:
        """Stop and wait."""
        self._server.should_exit = True
        self._thread.join(timeout=10)


def said_until(process: "subprocess.Popen[str]", mark: str) -> str:
    """Return what a process says up to the line with a mark. Raises AssertionError when it falls silent before."""
    assert process.stdout is not None
    said = ""
    while mark not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


@contextmanager
def served(folder: Path, **settings: Any) -> Iterator[httpx.Client]:
    """A client of a server with settings of its own, on a fresh file in a folder; it has only what its tests put there."""
    running = RunningServer({"store": f"sqlite:///{folder / 'fhir.sqlite'}", "publish_artifacts": False, **settings})
    try:
        with httpx.Client(base_url=running.base, timeout=30) as http:
            yield http
    finally:
        running.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all tests that do not need settings of their own; tests use resources of their own."""
    path: Path = tmp_path_factory.mktemp("store") / "fhir.sqlite"
    running = RunningServer({"store": f"sqlite:///{path}"})
    yield running
    running.stop()


@pytest.fixture(scope="session")
def client(server: RunningServer) -> Iterator[httpx.Client]:
    """A client of that server, speaking FHIR JSON."""
    with httpx.Client(
        base_url=server.base, headers={"Accept": FHIR_JSON, "Content-Type": FHIR_JSON}, timeout=30
    ) as http:
        yield http


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Any]:
    """Return a function that starts a server with settings of the test's own."""
    running: list[RunningServer] = []

    def start(**settings: Any) -> RunningServer:
        settings.setdefault("store", f"sqlite:///{tmp_path / f'{len(running)}.sqlite'}")
        running.append(RunningServer(settings))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that answers 200 until it is told otherwise."""
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def copied_root(tmp_path: Path) -> Path:
    """A copy of the artefact folders, to add to."""
    copy = tmp_path / "artifacts"
    for folder in ("profiles", "terminology", "mappings"):
        shutil.copytree(default_root() / folder, copy / folder)
    return copy


def outcome(response: httpx.Response, status: int, key: str | None = None) -> dict[str, Any]:
    """Assert the one shape that every refusal has, and return its first issue."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith(FHIR_JSON)
    body = response.json()
    assert body["resourceType"] == "OperationOutcome"
    issue = body["issue"][0]
    assert issue["severity"] in ("error", "fatal")
    assert issue["diagnostics"]
    if key is not None:
        assert key in [each["details"]["coding"][0]["code"] for each in body["issue"]], response.text
    return dict(issue)


@pytest.fixture(scope="session")
def refused() -> Any:
    """Give tests the assertion for refusals."""
    return outcome
