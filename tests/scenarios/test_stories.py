"""Each story of examples/scenarios/ holds, from the first question to the follow-up, open and with access enforced, on both
stores.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import RunningServer
from tests.contract.store.mongo_server import COMMAND, database_url, running
from tests.scenarios.playing import SCENARIOS, Player

REGION = SCENARIOS.parent / "region"
NAMES = sorted(path.name for path in SCENARIOS.iterdir() if path.is_dir())


def load_region(base: str) -> None:
    with httpx.Client(base_url=base, headers={"X-Dev-Roles": "operator"}, timeout=60) as operator:
        for path in sorted(REGION.glob("*.json")):
            response = operator.post("/", json=json.loads(path.read_text()))
            assert response.status_code == 200, response.text


@pytest.fixture(scope="module", params=["open", "enforced", "enforced on MongoDB"])
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server that has the region, with access open or enforced."""
    if request.param.endswith("MongoDB"):
        if not Path(COMMAND).exists():
            pytest.skip("no server that speaks the protocol of MongoDB is installed")
        with running() as server:
            yield from _staged({"store": database_url(server.url, "stories"), "enforce_access": True})
        return
    path = tmp_path_factory.mktemp("stories") / "fhir.sqlite"
    yield from _staged({"store": f"sqlite:///{path}", "enforce_access": request.param == "enforced"})


def _staged(settings: dict[str, Any]) -> Iterator[httpx.Client]:
    server = RunningServer({**settings, "publish_artifacts": False})
    try:
        load_region(server.base)
        with httpx.Client(base_url=server.base, timeout=60) as http:
            yield http
    finally:
        server.stop()


@pytest.mark.parametrize("name", NAMES)
def test_a_story_goes_from_the_first_question_to_the_follow_up(stage: httpx.Client, name: str) -> None:
    player = Player(name, stage)
    player.play()
    operations = [one for test in player.script["test"] for one in test["action"] if "operation" in one]
    assert len(player.statuses) == len(operations), "each answer is asserted"
    assert player.compared >= 6


def test_there_are_the_eight_ways_of_working_the_signal_and_the_chain() -> None:
    assert NAMES == [
        "neighbour-signal", "no-waiting-list", "one-contact-point", "practice-meeting", "risk-classes", "seven-themes",
        "short-form", "volunteer-role", "warm-referral", "zipster",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_story_is_told_in_its_readme_and_uses_every_file(name: str) -> None:
    folder = SCENARIOS / name
    told = (folder / "README.md").read_text()
    script = json.loads((folder / "scenario.json").read_text())
    files = {path.stem for path in folder.glob("*.json")} - {"scenario"}
    assert {one["id"] for one in script["fixture"]} == files
    assert all(f"`{name}.json`" in told for name in files)
