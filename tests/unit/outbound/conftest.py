"""An engine with a clock that is set by hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.interactions.context import Engine
from tests.unit.outbound.scheduler_stage import SetClock, opened


@pytest.fixture
def clock() -> SetClock:
    """A clock that stands until it is set."""
    return SetClock()


@pytest.fixture
def engine(tmp_path: Path, clock: SetClock) -> Iterator[Engine]:
    """An engine on a fresh file that lives by that clock."""
    with opened(tmp_path / "fhir.sqlite", clock) as made:
        yield made
