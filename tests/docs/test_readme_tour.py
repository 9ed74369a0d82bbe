"""The tour in README.md runs as it stands: every block, in order, against a real server process.

Blocks that start with ```bash run``` are executed in one shell; a line `# → text` in a block promises that `text` is in
what the block prints.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import said_until

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```bash run\n(.*?)^```", re.MULTILINE | re.DOTALL)
PUBLISHED = "http://127.0.0.1:8080"
MARK = "=== block {} ==="


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[str]:
    """A demo that has been played and stays, as the tour asks for; its folder is `tmp_path`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "fhir_server", "demo", "--port", str(port), "--folder", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        said_until(process, "stays until Ctrl-C")
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tour is told with curl, which this machine lacks")
def test_the_tour_runs_and_prints_what_it_promises(demo: str, tmp_path: Path) -> None:
    blocks = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 5
    replaced = {
        PUBLISHED: demo,
        ".venv/bin/fhir-server": f"{sys.executable} -m fhir_server",
        "var/demo/": f"{tmp_path}/",
    }
    for published, here in replaced.items():
        blocks = [block.replace(published, here) for block in blocks]
    script = "set -euo pipefail\n" + "".join(
        f"echo '{MARK.format(number)}'\n{block}\n" for number, block in enumerate(blocks)
    )
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path), "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for number, block in enumerate(blocks):
        printed = done.stdout.split(MARK.format(number))[1].split(MARK.format(number + 1))[0]
        promises = re.findall(r"^# → (.+)$", block, re.MULTILINE)
        assert promises, f"block {number} promises nothing"
        for promise in promises:
            assert promise in printed, f"block {number} printed:\n{printed}\n{done.stderr}"
