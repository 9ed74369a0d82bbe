"""Random searches find the same on SQLite and on MongoDB, in the same order, page by page: `make soak` asks thousands."""

from tests.soak.searches import compared


def test_random_searches_are_answered_alike_on_every_store() -> None:
    different, statuses, found = compared(searches=40, seed=7, most=60)
    assert different == []
    assert statuses[200] >= 30
    assert found >= 15
