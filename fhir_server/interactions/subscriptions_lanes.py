"""How far each subscription has been told, as a record of the store: one line for each, in the order of its events.

The lane is what is claimed, tried again and given up; the events themselves wait in `subscriptions_events`. A lane that
is dead is what an operator sees as a dead letter: nothing of it is lost, and a redrive goes on where it stopped.
"""

from typing import Final

import msgspec

from fhir_server.store.port import Snapshot, UnitOfWork

LANE: Final = "subscription-lane"
"""Kind of the record; its key is the id of the Subscription."""
SECRET: Final = "subscription-secret"  # noqa: S105  # a kind of record, no secret
"""Kind of the record with the secret that notifications of a subscription are signed with."""


class Lane(msgspec.Struct, omit_defaults=True, frozen=True):
    """Where one subscription stands."""

    sent: int = 0
    """The number of the last event that was acknowledged."""
    attempts: int = 0
    """Attempts that failed since something succeeded."""
    failing: int = 0
    """Since when they fail, milliseconds since the epoch; 0 when they do not."""
    due: int = 0
    """When to try again."""
    dead: bool = False
    fault: str = ""
    told: int = 0
    """When something was last acknowledged: where a heartbeat counts from."""


_decoder = msgspec.json.Decoder(Lane)


def lane_of(snapshot: Snapshot, subscription: str) -> Lane:
    """Return where a subscription stands."""
    record = snapshot.record(LANE, subscription)
    return _decoder.decode(record.body) if record is not None else Lane()


def all_lanes(snapshot: Snapshot) -> dict[str, Lane]:
    """Return where every subscription stands, by id."""
    found: dict[str, Lane] = {}
    after = ""
    while page := snapshot.records(LANE, after, 500):
        found.update((record.key, _decoder.decode(record.body)) for record in page)
        after = page[-1].key
    return found


def keep_lane(uow: UnitOfWork, subscription: str, lane: Lane) -> None:
    """Keep where a subscription stands; a dead lane is due for ever, so that dead letters are found at once."""
    uow.set_record(LANE, subscription, msgspec.json.encode(lane), 0 if lane.dead else None)


def dead_lanes(snapshot: Snapshot) -> dict[str, Lane]:
    """Return the lanes that were given up, by id."""
    return {record.key: _decoder.decode(record.body) for record in snapshot.due_records(LANE, 1, 10_000)}


def secret_of(snapshot: Snapshot, subscription: str) -> bytes:
    """Return the secret that signs what a subscription is told, b"" when none was agreed."""
    record = snapshot.record(SECRET, subscription)
    return record.body if record is not None else b""
