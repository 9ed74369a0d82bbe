"""Large code systems: loaded in batches, visible at once, replaced and removed as a whole, asked by key, number and word."""

from collections.abc import Callable, Iterator, Sequence

import pytest

from fhir_server.store.concepts import ConceptRow, Edition, EditionHead, StoredConcept
from fhir_server.store.port import Snapshot, Store

SYSTEM = "https://example.org/CodeSystem/plants"


def row(number: int, key: str, *parents: int, words: str = "", reach: bytes = b"") -> ConceptRow:
    return ConceptRow(number, key, parents, (key.lower(), *words.split()), reach, b"body of %d" % number)


PLANTS = (
    row(0, "plant", words="flora", reach=b"1-6"),
    row(1, "tree", 0, words="boom arbre", reach=b"2-3"),
    row(2, "oak", 1, words="eik chene"),
    row(3, "hazel", 1, 4, words="hazelaar noisetier boom"),
    row(4, "shrub", 0, words="struik", reach=b"3,5"),
    row(5, "Rose", 4, words="roos 2024"),
    row(6, "\U0001f344", 0, words="paddenstoel"),
)


def load(store: Store, version: str = "1", rows: Sequence[ConceptRow] = PLANTS, batch: int = 3) -> Edition:
    batches = (rows[at : at + batch] for at in range(0, len(rows), batch))
    return store.load_concepts(EditionHead(SYSTEM, version, b"head " + version.encode()), batches)


def editions(store: Store, system: str | None = None) -> list[Edition]:
    return store.read(lambda snapshot: snapshot.editions(system))


def numbers(found: Sequence[StoredConcept]) -> list[int]:
    return [one.number for one in found]


def page(
    store: Store, edition: int, *within: tuple[int, int], words: str = "", offset: int = 0, limit: int = 100
) -> list[int]:
    def work(snapshot: Snapshot) -> list[int]:
        whole = numbers(snapshot.concept_page(edition, within, words.split(), 0, 100))
        assert snapshot.concept_count(edition, within, words.split()) == len(whole)
        found = numbers(snapshot.concept_page(edition, within, words.split(), offset, limit))
        assert found == whole[offset : offset + limit]
        return found

    return store.read(work)


def test_a_loaded_edition_is_listed_with_what_was_said_of_it(store: Store) -> None:
    assert editions(store) == []
    loaded = load(store)
    assert (loaded.system, loaded.version, loaded.concepts, loaded.body) == (SYSTEM, "1", 7, b"head 1")
    assert loaded.loaded > 0
    assert editions(store) == editions(store, SYSTEM) == [loaded]
    assert editions(store, "https://example.org/CodeSystem/other") == []


def test_a_concept_comes_back_by_its_key_exactly_as_it_was_loaded(store: Store) -> None:
    number = load(store).number
    for one in PLANTS:
        found = store.read(lambda snapshot, key=one.key: snapshot.concept(number, key))
        assert found == StoredConcept(one.number, one.key, one.body)
        assert store.read(lambda snapshot, n=one.number: snapshot.concept_reach(number, n)) == one.reach
    for key in ("ROSE", "rose", "", "plan", "%", "oak "):
        assert store.read(lambda snapshot, key=key: snapshot.concept(number, key)) is None
    assert store.read(lambda snapshot: snapshot.concept_reach(number, 7)) == b""
    assert store.read(lambda snapshot: snapshot.concept(number + 1, "oak")) is None


def test_many_keys_are_found_at_once_in_the_order_of_their_numbers(store: Store) -> None:
    number = load(store).number
    asked = ["Rose", "oak", "nothing", "oak", *(f"k{n}" for n in range(990))]
    assert numbers(store.read(lambda snapshot: snapshot.concepts_of(number, asked))) == [2, 5]
    assert store.read(lambda snapshot: snapshot.concepts_of(number, ())) == []


def test_the_hierarchy_is_walked_one_step_up_and_one_step_down(store: Store) -> None:
    number = load(store).number

    def work(snapshot: Snapshot) -> None:
        assert numbers(snapshot.concept_children(number, 0)) == [1, 4, 6]
        assert numbers(snapshot.concept_children(number, 0, limit=2)) == [1, 4]
        assert numbers(snapshot.concept_children(number, 2)) == []
        assert numbers(snapshot.concept_parents(number, [3])) == [1, 4]
        assert numbers(snapshot.concept_parents(number, [3, 2, 5])) == [1, 4]
        assert numbers(snapshot.concept_parents(number, [0])) == numbers(snapshot.concept_parents(number, [])) == []

    store.read(work)


def test_a_page_keeps_to_the_ranges_and_counts_on(store: Store) -> None:
    number = load(store).number
    assert page(store, number, (0, 6)) == [0, 1, 2, 3, 4, 5, 6]
    assert page(store, number, (1, 2), (4, 4), (6, 6)) == [1, 2, 4, 6]
    assert page(store, number, (1, 2), (4, 4), (6, 6), offset=1, limit=2) == [2, 4]
    assert page(store, number, (1, 2), (4, 4), (6, 6), offset=4) == []
    assert page(store, number, (0, 6), limit=0) == []
    assert page(store, number) == []


def test_every_word_that_is_asked_starts_a_word_of_the_concept(store: Store) -> None:
    number = load(store).number
    assert page(store, number, (0, 6), words="boom") == [1, 3]
    assert page(store, number, (0, 6), words="boom", offset=1) == [3]
    assert page(store, number, (0, 2), words="boom") == [1]
    assert page(store, number, (0, 0), (2, 6), words="boom") == [3]
    assert page(store, number, (0, 6), words="haz boo") == [3]
    assert page(store, number, (0, 6), words="r") == [5]
    assert page(store, number, (0, 6), words="202 ro") == [5]
    assert page(store, number, (0, 6), words="oom") == []
    assert page(store, number, (0, 6), words="boom nothing") == []
    assert page(store, number, (0, 6), words="and or not near") == []


def test_an_edition_replaces_the_one_of_its_version_and_others_live_beside_it(store: Store) -> None:
    first, other = load(store), load(store, "2", PLANTS[:2])
    assert editions(store) == [first, other]
    again = load(store, "1", (row(0, "plant"), row(1, "moss", 0)))
    assert editions(store, SYSTEM) == [other, again]
    assert len({first.number, other.number, again.number}) == 3
    assert store.read(lambda snapshot: snapshot.concept(again.number, "moss")) is not None
    assert store.read(lambda snapshot: snapshot.concept(again.number, "oak")) is None
    assert store.read(lambda snapshot: snapshot.concept(first.number, "oak")) is None
    assert store.read(lambda snapshot: snapshot.concept(other.number, "tree")) is not None


def test_nothing_of_a_load_is_seen_before_it_ends_nor_when_it_fails(store: Store) -> None:
    kept = load(store)

    def failing() -> Iterator[Sequence[ConceptRow]]:
        yield (row(0, "half"), row(1, "way", 0))
        assert editions(store) == [kept]
        raise ValueError("line 3")

    stamp = store.read(lambda snapshot: snapshot.editions_stamp())
    with pytest.raises(ValueError, match="line 3"):
        store.load_concepts(EditionHead(SYSTEM, "1", b""), failing())
    assert editions(store) == [kept]
    assert store.read(lambda snapshot: snapshot.editions_stamp()) == stamp
    assert page(store, kept.number, (0, 6)) == [0, 1, 2, 3, 4, 5, 6]
    assert load(store, "3").number > kept.number


def test_the_stamp_grows_with_each_change_that_can_be_seen_and_changes_no_resource(store: Store) -> None:
    stamps = [store.read(lambda snapshot: snapshot.editions_stamp())]
    for change in (
        lambda: load(store),
        lambda: load(store),
        lambda: load(store, "2"),
        lambda: store.remove_concepts(SYSTEM, "1"),
    ):
        change()
        stamps.append(store.read(lambda snapshot: snapshot.editions_stamp()))
    assert stamps[0] == 0
    assert stamps == sorted(set(stamps))
    assert not store.remove_concepts(SYSTEM, "1")
    assert store.read(lambda snapshot: snapshot.editions_stamp()) == stamps[-1]
    assert store.read(lambda snapshot: snapshot.last_sequence()) == 0


def test_what_was_removed_is_gone_and_its_number_is_not_used_again(store: Store) -> None:
    first = load(store)
    assert store.remove_concepts(SYSTEM, "1")
    assert editions(store) == []
    assert store.read(lambda snapshot: snapshot.concept(first.number, "oak")) is None
    assert page(store, first.number) == []
    assert load(store).number > first.number


def test_a_snapshot_sees_the_whole_edition_that_it_began_with(open_store: Callable[..., Store]) -> None:
    reader, loader = open_store(), open_store()
    first = load(loader)

    def work(snapshot: Snapshot) -> None:
        assert snapshot.editions() == [first]
        again = load(loader, "1", PLANTS[:2])
        assert snapshot.editions() == [first]
        assert numbers(snapshot.concept_page(first.number, ((0, 6),), (), 0, 100)) == [0, 1, 2, 3, 4, 5, 6]
        assert snapshot.concept(again.number, "plant") is None

    reader.read(work)
    assert [one.concepts for one in editions(reader)] == [2]  # another instance sees what was loaded since


def test_others_write_between_the_batches(store: Store) -> None:
    def batches() -> Iterator[Sequence[ConceptRow]]:
        for at in range(3):
            store.write(lambda unit, at=at: unit.set_note("turn", str(at)))
            yield (row(at, f"k{at}"),)

    assert store.load_concepts(EditionHead(SYSTEM, "1", b""), batches()).concepts == 3
    assert store.read(lambda snapshot: snapshot.note("turn")) == "2"


def test_an_edition_without_concepts_is_an_edition(store: Store) -> None:
    empty = store.load_concepts(EditionHead(SYSTEM, "", b""), ())
    assert editions(store) == [empty]
    assert empty.concepts == 0
    assert page(store, empty.number) == []
