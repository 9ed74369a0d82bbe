"""One change as the rules look at it: what it was, what it becomes, who does it, and what this makes of them."""

from dataclasses import dataclass
from functools import cached_property

from fhir_server.model.resource import Resource, profiles, type_and_id
from fhir_server.workflow.codes import ASK_CONSENT, ESCALATION, FOLLOW_UP_PROFILE, RE_EVALUATION, TASK_KIND, Actor
from fhir_server.workflow.links import Links, codings
from fhir_server.workflow.party import Party
from fhir_server.workflow.wording import PLAIN, Wording


def is_follow_up(task: Resource) -> bool:
    """Tell whether a Task asks again how things went; it is no part of the referral itself."""
    return FOLLOW_UP_PROFILE in profiles(task)


def is_signal(task: Resource) -> bool:
    """Tell whether a Task asks somebody to ask the person for consent first."""
    return (TASK_KIND, ASK_CONSENT) in set(codings(task.get("code")))


def is_aside(task: Resource) -> bool:
    """Tell whether a Task goes beside the referral: how it ends says nothing of what became of the need."""
    kinds = {code for system, code in codings(task.get("code")) if system == TASK_KIND}
    return is_follow_up(task) or not kinds.isdisjoint({ASK_CONSENT, ESCALATION, RE_EVALUATION})


@dataclass(frozen=True)
class Case:
    """A creation (`before` is None) or update of a governed ServiceRequest or Task, to be judged and propagated.

    `now` is the instant of the commit; `wording` says what the server composes. Everything derived is computed at most once.
    """

    before: Resource | None
    after: Resource
    links: Links
    principal: Party
    now: str
    wording: Wording = PLAIN

    @cached_property
    def key(self) -> str:
        """`Type/id` of the resource."""
        return type_and_id(self.after)

    @property
    def status(self) -> str:
        """The status that it gets."""
        status: str = self.after.get("status", "")
        return status

    @property
    def status_before(self) -> str:
        """The status that it had, "" for a creation."""
        return self.before.get("status", "") if self.before is not None else ""

    @property
    def imported(self) -> bool:
        """Whether an operator or the platform brings it in: what happened elsewhere is not judged again."""
        return self.before is None and not self.principal.roles.isdisjoint({"operator", "platform"})

    @cached_property
    def acting_for(self) -> str:
        """The key of the organisation (or person) for which the principal acts, "" when it said none."""
        organization = self.principal.organization
        return self.links.key({"reference": organization}) if organization else ""

    @cached_property
    def actors(self) -> frozenset[Actor]:
        """What the principal is to the resource as it was before (a creation: as it is now)."""
        roles, acting_for = self.principal.roles, self.acting_for
        if "platform" in roles:
            return frozenset({"platform"})
        if "operator" in roles:
            return frozenset({"requester", "owner"})
        found: set[Actor] = set()
        if not acting_for:
            return frozenset()
        judged = self.before if self.before is not None else self.after
        if acting_for in self.links.organizations(judged.get("requester")):
            found.add("requester")
        if judged["resourceType"] == "Task":
            if self.links.key(judged.get("owner")):
                if acting_for in self.links.organizations(judged["owner"]):
                    found.add("owner")
            elif judged.get("status") == "requested" and acting_for.startswith("Organization/"):
                found.add("claimant")
        if "person" in roles and self._is_person(judged):
            found.add("person")
        return frozenset(found)

    @property
    def request_key(self) -> str:
        """The key of the ServiceRequest of a Task (its focus, else what it is based on), "" when it has none."""
        keys = (self.links.key(one) for one in (self.after.get("focus"), *self.after.get("basedOn", ())))
        return next((key for key in keys if key.startswith("ServiceRequest/")), "")

    @property
    def subject(self) -> str:
        """The key of the person whom it is about."""
        return self.links.key(self.after.get("for" if self.after["resourceType"] == "Task" else "subject"))

    @cached_property
    def request(self) -> Resource | None:
        """The ServiceRequest of a Task as it is now, None when it is not here."""
        return self.links.get(self.request_key) if self.request_key else None

    def _is_person(self, judged: Resource) -> bool:
        subject = self.links.key(judged.get("for" if judged["resourceType"] == "Task" else "subject"))
        if self.acting_for == subject:
            return True
        if not self.acting_for.startswith("RelatedPerson/"):
            return False
        relative = self.links.get(self.acting_for)
        return relative is not None and self.links.key(relative.get("patient")) == subject
