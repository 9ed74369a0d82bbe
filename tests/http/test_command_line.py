"""The commands that serve and that load over HTTP, as processes."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from fhir_server.cli import main
from tests.conftest import said_until

COMMAND = [sys.executable, "-m", "fhir_server"]


@pytest.fixture
def base(tmp_path: Path):
    """A server on a port that it chose itself; the base is what it printed."""
    arguments = ["serve", "--port", "0", "--store", str(tmp_path / "deep" / "fhir.sqlite")]
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True) as process:
        said = said_until(process, "ready")
        assert "DEVELOPMENT MODE" in said
        yield said.split("base ")[1].split()[0]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode in (0, -signal.SIGTERM)


def test_serve_says_where_it_is_and_answers_there(base: str) -> None:
    answer = requests.get(f"{base}/metadata", timeout=10)
    assert answer.status_code == 200
    assert answer.json()["resourceType"] == "CapabilityStatement"


def test_load_over_http_stores_and_tells_what_was_refused(base: str, tmp_path: Path) -> None:
    source = tmp_path / "x.ndjson"
    source.write_text(
        '{"resourceType":"Patient","id":"p"}\n{"resourceType":"Patient","id":"q","gender":"woman"}\n'
        '{"resourceType":"Patient"}\n'
        '{"resourceType":"Bundle","type":"batch","entry":['
        '{"resource":{"resourceType":"Group","type":"person","actual":true},"request":{"method":"POST","url":"Group"}},'
        '{"resource":{"resourceType":"Group"},"request":{"method":"POST","url":"Group"}}]}\n',
        encoding="utf-8",
    )
    result = CliRunner().invoke(main, ["load", str(source), "--url", f"{base}/"])
    assert result.exit_code == 1
    assert "loaded 3 resources: 1 Group, 2 Patient" in result.stdout
    assert f"refused Patient/q from {source}:2" in result.stdout
    assert "(Patient.gender)" in result.stdout
    assert f"refused Bundle.entry[1] from {source}:4" in result.stdout
    assert requests.get(f"{base}/Patient/p", timeout=10).status_code == 200


def test_load_says_when_nobody_answers(tmp_path: Path) -> None:
    source = tmp_path / "x.json"
    source.write_text('{"resourceType":"Patient","id":"p"}', encoding="utf-8")
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}/fhir"
        result = CliRunner().invoke(main, ["load", str(source), "--url", url])
    assert result.exit_code == 1
    assert "had no answer" in result.stdout


def test_a_port_in_use_is_said_and_nothing_is_made(tmp_path: Path) -> None:
    store = tmp_path / "fhir.sqlite"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "serve", "--port", port, "--store", str(store)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert f"127.0.0.1 port {port} is not free" in done.stderr
    assert not store.exists()
