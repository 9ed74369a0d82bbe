"""Copying and comparing the code systems that were loaded whole: heads, and every concept by number and digest."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec

from fhir_server.cli.copying import Differs, ReplayClock, Side
from fhir_server.store.concepts import ConceptRow, Edition, EditionHead

_BATCH = 1_000
_Name = tuple[str, str]


class Content(NamedTuple):
    """What an edition holds: its head, how many concepts, and a digest over all of them in their order."""

    body: bytes
    concepts: int
    digest: str


def copy_editions(source: Side, target: Side, clock: ReplayClock) -> int:
    """Load into the target what it does not hold alike, and remove what the source does not have; return how many were loaded.

    In the target they count as loaded when they are copied, or as long ago as its clock can go back.
    """
    wanted, there = editions_of(source), editions_of(target)
    for system, version in there.keys() - wanted.keys():
        target.store.remove_concepts(system, version)
    copied = 0
    for name, edition in wanted.items():
        if name in there and content(target, there[name]) == content(source, edition):
            continue
        clock.now = edition.loaded
        head = EditionHead(edition.system, edition.version, edition.body)
        target.store.load_concepts(head, _batches(_whole(source, edition)))
        copied += 1
    return copied


def verify_editions(source: Side, target: Side) -> int:
    """Compare all editions; return how many there are. Raises Differs."""
    wanted, there = editions_of(source), editions_of(target)
    if wanted.keys() != there.keys():
        named = min(wanted.keys() ^ there.keys())
        raise Differs(f"the code system {' version '.join(named)} is in one of the two only; run the copy again")
    for name, edition in wanted.items():
        given, mine = content(source, edition), content(target, there[name])
        if given != mine:
            raise Differs(f"the code system {' version '.join(name)}: the target has {mine}, the source {given}")
    return len(wanted)


def editions_of(side: Side) -> dict[_Name, Edition]:
    """Return the visible editions by system and version."""
    found = side.store.read(lambda snapshot: snapshot.editions())
    return {(edition.system, edition.version): edition for edition in found}


def content(side: Side, edition: Edition) -> Content:
    """Read a whole edition. Raises Differs when it is replaced meanwhile."""
    digest, number = hashlib.sha256(), 0
    for row in _whole(side, edition):
        digest.update(msgspec.msgpack.encode((row.number, row.key, sorted(row.parents), sorted(set(row.words)))))
        digest.update(msgspec.msgpack.encode((row.reach, row.body)))
        number += 1
    return Content(edition.body, number, digest.hexdigest())


def _whole(side: Side, edition: Edition) -> Iterator[ConceptRow]:
    number = 0
    for row in side.inventory.concepts(edition.number):
        yield row
        number += 1
    if number != edition.concepts:
        raise Differs(
            f"the code system {edition.system} was replaced while it was read ({number:,} of {edition.concepts:,} "
            "concepts); run the copy again"
        )


def _batches(rows: Iterator[ConceptRow]) -> Iterator[Sequence[ConceptRow]]:
    while batch := tuple(islice(rows, _BATCH)):
        yield batch
