"""Loaded code systems answer the same to whoever asks, access enforced or not; a page of an expansion says where it begins."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from fhir_server.cli import main
from tests.unit.terminology.release_files import rf2

SCT = "http://snomed.info/sct"
LINKS = {"100001": "", "200002": "100001", "300003": "100001", "400004": "200002 300003"}
ASKED: list[tuple[str, dict[str, str]]] = [
    ("CodeSystem/$lookup", {"system": SCT, "code": "400004"}),
    ("CodeSystem/$subsumes", {"system": SCT, "codeA": "100001", "codeB": "400004"}),
    ("CodeSystem/$validate-code", {"url": SCT, "code": "200002"}),
    ("ValueSet/$expand", {"url": f"{SCT}?fhir_vs"}),
    ("ValueSet/$expand", {"url": f"{SCT}?fhir_vs=isa/200002"}),
    ("ValueSet/$expand", {"url": f"{SCT}?fhir_vs", "filter": "400004"}),
    ("ValueSet/$expand", {"url": f"{SCT}?fhir_vs", "count": "2", "offset": "1"}),
    ("ValueSet/$validate-code", {"url": f"{SCT}?fhir_vs=isa/200002", "system": SCT, "code": "400004"}),
]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[httpx.Client]]:
    """Two servers on one store: an open one, and one that enforces access and is asked by a practice."""
    from tests.conftest import RunningServer

    folder = tmp_path_factory.mktemp("loaded")
    store = f"sqlite:///{folder / 'fhir.sqlite'}"
    running = [RunningServer({"store": store, "enforce_access": enforced}) for enforced in (False, True)]
    said = CliRunner().invoke(main, ["terminology", "load", str(rf2(folder / "release", LINKS)), "--store", store])
    assert said.exit_code == 0, said.output
    caller = {"X-Dev-Organization": "Organization/praktijk"}
    clients = [httpx.Client(base_url=server.base, headers=caller, timeout=30) for server in running]
    yield clients
    for client in clients:
        client.close()
    for server in running:
        server.stop()


def timeless(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    for name in ("timestamp", "identifier"):
        body.get("expansion", {}).pop(name, None)
    return body


@pytest.mark.parametrize(("path", "params"), ASKED)
def test_a_loaded_code_system_answers_the_same_where_access_is_enforced(
    servers: list[httpx.Client], path: str, params: dict[str, str]
) -> None:
    plain, guarded = (timeless(http.get(f"/{path}", params=params)) for http in servers)
    assert guarded == plain
    assert "400004" in str(plain) or path == "CodeSystem/$subsumes" or params.get("code") == "200002"


@pytest.mark.parametrize(
    ("page", "offset"), [({}, None), ({"count": "2"}, 0), ({"offset": "1"}, 1), ({"count": "1", "offset": "2"}, 2)]
)
def test_an_expansion_says_where_its_page_begins_when_a_page_is_asked(
    servers: list[httpx.Client], page: dict[str, str], offset: int | None
) -> None:
    for http in servers:
        found = timeless(http.get("/ValueSet/$expand", params={"url": f"{SCT}?fhir_vs", **page}))["expansion"]
        assert found.get("offset") == offset
        assert found["total"] == len(LINKS)
