"""All that a response gives rise to, as the entries of one transaction."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from fhir_server.model.errors import RuleViolated
from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource, type_and_id
from fhir_server.workflow.codes import CANONICAL
from fhir_server.workflow.screening_definitions import Definitions
from fhir_server.workflow.screening_definitions_plan import Plan, read_plan
from fhir_server.workflow.screening_definitions_profile import Definitions as Known
from fhir_server.workflow.screening_extraction import URI_SYSTEM, Extracted, Source, lasting_urn, refers_to
from fhir_server.workflow.screening_flow import Flow, read_given
from fhir_server.workflow.screening_form import SDC, Form, extensions
from fhir_server.workflow.screening_kept import renewed, resolved, retired, urn_of
from fhir_server.workflow.screening_observations import observations
from fhir_server.workflow.screening_risk import assessments
from fhir_server.workflow.screening_templates import Templates, require_extractable
from fhir_server.workflow.wording import PLAIN, Wording

_FIXED_WAYS: Final = (
    SDC + "observationExtract",
    SDC + "templateExtract",
    f"{CANONICAL}/StructureDefinition/risk-assessment",
)
"""Ways of extraction that take the person and the date from the response."""
_PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def extracted(
    form: Form,
    response: Resource,
    basis: str,
    reference: str,
    wording: Wording = PLAIN,
    definitions: Known = lambda _canonical: None,
) -> tuple[Source, list[Extracted]]:
    """Return all that a checked response with its calculated values gives rise to.

    `basis` is the lasting identity of the response, `reference` how what is made refers to it, `definitions` finds the profiles that the
    questionnaire names. Raises RuleViolated when the response lacks what every observation needs, or the questionnaire asks what is not
    offered.
    """
    require_extractable(form)
    plan = read_plan(form, definitions)
    lacking = [name for name in _needed(form, plan) if name not in response]
    if lacking:
        text = "The response says nothing of {}: what is extracted must say whom it is about and since when."
        raise RuleViolated(
            issues=[Issue("extract-lacks", "required", text.format(name), "QuestionnaireResponse") for name in lacking]
        )
    root = read_given(form, response)
    source = Source(form, root, Flow(form, root), response, basis, reference, wording)
    found = list(observations(source))
    templated = [_with_evidence(_by_people(one), found, source) for one in Templates(source).extracted()]
    defined = list(Definitions(source, plan).extracted())
    return source, [*found, *templated, *assessments(source, found), *defined]


def _needed(form: Form, plan: Plan) -> tuple[str, ...]:
    """Return what a response must say; where only definitions make resources, the questionnaire says what they need."""
    holders = (form.questionnaire, *(one.raw for one in form.questions.values()))
    others = any(extensions(holder, url) for holder in holders for url in _FIXED_WAYS)
    return ("subject", "authored") if others or not plan.contexts else ()


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
    others = {one.urn for one in found if _of_others(one, earlier.get(one.urn))}
    for one in found:
        if one.urn in others:
            continue
        fresh = resolved(one.resource, names)
        before = earlier.get(one.urn)
        if before is None:
            changed.append(_create(fresh, one))
        elif (after := renewed(fresh, before, one.update.decides if one.update is not None else None)) is not None:
            changed.append(_update(after, before, one))
    current = {one.urn for one in found}
    for urn, before in earlier.items():
        if urn not in current and (after := retired(before, source.wording)) is not None:
            changed.append(update_entry(after, before))
    yield from changed
    if changed:
        made = [one.urn for one in found if one.urn not in others]
        targets = dict.fromkeys(
            [*(names.get(urn, urn) for urn in made), *(names[urn] for urn in names if urn not in others)]
        )
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


def _create(resource: Resource, one: Extracted) -> Resource:
    condition = one.update.if_none_exist if one.update is not None else ""
    own = f"identifier={URI_SYSTEM}|{one.urn}"
    request = {"method": "POST", "url": resource["resourceType"], "ifNoneExist": condition or own}
    return {"fullUrl": one.urn, "resource": resource, "request": request}


def _of_others(one: Extracted, before: Resource | None) -> bool:
    """Tell whether the condition of a creation found what this response did not make: it is left alone."""
    return bool(
        before is not None and one.update is not None and one.update.if_none_exist and urn_of(before) != one.urn
    )


def _update(after: Resource, before: Resource, one: Extracted) -> Resource:
    """Return the entry of an update; of the version that the questionnaire names, where it names one."""
    entry = update_entry(after, before)
    if one.update is not None and one.update.if_match:
        named = one.update.if_match.removeprefix("W/").strip('"')
        entry["request"]["ifMatch"] = f'W/"{named}"'
    return entry


def _provenance(source: Source, targets: Iterable[str], before: Resource | None, now: str) -> Resource:
    urn = source.urn("provenance")
    made: dict[str, Any] = {
        "resourceType": "Provenance",
        "target": [{"reference": one} for one in targets],
        **({"occurredDateTime": source.authored} if "authored" in source.response else {}),
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
