"""Keeping what came of attempts: where each subscription stands, its status, and who was shown what, in one unit of work."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from fhir_server.access.principal import PLATFORM, Principal
from fhir_server.interactions import audit
from fhir_server.interactions.audit import Access, Entity
from fhir_server.interactions.context import Engine
from fhir_server.interactions.subscriptions_lanes import Lane, keep_lane, lane_of
from fhir_server.interactions.subscriptions_owner import OWNER
from fhir_server.interactions.unit import Unit
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import decode_stored
from fhir_server.outbound.attempt import Result
from fhir_server.outbound.backoff import wait_ms
from fhir_server.store.port import UnitOfWork

_HOUR_MS: Final = 3_600_000
_HANDSHAKE_MS: Final = _HOUR_MS
"""How long a handshake is tried."""


class Outcomes:
    """Keeps outcomes; `chance` gives the jitter."""

    def __init__(self, engine: Engine, chance: Callable[[], float]) -> None:
        self._engine = engine
        self._chance = chance

    def keep(self, fence: Callable[[UnitOfWork], None], results: Sequence[Result]) -> dict[str, Lane]:
        """Keep outcomes and return where the subscriptions stand now. Raises LeaseLost, and what the store raises."""
        jitter = [self._chance() for _ in results]  # the work may run more than once

        def work(uow: UnitOfWork) -> dict[str, Lane]:
            fence(uow)
            now = self._engine.clock.now_ms()
            found = {}
            for result, chance in zip(results, jitter, strict=True):
                if uow.record(OWNER, result.subscription) is not None:  # else it was deleted meanwhile
                    found[result.subscription] = self._keep(uow, result, now, chance)
            self._audit(uow, results)
            return found

        lanes = self._engine.store.write(work)
        self._engine.signal.touch()
        return lanes

    def _keep(self, uow: UnitOfWork, result: Result, now: int, chance: float) -> Lane:
        lane = lane_of(uow, result.subscription)
        if result.kind == "end":
            self._say(uow, result, "off")
        elif result.outcome.delivered:
            lane = Lane(sent=max(lane.sent, result.reached), told=now)
            if result.kind in ("handshake", "activate"):
                self._say(uow, result, "active")
        else:
            lane = self._failed(lane, result, now, chance)
            if lane.dead:
                self._say(uow, result, "error", lane.fault)
        keep_lane(uow, result.subscription, lane)
        return lane

    def _failed(self, lane: Lane, result: Result, now: int, chance: float) -> Lane:
        attempts, failing = lane.attempts + 1, lane.failing or now
        limit = self._engine.subscriptions.delivery_hours * _HOUR_MS
        if result.kind == "handshake":
            limit = min(limit, _HANDSHAKE_MS)
        over = result.outcome.final or now - failing >= limit
        due = now + wait_ms(attempts, lambda: chance, result.outcome.retry_after)
        return Lane(lane.sent, attempts, failing, due, over, result.outcome.fault, lane.told)

    def _say(self, uow: UnitOfWork, result: Result, status: str, fault: str = "") -> None:
        """Change the status of the Subscription, unless it was changed since the attempt began."""
        current = uow.current("Subscription", result.subscription)
        if current is None or current.body is None or current.version != result.version:
            return
        resource = decode_stored(current.body)
        if fault:
            resource = {**resource, "status": status, "error": fault}
        else:
            resource = {**{name: value for name, value in resource.items() if name != "error"}, "status": status}
        unit = Unit(self._engine, uow, PLATFORM)
        unit.write(resource, result.subscription, "PUT", current)
        unit.settle()

    def _audit(self, uow: UnitOfWork, results: Iterable[Result]) -> None:
        """Enter in the trail what subscribers were shown."""
        if self._engine.auditor.when == "off":
            return
        by_owner: dict[Principal, list[Access]] = {}
        for result in results:
            if result.shown:
                by_owner.setdefault(result.owner, []).append(self._access(result))
        for owner, accesses in by_owner.items():
            audit.append(uow, owner, accesses)

    def _access(self, result: Result) -> Access:
        shown = [one.version for one in result.shown if one.version is not None]
        persons = [who for one in shown if one.body for who in audit.persons_in(one.body, self._engine.own_base)]
        persons += [f"Patient/{one.id}" for one in shown if one.type == "Patient"]
        return Access(
            does=f"GET Subscription/{result.subscription}/$events",
            at=render_instant(self._engine.clock.now_ms()),
            entity=[Entity("R", f"{one.type}/{one.id}/_history/{one.version}") for one in shown],
            persons=list(dict.fromkeys(persons)),
        )
