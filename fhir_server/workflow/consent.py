"""Whether a Consent lets a referral go to a recipient at a moment (R4 consent.html; pure)."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from fhir_server.model.resource import Resource
from fhir_server.model.temporal import parse_temporal, period_interval
from fhir_server.workflow.codes import CONSENT_SCOPE, ESCALATION, TASK_KIND
from fhir_server.workflow.links import Links, codings, items

_DATA_LIMITS: Final = ("action", "securityLabel", "purpose", "class", "code", "dataPeriod", "data")
_REFERRAL: Final = "referral"
"""Stands beside the codes of CodeSystem/task-kind for a Task that is the referral itself."""
_NO_NEEDS: Final[frozenset[tuple[str, str]]] = frozenset()


class Verdict(NamedTuple):
    """Whether it permits, and if not why not: a clause that completes `Consent/x: …`."""

    permitted: bool
    reason: str = ""


def permits(
    consent: Resource,
    patient: str,
    recipient: frozenset[str] | None,
    now: str,
    *,
    needs: frozenset[tuple[str, str]] = _NO_NEEDS,
    links: Links,
) -> Verdict:
    """Judge whether a Consent lets a referral of `patient` go to `recipient` at `now`.

    `patient` is a key (`Patient/x`); `recipient` holds the keys under which the recipient may be named (organisation,
    service, role), None asks whether it permits anyone at all; `now` is an instant; `needs` are the `(system, code)` of
    the referral, compared with `provision.class` and `provision.code` where those use the same systems.

    The root provision says permit or deny; without a type the base policy does (an opt-out policy denies, anything
    else permits). Listed actors close the list; without any, every recipient is meant. Nested provisions are
    exceptions; a nested deny that is limited to some data leaves the referral as such alone.
    """
    if consent.get("status") != "active":
        return Verdict(False, f"its status is {consent.get('status')}, not active")
    if (CONSENT_SCOPE, "patient-privacy") not in set(codings(consent.get("scope"))):
        return Verdict(False, "its scope is not patient-privacy")
    if links.key(consent.get("patient")) != patient:
        return Verdict(False, "it is about another person")
    policy = {code for _, code in codings(consent.get("policyRule"))}
    root = consent.get("provision") or {}
    at = parse_temporal(now).lo
    kind = root.get("type") or ("deny" if policy & {"OPTOUT", "OPTOUTE"} else "permit")
    outside = _outside(root, at)
    if kind == "permit":
        verdict = Verdict(False, outside) if outside else _rule(root, recipient, needs, links)
    else:
        open_policy = bool(policy & {"OPTIN", "OPTINR"}) and recipient is not None
        applies = not outside and (not root.get("actor") or recipient is None or _named(root, recipient, links))
        verdict = Verdict(open_policy and not applies, "it denies")
    return verdict if outside else _exceptions(root, verdict, recipient, at, needs, links)


def candidates(request: Resource, patient: str, links: Links) -> tuple[Resource, ...]:
    """Return the Consents that a referral relies on: those it names in supportingInfo, else all of its patient."""
    named = [key for key in map(links.key, request.get("supportingInfo", ())) if key.startswith("Consent/")]
    if named:
        return tuple(consent for consent in map(links.get, named) if consent is not None)
    return tuple(links.referring("Consent", "patient", patient)) if "/" in patient else ()


def needs_of(request: Resource, task: Resource | None = None) -> frozenset[tuple[str, str]]:
    """Return the codes under which a Consent may limit what is referred for: categories, code and reasons.

    With them goes what a Task of it is for: a provision for escalation (`escalation_provision`) covers nothing else.
    """
    concepts = (*items(request.get("category")), request.get("code"), *items(request.get("reasonCode")))
    late = (TASK_KIND, ESCALATION) in set(codings((task or {}).get("code")))
    return frozenset(codings(*concepts)) | {(TASK_KIND, ESCALATION if late else _REFERRAL)}


def escalation_provision(actors: Sequence[Resource]) -> Resource:
    """Return the provision by which a contact point may learn of a referral that is overdue, and not before."""
    code = {"coding": [{"system": TASK_KIND, "code": ESCALATION}]}
    return {"type": "permit", "actor": list(actors), "code": [code]}


def _rule(
    provision: Resource, recipient: frozenset[str] | None, needs: frozenset[tuple[str, str]], links: Links
) -> Verdict:
    if recipient is not None and provision.get("actor") and not _named(provision, recipient, links):
        return Verdict(False, "it does not name the recipient")
    listed = {(coding.get("system", ""), coding.get("code", "")) for coding in items(provision.get("class"))}
    listed |= set(codings(*items(provision.get("code"))))
    comparable = {need for need in needs if need[0] in {system for system, _ in listed}}
    if comparable and not comparable & listed:
        return Verdict(False, "it does not cover the needs of the referral")
    return Verdict(True)


def _exceptions(
    provision: Resource,
    verdict: Verdict,
    recipient: frozenset[str] | None,
    at: int,
    needs: frozenset[tuple[str, str]],
    links: Links,
) -> Verdict:
    for nested in provision.get("provision", ()):
        if _outside(nested, at):
            continue
        if nested.get("type") == "permit":
            if _rule(nested, recipient, needs, links).permitted:
                verdict = _exceptions(nested, Verdict(True), recipient, at, needs, links)
        elif _denies(nested, recipient, links):
            verdict = _exceptions(nested, Verdict(False, "it denies the recipient"), recipient, at, needs, links)
    return verdict


def _denies(provision: Resource, recipient: frozenset[str] | None, links: Links) -> bool:
    if any(provision.get(limit) for limit in _DATA_LIMITS):
        return False
    if not provision.get("actor"):
        return True
    return recipient is not None and _named(provision, recipient, links)


def _named(provision: Resource, recipient: frozenset[str], links: Links) -> bool:
    return not recipient.isdisjoint(_actors(provision, links))


def _actors(provision: Resource, links: Links) -> Iterator[str]:
    for actor in provision.get("actor", ()):
        yield links.key(actor.get("reference"))


def _outside(provision: Resource, at: int) -> str:
    period = provision.get("period")
    if not isinstance(period, dict):
        return ""
    start, end = period.get("start"), period.get("end")
    interval = period_interval(start, end)
    if at < interval.lo:
        return f"it holds from {start}"
    return f"it ended on {end}" if at >= interval.hi else ""
