"""All that a response gives rise to, as the entries of one transaction."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from fhir_server.model.errors import RuleViolated
from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource, type_and_id
from fhir_server.workflow.screening_extraction import URI_SYSTEM, Extracted, Source, lasting_urn, refers_to
from fhir_server.workflow.screening_flow import Flow, read_given
from fhir_server.workflow.screening_form import Form
from fhir_server.workflow.screening_kept import renewed, resolved, retired, urn_of
from fhir_server.workflow.screening_observations import observations
from fhir_server.workflow.screening_risk import assessments
from fhir_server.workflow.screening_templates import Templates, require_extractable
from fhir_server.workflow.wording import PLAIN, Wording

_PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def extracted(
    form: Form, response: Resource, basis: str, reference: str, wording: Wording = PLAIN
) -> tuple[Source, list[Extracted]]:
    """Return all that a checked response with its calculated values gives rise to.

    `basis` is the lasting identity of the response, `reference` how what is made refers to it. Raises RuleViolated when the response
    lacks what every observation needs, or the questionnaire asks what is not offered.
    """
    require_extractable(form)
    lacking = [name for name in ("subject", "authored") if name not in response]
    if lacking:
        text = "The response says nothing of {}: what is extracted must say whom it is about and since when."
        raise RuleViolated(
            issues=[Issue("extract-lacks", "required", text.format(name), "QuestionnaireResponse") for name in lacking]
        )
    root = read_given(form, response)
    source = Source(form, root, Flow(form, root), response, basis, reference, wording)
    found = list(observations(source))
    templated = [_with_evidence(_by_people(one), found, source) for one in Templates(source).extracted()]
    return source, [*found, *templated, *assessments(source, found)]


def _by_people(one: Extracted) -> Extracted:
    """Leave out who recorded or asserted a need where R4 has only people there; the Provenance names the author anyhow."""
    if one.resource["resourceType"] != "Condition":
        return one
    strange = {name for name in ("recorder", "asserter") if refers_to(one.resource.get(name), "Organization", "Device")}
    return one._replace(resource={name: value for name, value in one.resource.items() if name not in strange})


def _with_evidence(one: Extracted, found: Sequence[Extracted], source: Source) -> Extracted:
    """Name the observations of the same answer, and the response, as the evidence of a need."""
    if one.resource["resourceType"] != "Condition" or "evidence" in one.resource:
        return one
    same = [each for each in found if each.link_id == one.link_id]
    exact = [each for each in same if each.answer == one.answer] or same
    details = [{"reference": each.urn} for each in exact]
    evidence = [{"detail": [*details, {"reference": source.reference}]}]
    return one._replace(resource={**one.resource, "evidence": evidence})


def entries(
    source: Source, found: Sequence[Extracted], earlier: Mapping[str, Resource], provenance: Resource | None, now: str
) -> Iterator[Resource]:
    """Yield the entries of the transaction: what is new or changed, what is gone, and their Provenance.

    `earlier` holds by URN what extractions of this response made before. A new resource is a conditional create by its
    identifier, a known one an update of the version that was looked at. Nothing is yielded when nothing changed.
    """
    names = {urn: type_and_id(before) for urn, before in earlier.items()}
    changed: list[Resource] = []
    for one in found:
        fresh = resolved(one.resource, names)
        before = earlier.get(one.urn)
        if before is None:
            changed.append(_create(fresh, one.urn))
        elif (after := renewed(fresh, before)) is not None:
            changed.append(update_entry(after, before))
    current = {one.urn for one in found}
    for urn, before in earlier.items():
        if urn not in current and (after := retired(before, source.wording)) is not None:
            changed.append(update_entry(after, before))
    yield from changed
    if changed:
        targets = dict.fromkeys([*(names.get(one.urn, one.urn) for one in found), *names.values()])
        yield _provenance(source, targets, provenance, now)


def update_entry(after: Resource, before: Resource) -> Resource:
    """Return an entry that replaces the version of a resource that was looked at."""
    name = type_and_id(before)
    version = f'W/"{before["meta"]["versionId"]}"'
    return {
        "fullUrl": urn_of(before) or lasting_urn(name),
        "resource": after,
        "request": {"method": "PUT", "url": name, "ifMatch": version},
    }


def _create(resource: Resource, urn: str) -> Resource:
    request = {"method": "POST", "url": resource["resourceType"], "ifNoneExist": f"identifier={URI_SYSTEM}|{urn}"}
    return {"fullUrl": urn, "resource": resource, "request": request}


def _provenance(source: Source, targets: Iterable[str], before: Resource | None, now: str) -> Resource:
    urn = source.urn("provenance")
    made: dict[str, Any] = {
        "resourceType": "Provenance",
        "target": [{"reference": one} for one in targets],
        "occurredDateTime": source.authored,
        "recorded": now,
        "agent": [_agent("assembler", source.wording.sentence("display", "extraction"))],
        "entity": [{"role": "source", "what": {"reference": source.reference}}],
    }
    if source.form.canonical:
        made["policy"] = [source.form.canonical.partition("|")[0]]
    if source.author is not None:
        made["agent"].append(_agent("author", source.author))
    if before is not None:
        return update_entry({**before, **made}, before)
    condition = f"entity={source.reference}"
    request: Resource = {"method": "POST", "url": "Provenance"}
    if not source.reference.startswith("urn:"):
        request["ifNoneExist"] = condition
    return {"fullUrl": urn, "resource": made, "request": request}


def _agent(kind: str, who: Resource) -> Resource:
    return {"type": {"coding": [{"system": _PARTICIPANT, "code": kind}]}, "who": who}
