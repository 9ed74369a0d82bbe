"""One server and one Chromium for all tests in the browser."""

from collections.abc import Iterator

import pytest

from tests.web.stage import Stage, staged


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Yield the stage; made once."""
    yield from staged(f"sqlite:///{tmp_path_factory.mktemp('web') / 'fhir.sqlite'}")
