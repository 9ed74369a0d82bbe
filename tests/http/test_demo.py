"""The demo is a real one: a server process, a store in a file, and every answer checked."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from fhir_server.settings import shipped_artifacts


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(folder: Path, port: int, *options: str) -> list[str]:
    return [sys.executable, "-m", "fhir_server", "demo", "--folder", str(folder), "--port", str(port), *options]


def test_one_referral_goes_round_and_every_step_is_shown(tmp_path: Path) -> None:
    port = free_port()
    done = subprocess.run(command(tmp_path, port, "--once"), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for shown in (
        f"http://127.0.0.1:{port}/fhir answers",
        "POST /fhir\n",
        "201 Created: ServiceRequest/",
        "GET /fhir/Task?owner=Organization/",
        "422 Unprocessable",
        "412 Precondition Failed",
        'If-Match: W/"1"',
        "is accepted, version 2",
        "is in-progress, version 3",
        "is completed, version 4",
        "every answer was as it must be",
    ):
        assert shown in done.stdout
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/fhir/metadata", timeout=5)


def test_a_taken_port_is_said_and_another_one_used(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        done = subprocess.run(
            command(tmp_path, port, "--once"), capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Port {port} is taken; this demo uses " in done.stdout


def test_without_once_the_server_stays_until_it_is_interrupted(tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen(command(tmp_path, port), stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        said = ""
        while "stays until Ctrl-C" not in said:
            line = demo.stdout.readline()
            assert line, said
            said += line
        assert requests.get(f"http://127.0.0.1:{port}/fhir/metadata", timeout=10).status_code == 200
        demo.send_signal(signal.SIGINT)
        rest, _ = demo.communicate(timeout=30)
    assert demo.returncode == 0
    assert "stopped" in rest
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return
    pytest.fail("the server outlived the demo")


def test_the_demo_fails_when_the_referral_does_not_go_round(tmp_path: Path) -> None:
    """Without the person's consent the server must refuse, and the demo must notice."""
    shipped = shipped_artifacts()
    for folder in ("profiles", "terminology", "mappings", "examples"):
        shutil.copytree(shipped / folder, tmp_path / "root" / folder)
    for file in (tmp_path / "root" / "examples" / "erdan").glob("Bundle-*.json"):
        bundle = json.loads(file.read_text(encoding="utf-8"))
        bundle["entry"] = [entry for entry in bundle["entry"] if entry["resource"]["resourceType"] != "Consent"]
        file.write_text(json.dumps(bundle), encoding="utf-8")
    settings = tmp_path / "fhir.toml"
    settings.write_text(f'artifact_root = "{tmp_path / "root"}"\n', encoding="utf-8")
    arguments = command(tmp_path / "demo", free_port(), "--once")
    arguments[3:3] = ["--settings", str(settings)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "consent-missing" in done.stdout
    assert "the referral did not go round" in done.stderr
