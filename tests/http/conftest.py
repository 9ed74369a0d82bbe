"""What several modules of tests over HTTP share because it takes long to make."""

from collections.abc import Iterator

import pytest

from tests.http.protected_pages import ProtectedRegion


@pytest.fixture(scope="session")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProtectedRegion]:
    """The protected region with its pages; each test plays with a person of its own. Modules with another region say so."""
    made = ProtectedRegion(tmp_path_factory.mktemp("protected"))
    yield made
    made.stop()
