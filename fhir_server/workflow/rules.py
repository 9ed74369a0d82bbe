"""The rulebook: which resources are governed, and what becomes of a change of one (design, the referral).

Every function below this one is pure: it sees the change, what is related to it as of the end of the unit of work, who
acts and the instant of the commit, and answers with effects or a refusal. Effects are asked for only where they change
something, so a unit of work comes to rest.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from fhir_server.model.errors import RuleViolated
from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource, profiles
from fhir_server.workflow.case import Case
from fhir_server.workflow.codes import CONSENT_PROFILE, GOVERNING, TASK_ENDED
from fhir_server.workflow.effects import Change, Effect, Related
from fhir_server.workflow.events import consent_event, deletion_events, task_events
from fhir_server.workflow.fields import request_field_issues, task_field_issues
from fhir_server.workflow.guards import (
    requester_issues,
    require_claim,
    require_principal,
    require_request_actor,
    require_task_actor,
    subject_issues,
)
from fhir_server.workflow.intake import intake_issues
from fhir_server.workflow.keys import violation
from fhir_server.workflow.least_data import least_data_issues
from fhir_server.workflow.links import Links
from fhir_server.workflow.party import Party
from fhir_server.workflow.permission import addressee, goes_out, request_consent_issues, task_consent_issues
from fhir_server.workflow.plans import Action, planned
from fhir_server.workflow.propagation import after_consent, after_request, after_task
from fhir_server.workflow.referral import addressees, leaves, task_for, term_issues
from fhir_server.workflow.request_lifecycle import REQUEST_TABLE
from fhir_server.workflow.routing import Recipient
from fhir_server.workflow.signals import after_signal, signal_issues
from fhir_server.workflow.steps import step_issues
from fhir_server.workflow.subtasks import completion_issues, part_issues
from fhir_server.workflow.task_lifecycle import TASK_TABLE, request_issues, state_issues
from fhir_server.workflow.wording import PLAIN, Wording

_KEEPERS = frozenset({"operator", "platform"})


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The rules with their settings; made once, used by every unit of work."""

    govern_all: bool = False
    contact_days: int = 7
    own_base: str = ""
    plans: Mapping[str, tuple[Action, ...]] = field(default_factory=dict)
    wording: Wording = PLAIN
    escalate: bool = False
    """Whether the contact point of the area learns of a referral that is overdue: its Consent is to cover that then."""

    @classmethod
    def load(
        cls,
        *,
        govern_all: bool = False,
        contact_days: int = 7,
        own_base: str = "",
        plans: Mapping[str, tuple[Action, ...]] | None = None,
        wording: Wording = PLAIN,
        escalate: bool = False,
    ) -> Self:
        """Make the rulebook of a deployment.

        `govern_all` holds every ServiceRequest and Task to the rules; `contact_days` is the term for a first contact,
        in days; `own_base` is the public FHIR base, so that absolute references to this server are understood;
        `plans` say which follow-up Tasks there are (`plans.load_plans`); `wording` says in which language the server
        composes; `escalate` whether a referral that is overdue is told to the contact point of the area.
        """
        return cls(govern_all, contact_days, own_base, plans or {}, wording, escalate)

    def governs(self, resource: Resource | None) -> bool:
        """Tell whether a change of this resource is to be reviewed.

        ServiceRequests and Tasks that claim a referral profile (all of them with `govern_all`), and every Consent:
        a referral may rely on any, so that its end must be noticed, though only a referral-consent is policed.
        """
        if resource is None:
            return False
        kind = resource.get("resourceType")
        if kind == "Consent":
            return True
        if kind not in GOVERNING:
            return False
        return self.govern_all or not GOVERNING[kind].isdisjoint(profiles(resource))

    def review(self, change: Change, related: Related, principal: Party, now: str) -> tuple[Effect, ...]:
        """Judge a change of a governed resource and return what follows from it, in the order to be carried out.

        `now` is the instant of the commit. Raises Forbidden when the principal may not do this, RuleViolated with
        every broken rule otherwise.
        """
        links = Links(related, self.own_base, self.governs)
        before, after = change.before, change.after
        standing = after if after is not None else before
        if standing is None or not (self.governs(before) or self.governs(after)):
            return ()
        if standing["resourceType"] == "Consent":
            return tuple(self._consent(change, standing, links, principal, now))
        require_principal(principal, standing)
        was_governed = before is not None and self.governs(before)
        if after is None:
            return tuple(_deletion(standing, principal))
        if not self.governs(after):
            return _released(standing, principal)
        case = Case(before if was_governed else None, after, links, principal, now, self.wording)
        if after["resourceType"] == "Task":
            return tuple(self._task(case))
        return tuple(self._request(case))

    def _request(self, case: Case) -> Iterator[Effect]:
        require_request_actor(case)
        issues = [*requester_issues(case), *term_issues(case)]
        if case.before is not None:
            issues += (*request_field_issues(case), *REQUEST_TABLE.check(case))
        _refuse(issues)
        new = addressees(case)
        to_check = _to_check(case, new)
        if to_check is not None:
            _refuse(request_consent_issues(case, to_check))
        yield from after_request(case)
        for recipient in new:
            yield task_for(case, recipient, self.contact_days)

    def _task(self, case: Case) -> Iterator[Effect]:
        _require_task(case)
        yield from after_task(case)
        yield from after_signal(case)
        yield from planned(case, self.plans)
        yield from task_events(case)

    def _consent(
        self, change: Change, standing: Resource, links: Links, principal: Party, now: str
    ) -> Iterator[Effect]:
        if CONSENT_PROFILE in profiles(standing):
            require_principal(principal, standing)
        before = change.before
        patient = links.key(before.get("patient")) if before is not None else ""
        if before is None or before.get("status") != "active" or not patient:
            return
        referrals = (one for one in links.referring("ServiceRequest", "subject", patient) if self.governs(one))
        stopped = tuple(after_consent(before, referrals, links, now, self.wording))
        yield from stopped
        if stopped:
            yield consent_event(standing)


def _require_task(case: Case) -> None:
    require_task_actor(case)
    parts = part_issues(case)
    issues = [*requester_issues(case), *subject_issues(case), *parts]
    if case.before is not None:
        require_claim(case)
        issues += (*task_field_issues(case), *TASK_TABLE.check(case))
    issues += (*least_data_issues(case), *state_issues(case), *request_issues(case), *completion_issues(case))
    issues += (*step_issues(case), *signal_issues(case), *intake_issues(case))
    _refuse(issues)
    _refuse(task_consent_issues(case))


def _to_check(case: Case, new: tuple[Recipient, ...]) -> tuple[Recipient, ...] | None:
    """Return for whom Consent must be shown now, None when nothing leaves that did not leave before."""
    if case.imported or not leaves(case.after):
        return None
    if case.before is None or case.status_before != "active":
        return new
    links = case.links
    relied = [{links.key(one) for one in side.get("supportingInfo", ())} for side in (case.before, case.after)]
    if relied[0] == relied[1]:
        return new or None
    open_tasks = (task for task in links.tasks_of(case.key) if task.get("status") not in TASK_ENDED)
    still = (addressee(task) for task in open_tasks if goes_out(task, links))
    return (*new, *(one._replace(expression="ServiceRequest.supportingInfo") for one in still))


def _deletion(deleted: Resource, principal: Party) -> Iterator[Effect]:
    if principal.roles.isdisjoint(_KEEPERS):
        kind = deleted["resourceType"]
        text = (
            f"A {kind} of a referral is not deleted, so that everyone can see what became of it. Set its status to "
            "entered-in-error instead."
        )
        _refuse((violation("referral-delete", text, kind),))
    yield from deletion_events(deleted)


def _released(after: Resource, principal: Party) -> tuple[Effect, ...]:
    if principal.roles.isdisjoint(_KEEPERS):
        kind = after["resourceType"]
        wanted = sorted(GOVERNING[kind])
        text = (
            f"This {kind} belongs to a referral and keeps saying so. Put {' or '.join(wanted)} back into meta.profile."
        )
        _refuse((violation("profile-claim", text, f"{kind}.meta.profile"),))
    return ()


def _refuse(issues: list[Issue] | tuple[Issue, ...]) -> None:
    if issues:
        raise RuleViolated(issues=issues)
