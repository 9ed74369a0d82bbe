"""Receivers on real sockets."""

from collections.abc import Iterator

import pytest

from tests.unit.outbound.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that answers 200 until it is told otherwise."""
    made = Receiver()
    yield made
    made.stop()
