"""The answers that come with a referral: stored and extracted in its transaction, while the receiver sees the needs only.

Each `response` becomes what `QuestionnaireResponse/$extract` with store=true makes of it. The request then points at the findings
of its own needs, and at nothing else that was made: neither the answers, nor a score, nor another need.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from fhir_server.interactions.operations.extract import Gathered, gathered
from fhir_server.interactions.operations.extract_earlier import Sent, sent_response
from fhir_server.interactions.operations.refer_asked import Asked, issue
from fhir_server.interactions.unit import Unit
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import FhirError, Invalid, RuleViolated
from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource, type_and_id
from fhir_server.search.query import Query, RefersTo, SortKey
from fhir_server.workflow.links import Links, codings, items
from fhir_server.workflow.screening_extraction import URI_SYSTEM, lasting_urn
from fhir_server.workflow.screening_observations import NEED_PROFILE

_LIFE_DOMAIN: Final = "https://w3id.org/social-referral/StructureDefinition/life-domain"
_CODED: Final = frozenset({
    "resourceType", "id", "meta", "identifier", "extension", "clinicalStatus", "verificationStatus", "category", "code", "subject",
    "recordedDate", "recorder", "asserter", "evidence",
})  # fmt: skip
"""What a need may have that a receiver reads: nothing that holds words of the person."""

_KIND: Final = "QuestionnaireResponse"
_OF_PERSON: Final = 200
"""Responses of one person that are looked through, the newest first."""
Need = tuple[str, str]
"""System and code of a need."""


class Answers(NamedTuple):
    """What the responses of a referral give rise to; `entries` beside the index of the response that each is made of."""

    entries: tuple[tuple[Resource, int], ...] = ()
    extractions: tuple[Gathered, ...] = ()

    @property
    def needs(self) -> tuple[Need, ...]:
        """The needs with which help is wanted, each once, in the order of the answers."""
        return tuple(dict.fromkeys(need for one in self._made("Condition") for need in codings(one.get("code"))))

    def reasons(self, needs: Sequence[Need]) -> list[Resource]:
        """Return References to the findings that say one of these needs, and no more.

        A need without a finding of its own is told by its Condition, unless that repeats words of the person.
        """
        found: dict[str, None] = {}
        for need in needs:
            findings = [one for one in self._references("Observation") if need in _observed(one[1])]
            conditions = [one for one in self._references("Condition") if need in codings(one[1].get("code"))]
            told = findings or [one for one in conditions if _is_coded(one[1])]
            found.update(dict.fromkeys(reference for reference, _ in told))
        return [{"reference": one} for one in found]

    def _made(self, kind: str) -> Iterator[Resource]:
        for _, one in self._references(kind):
            yield one

    def _references(self, kind: str) -> Iterator[tuple[str, Resource]]:
        for extraction in self.extractions:
            for one in extraction.found:
                if one.resource["resourceType"] == kind:
                    known = extraction.known.get(one.urn)
                    yield (type_and_id(known) if known is not None else one.urn), one.resource


def answers_of(unit: Unit, asked: Asked, subject: str, requester: Resource, now: str) -> Answers:
    """Return what the responses give rise to; `subject` is the person as entries name it, `Patient/id` or a URN.

    Raises RuleViolated for a response that is not whole, or about somebody else; expressions are those of the parameters.
    """
    links = Links(unit, unit.engine.own_base, unit.engine.rulebook.governs)
    seen: dict[str, int] = {}
    entries: list[tuple[Resource, int]] = []
    extractions = []
    for index, response in enumerate(asked.all("response")):
        place = asked.place("response", index)
        try:
            sent = _sent(unit, links, _filled(unit, response, subject, requester, now))
            _require_once(seen, sent, index)
            extraction = gathered(unit.engine, unit.view, sent)
        except FhirError as error:
            error.issues = tuple(_placed(one, place) for one in error.issues)
            raise
        extractions.append(extraction)
        entries += [(entry, index) for entry in extraction.entries]
    return Answers(tuple(entries), tuple(extractions))


def one_need(asked: Asked, answers: Answers) -> tuple[str, ...]:
    """Return the need that the answers give when the caller names none, as system|code.

    Raises Invalid when they give several: who refers decides which of them leave.
    """
    needs = [f"{system}|{code}" for system, code in answers.needs]
    if len(needs) > 1:
        text = (
            f"The answers give {len(needs)} needs: {', '.join(code for _, code in answers.needs)}. Name those of this referral "
            "(need): the recipient learns of no other."
        )
        raise Invalid(issues=[issue(text, asked.place("need"))])
    return tuple(needs)


def stored_answers(unit: Unit, asked: Asked, request: Resource) -> list[Resource]:
    """Return References to the responses that came with a referral, as far as the caller may see them.

    They are known by what they were sent with: an id, an identifier, or questionnaire and time (that of the referral
    where none was sent), so that the same referral sent again is told the same.
    """
    bundle = asked.one("bundle") or {}
    listed = [entry.get("resource") for entry in items(bundle.get("entry")) if isinstance(entry, dict)]
    sent = [
        *asked.all("response"),
        *(one for one in listed if isinstance(one, dict) and one.get("resourceType") == _KIND),
    ]
    if not sent:
        return []
    person = str(request["subject"].get("reference", ""))
    rows = unit.view.search(Query(_KIND, RefersTo("subject", person), (SortKey("_lastUpdated", True),), _OF_PERSON))
    stored = [decode_stored(row.version.body) for row in rows if row.version.body is not None]
    found = (type_and_id(one) for response in sent for one in stored if _is_same(one, response, request))
    return [{"reference": reference} for reference in dict.fromkeys(found)]


def _is_same(stored: Resource, sent: Resource, request: Resource) -> bool:
    """Tell whether a response was stored of one that was sent (see `extract_earlier.sent_response`)."""
    own, given = stored.get("identifier", {}), sent.get("identifier", {})
    if "value" in given:
        return (own.get("system"), own.get("value")) == (given.get("system"), given["value"])
    if "id" in sent:
        return bool(stored["id"] == sent["id"]) or own.get("value") == lasting_urn(f"response/{sent['id']}")
    authored = sent.get("authored", request["authoredOn"])
    return (stored.get("questionnaire"), stored.get("authored")) == (sent.get("questionnaire"), authored)


def _filled(unit: Unit, response: Resource, subject: str, requester: Resource, now: str) -> Resource:
    """Return a response with what the referral knows: whom it is about, who answered, who wrote it down, and when."""
    named = response.get("subject")
    links = Links(unit, unit.engine.own_base, unit.engine.rulebook.governs)
    if named is not None and links.key(named) != subject:
        whom = "somebody who is not here yet" if subject.startswith("urn:") else subject
        text = (
            f"The response is about {str(named.get('reference') or 'somebody without a reference')[:100]!r}, the referral about {whom}. "
            "Leave its subject out, or refer the same person."
        )
        raise RuleViolated(text, key="refer-response", code="value", expression="QuestionnaireResponse.subject")
    filled = {
        **response,
        "subject": {"reference": subject},
        "authored": response.get("authored", now),
        "author": response.get("author", requester),
        "source": response.get("source", {"reference": subject}),
    }
    unnamed = "id" not in response and "value" not in response.get("identifier", {})
    if unnamed and subject.startswith("urn:"):  # nothing else tells it from the response of another new person
        filled["identifier"] = {"system": URI_SYSTEM, "value": lasting_urn(unit.engine.ids.new_id())}
    return filled


def _sent(unit: Unit, links: Links, filled: Resource) -> Sent:
    """Return the response as it is known here. Raises RuleViolated when it was stored about somebody else."""
    sent = sent_response(unit.view, filled)
    if sent.reference.startswith("urn:"):
        return sent
    kind, _, resource_id = sent.reference.partition("/")
    current = unit.view.current(kind, resource_id)
    stored = decode_stored(current.body) if current is not None and current.body is not None else {}
    if links.key(stored.get("subject")) == links.key(filled["subject"]):
        return sent
    text = (
        f"{sent.reference} is stored here under this id or identifier, and about somebody else. Give the response of each "
        "person an identifier of its own."
    )
    where = "QuestionnaireResponse.identifier" if "identifier" in filled else "QuestionnaireResponse.id"
    raise RuleViolated(text, key="refer-response", code="duplicate", expression=where)


def _require_once(seen: dict[str, int], sent: Sent, index: int) -> None:
    before = seen.setdefault(sent.basis, index)
    if before != index:
        text = (
            f"This is the same response as the parameter response number {before + 1}: same identifier, or same questionnaire, "
            "author and time. Send each once, with an identifier of its own."
        )
        raise RuleViolated(text, key="refer-response", code="duplicate", expression="QuestionnaireResponse")


def _observed(observation: Resource) -> list[Need]:
    """Return what a finding says, when it is a NeedObservation with a code as its value."""
    claimed = (observation.get("meta") or {}).get("profile", ())
    return list(codings(observation.get("valueCodeableConcept"))) if NEED_PROFILE in claimed else []


def _is_coded(condition: Resource) -> bool:
    """Tell whether a need says what it is in codes alone."""
    extensions = {one.get("url") for one in condition.get("extension", ())}
    return condition.keys() <= _CODED and extensions <= {_LIFE_DOMAIN} and "text" not in condition["code"]


def _placed(one: Issue, place: str) -> Issue:
    """Point an issue of a response at the parameter that it came in."""
    if one.expression == _KIND or one.expression.startswith((f"{_KIND}.", f"{_KIND}[")):
        return one._replace(expression=place + one.expression.removeprefix(_KIND))
    return one._replace(expression=place)
