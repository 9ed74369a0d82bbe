"""Which subscriptions a change concerns, found by what the change names and not by asking each of them.

A subscription is filed under one thing that it insists on (`owner` is `Organization/7`): only changes that name it are
compared with its whole condition, by the interpreter that search has (`search.match`). Subscriptions that ask the same
share one comparison, so that a thousand of them cost a change a look into a table.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from fhir_server.interactions.subscriptions_criteria import PLAIN_ACTS, Criteria
from fhir_server.model.codec import decode_stored
from fhir_server.model.resource import Resource
from fhir_server.search.extract import Extractor
from fhir_server.search.match import Alone, matches
from fhir_server.search.query import EVERYTHING, And, IdIs, Node, Or, RefersTo
from fhir_server.search.values import Entry, ReferenceEntry
from fhir_server.store.port import Version
from fhir_server.workflow.topics import Act, Trigger

_ALONE: Final = Alone()
_ACTS: Final[dict[str, Act]] = {"POST": "create", "PUT": "update", "PATCH": "update", "DELETE": "delete"}
_Key = tuple[str, str]
"""Parameter and what it refers to; `("_id", id)` for a logical id, `("", "")` for what insists on nothing."""
_ANY: Final[_Key] = ("", "")


class Changed(NamedTuple):
    """A change with the version before it, None where there was none or it was a deletion."""

    version: Version
    before: Version | None

    @property
    def act(self) -> Act:
        """What it did; an update of what was deleted creates it."""
        act = _ACTS[self.version.method]
        return "create" if act == "update" and self.before is None else act


class _Facts:
    """What is known of one version; worked out when it is asked for."""

    def __init__(self, version: Version, extractor: Extractor) -> None:
        self.version = version
        self._extractor = extractor
        self._resource: Resource | None = None
        self._entries: Sequence[Entry] | None = None

    @property
    def resource(self) -> Resource:
        """The content."""
        if self._resource is None:
            self._resource = decode_stored(self.version.body or b"{}")
        return self._resource

    def targets(self, param: str) -> Iterator[str]:
        """Yield what a reference parameter refers to, without indexing the rest."""
        for entry in self._extractor.references(self.resource, param):
            if isinstance(entry, ReferenceEntry):
                yield entry.target

    def satisfies(self, node: Node) -> bool:
        """Tell whether the version satisfies a condition."""
        if node == EVERYTHING:
            return True
        if self._entries is None:
            self._entries = self._extractor.extract(self.resource)
        version = self.version
        return matches(node, version.type, version.id, version.last_updated * 1000, self._entries, _ALONE)


class _Group:
    """The subscriptions on one topic (or none) and type, filed by what they insist on."""

    def __init__(self) -> None:
        self.filed: dict[_Key, dict[Node, list[str]]] = {}
        self.params: frozenset[str] = frozenset()

    def add(self, subscription: str, where: Node) -> None:
        for key in _insisted(where) or (_ANY,):
            self.filed.setdefault(key, {}).setdefault(where, []).append(subscription)
            if key[0] not in ("", "_id"):
                self.params |= {key[0]}

    def of(self, facts: _Facts) -> Iterator[str]:
        keys: list[_Key] = [_ANY, ("_id", facts.version.id)]
        keys += [(param, target) for param in self.params for target in facts.targets(param)]
        for key in dict.fromkeys(keys):
            for where, subscriptions in self.filed.get(key, {}).items():
                if facts.satisfies(where):
                    yield from subscriptions


class Matcher:
    """All subscriptions that are to be told something; made anew when one of them changes."""

    def __init__(self, subscriptions: Iterable[tuple[str, Criteria]], extractor: Extractor) -> None:
        """`subscriptions` are ids with what they ask."""
        self._extractor = extractor
        self._groups: dict[tuple[str, str], _Group] = {}
        self._triggers: dict[str, dict[str, tuple[Trigger, ...]]] = {}
        self._events: dict[str, set[str]] = {}
        self._plain: set[str] = set()
        for identity, criteria in subscriptions:
            self._add(identity, criteria)
        self.types = tuple(sorted(set(self._triggers) | self._plain))
        """The resource types whose changes concern anybody."""
        self.wants_events = bool(self._events)

    def of_change(self, changed: Changed) -> list[str]:
        """Return the ids of the subscriptions that a change concerns, each once."""
        kind = changed.version.type
        topics = self._triggers.get(kind, {})
        if not topics and kind not in self._plain:
            return []
        after = _Facts(changed.version, self._extractor) if changed.version.body is not None else None
        before = _Facts(changed.before, self._extractor) if changed.before is not None else None
        standing = after or before
        if standing is None:
            return []
        found: list[str] = []
        for url, triggers in topics.items():
            if any(_fires(trigger, changed.act, before, after) for trigger in triggers):
                found += self._groups[url, kind].of(standing)
        if kind in self._plain and changed.act in PLAIN_ACTS:
            found += self._groups["", kind].of(standing)
        return list(dict.fromkeys(found))

    def of_event(self, code: str, focus: Version) -> list[str]:
        """Return the ids of the subscriptions that an event of the workflow concerns; `focus` has content."""
        facts = _Facts(focus, self._extractor)
        return list(
            dict.fromkeys(one for url in self._events.get(code, ()) for one in self._groups[url, focus.type].of(facts))
        )

    def concerns(self, code: str) -> bool:
        """Tell whether any subscription listens to an event of the workflow."""
        return code in self._events

    def _add(self, identity: str, criteria: Criteria) -> None:
        topic = criteria.topic
        for kind, where in criteria.where.items():
            self._groups.setdefault((topic.url if topic else "", kind), _Group()).add(identity, where)
        if topic is None:
            self._plain.update(criteria.where)
            return
        for trigger in topic.triggers:
            of_kind = tuple(one for one in topic.triggers if one.type == trigger.type)
            self._triggers.setdefault(trigger.type, {})[topic.url] = of_kind
        for code in topic.events:
            self._events.setdefault(code, set()).add(topic.url)


def _fires(trigger: Trigger, act: Act, before: _Facts | None, after: _Facts | None) -> bool:
    """Tell whether a trigger fires (R4B subscriptiontopic.html: queryCriteria)."""
    if act not in trigger.acts:
        return False
    verdicts: list[bool] = []
    if trigger.previous is not None:
        verdicts.append(before.satisfies(trigger.previous) if before is not None else trigger.on_create)
    if trigger.current is not None:
        verdicts.append(after.satisfies(trigger.current) if after is not None else trigger.on_delete)
    if not verdicts:
        return True
    return all(verdicts) if trigger.both else any(verdicts)


def _insisted(where: Node) -> tuple[_Key, ...]:
    """Return keys of which a change must name one for the condition to hold; none when there are no such."""
    match where:
        case RefersTo(param, target, ""):
            return ((param, target),)
        case IdIs(ids):
            return tuple(("_id", one) for one in ids)
        case Or(parts):
            found = [_insisted(part) for part in parts]
            return tuple(key for keys in found for key in keys) if all(found) else ()
        case And(parts):
            options: list[Any] = [keys for part in parts if (keys := _insisted(part))]
            return min(options, key=len, default=())
        case _:
            return ()
