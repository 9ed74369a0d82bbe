"""A MongoDB server for the tests: SecantusDB as a process of its own, and any that FHIR_TEST_MONGO_URL names.

SecantusDB speaks the protocol and has transactions; where it differs from what MongoDB documents, the store follows MongoDB,
and the difference is written down beside the test that meets it. Each store gets a database of its own.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

COMMAND = str(Path(sys.executable).with_name("secantusd-py"))
NAMED = os.environ.get("FHIR_TEST_MONGO_URL", "")


def database_url(server: str, name: str) -> str:
    """The address of a database on a server, whose own address may have options."""
    address, _, options = server.partition("?")
    return f"{address.rstrip('/')}/{name}" + (f"?{options}" if options else "")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Server:
    """A process that can be killed and started again on the same data."""

    def __init__(self, folder: Path, options: tuple[str, ...] = ()) -> None:
        self.folder, self.options, self.port = folder, options, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [COMMAND, "--port", str(self.port), "--storage-path", str(self.folder), "--log-level", "ERROR"]
        self.process = subprocess.Popen([*command, *self.options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            assert self.process.poll() is None, "SecantusDB did not start"
            try:
                with MongoClient[dict[str, object]](self.url, serverSelectionTimeoutMS=300) as client:
                    client.admin.command("hello")
                    return
            except PyMongoError:
                time.sleep(0.05)
        raise AssertionError("SecantusDB does not answer")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@contextmanager
def running(*, durable: bool = False, failing: bool = False) -> Iterator[Server]:
    """A server with data of its own, gone at the end; `failing` lets a test tell it which commands are to fail."""
    options = (("--sync-on-commit",) if durable else ()) + (("--enable-test-commands",) if failing else ())
    with tempfile.TemporaryDirectory(prefix="secantus") as folder:
        server = Server(Path(folder), options)
        server.start()
        try:
            yield server
        finally:
            server.kill()
