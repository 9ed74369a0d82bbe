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


NUMBER, TOKEN = "38012699993", "eyJhbGciOiJSUzM4NCJ9.geheim.sleutel"
SSIN = "https://www.ehealth.fgov.be/standards/fhir/core/NamingSystem/ssin"
ORDINARY = """
import asyncio, json, logging, sys, httpx
from fhir_server.app import build_engine, create_app
from fhir_server.cli.logs import configure_logs
from fhir_server.model.errors import Unavailable
from fhir_server.settings import Settings

async def main(store, log_format, secret, number, token, ssin):
    settings = Settings(store=store, log_level="debug", publish_artifacts=False, log_format=log_format, audit_reads="batched")
    configure_logs(settings)
    logging.getLogger("httpx").setLevel("ERROR")  # the client in this process, not the server
    engine = build_engine(settings)
    transport = httpx.ASGITransport(create_app(settings, engine))
    patient = {"resourceType": "Patient", "id": secret, "name": [{"family": secret}], "identifier": [{"system": ssin, "value": number}]}
    headers = {"Authorization": "Bearer " + token, "X-Dev-Roles": secret, "Content-Type": "application/fhir+json"}
    async with httpx.AsyncClient(transport=transport, base_url=settings.public_base) as client:
        for sent in ({}, headers):
            await client.put("/Patient/" + secret, json=patient, headers=sent)
            await client.get("/Patient/" + secret, headers=sent)
            await client.get("/Patient/" + secret + "x", headers=sent)
            await client.get("/Patient", params={"identifier": ssin + "|" + number, "name": secret}, headers=sent)
            await client.get("/Patient", params={secret: number}, headers=sent)
            await client.get("/" + secret, params={"access_token": token}, headers=sent)
            await client.post("/Patient/_search", data={"identifier": number}, headers=sent and {"Authorization": headers["Authorization"]})
            await client.post("/", json={"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": "Patient?name=" + secret}}]}, headers=sent)
            await client.post("/Patient", content=secret + number, headers={**sent, "If-None-Exist": "identifier=" + number})
        async def refuse(work, heavy=False):
            raise Unavailable(f"cannot write {secret} {number}")
        await engine.auditor.close()
        engine.store.write_async = refuse
        for _ in range(2):
            response = await client.get("/Patient/" + secret)
            await asyncio.sleep(0.2)
        print(response.status_code)
    engine.store.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_ordinary_traffic_leaves_no_person_number_token_or_query_in_the_log(tmp_path: Path, log_format: str) -> None:
    store = f"sqlite:///{tmp_path}/y.sqlite"
    command = [sys.executable, "-c", ORDINARY, store, log_format, SECRET, NUMBER, TOKEN, SSIN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "503\n", "a read that cannot be audited is not answered"
    assert "answered" in done.stderr
    assert "audit trail cannot be written" in done.stderr
    for private in (SECRET, SECRET.lower(), NUMBER, TOKEN, "geheim", "identifier=", "?", "Bearer"):
        assert private not in done.stderr
