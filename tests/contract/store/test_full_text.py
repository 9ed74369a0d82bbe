"""Full text follows every change of a resource, however its words are kept."""

import random
from pathlib import Path

import pytest

from fhir_server.search.query import And, Chain, FullText, Node, Not, TokenIs
from fhir_server.search.values import Entry, ReferenceEntry, TextEntry, TokenEntry
from fhir_server.store.port import Store, UnitOfWork
from tests.contract.store.staged import contradictions, ids


def text_of(*words: str) -> list[Entry]:
    return [TextEntry("_content", " ".join(words)), TokenEntry("status", None, "a")]


def put(store: Store, identity: str, entries: list[Entry], resource_type: str = "Task") -> None:
    def work(unit: UnitOfWork) -> None:
        newest = unit.current(resource_type, identity)
        unit.put(resource_type, identity, newest.version + 1 if newest else 1, b"{}", entries, "PUT")

    store.write(work)


def content(*phrases: str) -> Node:
    return FullText("_content", phrases)


def test_an_update_and_a_deletion_take_the_old_words_away(store: Store) -> None:
    put(store, "a", text_of("old", "words"))
    put(store, "b", text_of("old"))
    put(store, "a", text_of("new", "words"))
    assert ids(store, content("old")) == ["b"]
    assert ids(store, content("words")) == ["a"]
    store.write(lambda unit: unit.delete("Task", "a", 3))
    assert ids(store, content("words")) == []
    put(store, "a", [])
    assert ids(store, content("old")) == ["b"]


@pytest.mark.parametrize("seed", range(3))
def test_thousands_of_changes_leave_what_is_current(store: Store, tmp_path: Path, seed: int) -> None:
    chosen = random.Random(seed)
    current: dict[str, str] = {}
    for _ in range(12):

        def work(unit: UnitOfWork) -> None:
            for _ in range(100):
                identity, word = str(chosen.randrange(150)), chosen.choice("abcd")
                newest = unit.current("Task", identity)
                number = newest.version + 1 if newest else 1
                if newest and newest.body and chosen.random() < 0.2:
                    unit.delete("Task", identity, number)
                    current.pop(identity)
                else:
                    unit.put("Task", identity, number, b"{}", text_of("always", word), "PUT")
                    current[identity] = word

        store.write(work)
    for word in "abcd":
        expected = {identity for identity, kept in current.items() if kept == word}
        assert set(ids(store, content(word))) == expected
        assert set(ids(store, content(f"always {word}"))) == expected
        assert set(ids(store, And((TokenIs("status", None, "a"), content(word))))) == expected
        assert set(ids(store, Not(content(word)))) == set(current) - expected
    store.close()
    if (file := tmp_path / "store.db").exists():
        assert contradictions(file) == []


def test_an_index_that_is_made_again_replaces_the_words(store: Store) -> None:
    for number in range(300):  # the first are in the index proper, the last still wait
        put(store, str(number), text_of("before", str(number)))
    versions = store.read(lambda snapshot: snapshot.changes(0, 1000))
    for turn in ("after", "later"):
        assert store.reindex((version, text_of(turn, version.id)) for version in versions) == 300
        assert ids(store, content("before")) == []
        assert len(ids(store, content(turn))) == 300
        assert ids(store, content(f"{turn} 7")) == ["7"]
    store.reindex((version, []) for version in versions)
    assert ids(store, content("later")) == []


def test_words_belong_to_their_type_and_parameter(store: Store) -> None:
    put(store, "a", [TextEntry("_text", "story"), TextEntry("_content", "rest")])
    put(store, "a", [TextEntry("_text", "story")], "Patient")
    put(store, "b", [ReferenceEntry("patient", "Patient/a")])
    assert ids(store, FullText("_text", ("story",))) == ["a"]
    assert ids(store, FullText("_text", ("rest",))) == []
    assert ids(store, content("story", "rest")) == ["a"]
    assert ids(store, content("story rest")) == []
    assert ids(store, Chain("patient", "Patient", FullText("_text", ("story",)))) == ["b"]


def test_a_unit_that_fails_leaves_no_words(store: Store) -> None:
    def work(unit: UnitOfWork) -> None:
        unit.put("Task", "x", 1, b"{}", text_of("never"), "POST")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.write(work)
    assert ids(store, content("never")) == []
