"""Nothing of a person reaches the log, also when the server itself fails."""

import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "Verhaeghe-Geheim"
SCRIPT = """
import asyncio, logging, sys, httpx
from fhir_server.app import build_engine, create_app
from fhir_server.cli.logs import configure_logs
from fhir_server.settings import Settings

class Broken:
    def __getattr__(self, name):
        def fail(*values, **named):
            raise ValueError(f"cannot cope with {values}")
        return fail

async def main(store):
    settings = Settings(store=store, log_level="debug", publish_artifacts=False, log_format=sys.argv[2])
    configure_logs(settings)
    logging.getLogger("httpx").setLevel("ERROR")  # the client in this process, not the server
    engine = build_engine(settings)
    object.__setattr__(engine, "validator", Broken())
    transport = httpx.ASGITransport(create_app(settings, engine))
    async with httpx.AsyncClient(transport=transport, base_url=settings.public_base) as client:
        body = {"resourceType": "Patient", "name": [{"family": sys.argv[3]}]}
        response = await client.post("/Patient", json=body)
        print(response.status_code, response.text)
        await client.get("/Patient", params={"family": sys.argv[3]})
    engine.store.close()

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_defect_is_logged_with_its_place_and_without_the_person(tmp_path: Path, log_format: str) -> None:
    command = [sys.executable, "-c", SCRIPT, f"sqlite:///{tmp_path}/x.sqlite", log_format, SECRET]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("500 ")
    assert "internal-error" in done.stdout
    assert SECRET not in done.stdout
    assert "request failed" in done.stderr
    assert "ValueError" in done.stderr
    assert "unit.py" in done.stderr
    assert SECRET not in done.stderr
