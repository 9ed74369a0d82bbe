"""All subscriptions that live, as the process that tells them knows them; brought up to date from the feed."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fhir_server.access.principal import Principal
from fhir_server.interactions.context import Engine
from fhir_server.interactions.subscriptions import Subscription, read_subscription
from fhir_server.interactions.subscriptions_criteria import Criteria, CriteriaRefused, compile_criteria
from fhir_server.interactions.subscriptions_matching import Matcher
from fhir_server.interactions.subscriptions_owner import OWNER, owner_of
from fhir_server.model.codec import decode_stored
from fhir_server.store.port import Snapshot

_PAGE = 500
SUBSCRIPTION = "Subscription"


class Known(NamedTuple):
    """One subscription that lives."""

    subscription: Subscription
    owner: Principal
    since: int
    """The sequence number after which changes are its events."""
    criteria: Criteria | None
    """None when its topic or a parameter is offered no longer; `fault` says so."""
    fault: str = ""


class Roster:
    """The subscriptions by id, and the matcher over them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.known: dict[str, Known] = {}
        self.matcher = Matcher((), engine.extractor)

    def load(self, snapshot: Snapshot) -> None:
        """Read all."""
        self.known = {}
        self.refresh(snapshot, _owned(snapshot))

    def refresh(self, snapshot: Snapshot, identities: Iterable[str]) -> None:
        """Read some anew: those that changed."""
        for identity in identities:
            found = self._read(snapshot, identity)
            if found is None:
                self.known.pop(identity, None)
            else:
                self.known[identity] = found
        asked = ((one, found.criteria) for one, found in self.known.items())
        self.matcher = Matcher(((one, criteria) for one, criteria in asked if criteria), self._engine.extractor)

    def _read(self, snapshot: Snapshot, identity: str) -> Known | None:
        """Return a subscription that lives, None for one that is off, deleted, or was never admitted."""
        current = snapshot.current(SUBSCRIPTION, identity)
        owned = owner_of(snapshot, identity)
        if current is None or current.body is None or owned is None:
            return None
        subscription = read_subscription(decode_stored(current.body), current)
        if subscription.status == "off":
            return None
        engine = self._engine
        try:
            asked = compile_criteria(subscription, engine.subscriptions.topics, engine.registry, engine.own_base)
        except CriteriaRefused as error:
            return Known(subscription, *owned, None, str(error))
        return Known(subscription, *owned, asked)


def _owned(snapshot: Snapshot) -> Iterator[str]:
    after = ""
    while page := snapshot.records(OWNER, after, _PAGE):
        yield from (record.key for record in page)
        after = page[-1].key
