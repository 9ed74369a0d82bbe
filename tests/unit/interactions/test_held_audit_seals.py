"""A seal of somebody else is worth nothing, neither on a record nor where the trail begins."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.access.principal import Principal
from fhir_server.interactions.audit import Access, append
from fhir_server.interactions.audit_seals import Signer, seal_anchor, seal_trail
from fhir_server.interactions.audit_verify import verify
from fhir_server.model.clock import SystemClock
from fhir_server.store.port import UnitOfWork
from fhir_server.store.sqlite import SqliteStore

OURS, THEIRS = Signer(b"o" * 32), Signer(b"t" * 32)
ME = Principal(agent="me")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """A trail of six records, sealed by us."""
    opened = SqliteStore(tmp_path / "trail.sqlite", SystemClock())
    for number in range(6):
        opened.write(lambda uow, number=number: append(uow, ME, [Access(does=f"look {number}")]))
    opened.write(lambda uow: seal_trail(uow, OURS))
    yield opened
    opened.close()


def found(store: SqliteStore) -> list[tuple[int, str]]:
    verdict = store.read(lambda snapshot: verify(snapshot, OURS.public))
    return [(one.number, one.said) for one in verdict.findings]


def trimmed(store: SqliteStore, *signers: Signer) -> None:
    def work(uow: UnitOfWork) -> None:
        uow.trim_audit(3)
        for signer in signers:
            seal_anchor(uow, signer)

    store.write(work)


def test_a_start_that_we_signed_is_where_the_trail_begins(store: SqliteStore) -> None:
    assert found(store) == []
    trimmed(store, OURS)
    assert found(store) == []
    assert store.read(lambda snapshot: verify(snapshot, OURS.public)).first == 4


@pytest.mark.parametrize("signers", [(), (THEIRS,), (OURS, THEIRS)], ids=["nobody", "another", "another after us"])
def test_a_start_that_we_did_not_sign_is_found_out(store: SqliteStore, signers: tuple[Signer, ...]) -> None:
    trimmed(store, *signers)
    assert found(store) == [(3, "records before this one are gone, but not by `fhir-server audit trim`")]


def test_a_signature_on_an_earlier_start_does_not_serve_for_a_later_one(store: SqliteStore) -> None:
    trimmed(store, OURS)
    store.write(lambda uow: uow.trim_audit(4))
    assert [number for number, _ in found(store)] == [4]


def test_a_seal_of_another_on_the_newest_record_is_found_out(store: SqliteStore) -> None:
    store.write(lambda uow: append(uow, ME, [Access(does="look again")]))
    store.write(lambda uow: seal_trail(uow, THEIRS))
    assert found(store) == [(7, "a seal was not made with the key of this store")]
