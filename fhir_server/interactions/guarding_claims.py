"""What a caller may not say of others, although it may write the resource in which it says it.

The policies go by what resources say: who works where, what an identifier stands for, what a person agreed to. Whoever could
say that of others would let itself in by it, or keep others out. Judged at the end of the unit of work, when all is there.
"""

from typing import TYPE_CHECKING, Final

from fhir_server.access.guarded import GuardedSnapshot
from fhir_server.access.policies_nodes import ASKER, CLOSES, PERMITS, WRITER, tagged
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import Conflict, Forbidden
from fhir_server.model.issue import Issue
from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import Resource
from fhir_server.search.query import Query, TokenIs
from fhir_server.workflow.links import Links, items

if TYPE_CHECKING:
    from fhir_server.interactions.unit import Unit  # which calls what is here

_NAMED_BY_IDENTIFIER: Final = ("Organization", "PractitionerRole", "Practitioner", "HealthcareService")
"""Types by whose identifiers a reference finds the organisation that acts (workflow.links)."""
_SAME: Final = 20
"""Holders of one identifier that are looked at."""
_PERSONS: Final = ("Patient/", "RelatedPerson/")


class Claim:
    """One change of a caller where access is enforced, and the unit that it is part of."""

    def __init__(
        self, unit: "Unit", view: GuardedSnapshot, after: Resource, before: Resource | None, root: str
    ) -> None:
        """`root` is the expression of the resource in what was sent."""
        self._unit = unit
        self._view = view
        self._after = after
        self._before = before or {}
        self._root = root
        self._own = unit.principal.organization or unit.principal.person
        self._links = Links(unit, unit.engine.own_base, unit.engine.rulebook.governs)

    def require(self) -> None:
        """Raise Forbidden or Conflict where the caller says of others what is not its to say."""
        kind = self._after["resourceType"]
        if kind in _NAMED_BY_IDENTIFIER:
            self._require_own_identifiers()
        match kind:
            case "PractitionerRole":
                self._require_own_staff()
            case "Task":
                self._require_own_reports()
            case "Consent":
                self._require_voice()

    def _require_own_staff(self) -> None:
        """A role lets a practitioner act for an organisation: only whoever keeps the practitioner says so."""
        key = self._links.key(self._after.get("practitioner"))
        if not key or key == self._links.key(self._before.get("practitioner")) or self._wrote(key):
            return
        raise Forbidden(
            f"{key} is not kept by your organisation, so that you cannot say where it works. Record the practitioner "
            "yourself, or ask the operator of this server to add the role.",
            key="access-claim",
            expression=f"{self._root}.practitioner",
        )

    def _require_own_identifiers(self) -> None:
        """An identifier may stand in a reference: it leads to whom it was given first."""
        known = _identifiers(self._before)
        issues = [
            Issue(
                "identifier-taken",
                "duplicate",
                f"The identifier {value[:60]!r} of {system[:100]!r} is of an organisation that is not yours here. Leave it "
                "out, or ask the operator of this server.",
                f"{self._root}.identifier[{index}]",
            )
            for index, (system, value) in enumerate(_identifiers(self._after))
            if value and (system, value) not in known and self._is_taken(system, value)
        ]
        if issues:
            raise Conflict(issues=issues)

    def _is_taken(self, system: str, value: str) -> bool:
        for kind in _NAMED_BY_IDENTIFIER:
            rows = self._unit.uow.search(Query(kind, TokenIs("identifier", system, value), limit=_SAME))
            for row in rows:
                holder: Resource = decode_stored(row.version.body or b"null")
                behind = self._links.organizations({"reference": f"{kind}/{row.version.id}"})
                if self._own not in tagged(holder, WRITER) and behind != {self._own}:
                    return True
        return False

    def _require_own_reports(self) -> None:
        """What a Task reports is shown to whoever asked for it: who asked does not add to that what others wrote."""
        if self._own not in tagged(self._after, ASKER):
            return
        known = {self._links.key(one.get("valueReference")) for one in items(self._before.get("output"))}
        for index, one in enumerate(items(self._after.get("output"))):
            key = self._links.key(one.get("valueReference"))
            if key and key not in known and parse_reference(key).kind == "relative" and not self._wrote(key):
                raise Forbidden(
                    f"{key} was not written by your organisation; who works on a Task says what it reports.",
                    key="access-claim",
                    expression=f"{self._root}.output[{index}]",
                )

    def _require_voice(self) -> None:
        """Who closes a record to others, or gives somebody a mandate, speaks for the person."""
        closes = tagged(self._after, CLOSES) - tagged(self._before, CLOSES)
        permits = tagged(self._after, PERMITS)
        named = {code for code in permits - tagged(self._before, PERMITS) if code.startswith(_PERSONS)}
        if self._after.get("status") == "active" and self._unit.principal.person in permits - {""}:
            self._refuse("A mandate is given by the person, not by whoever it is for.")
        if self._unit.principal.person or not (closes or named):
            return
        patient = self._links.key(self._after.get("patient"))
        kind, _, identity = patient.partition("/")
        version = self._unit.uow.current(kind, identity) if kind == "Patient" and identity else None
        if version is not None and not version.deleted and not self._view.rule_holds(version, "keeps"):
            self._refuse(
                f"Your organisation knows {patient} by a referral to it, and cannot close the record of the person to others "
                "or give a mandate. The person can, and the organisation that keeps the record."
            )

    def _refuse(self, text: str) -> None:
        raise Forbidden(text, key="access-claim", expression=f"{self._root}.provision")

    def _wrote(self, key: str) -> bool:
        target = self._links.get(key)
        return target is not None and self._own in tagged(target, WRITER)


def _identifiers(resource: Resource) -> tuple[tuple[str, str], ...]:
    return tuple((one.get("system", ""), one.get("value", "")) for one in items(resource.get("identifier")))
