"""Invariants of the clinical, administrative and financial resources and of questionnaires."""

from collections.abc import Mapping
from typing import Any

from fhir_server.validation.finding import Scope
from fhir_server.validation.predicates import (
    UCUM,
    Element,
    Predicate,
    any_of,
    both_or_none,
    coded,
    distinct,
    has,
    items,
    needs,
    not_both,
    one_of,
    only_when,
    ordered,
)

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_ALLERGY = _TERMINOLOGY + "allergyintolerance-verification"
_VERIFICATION = _TERMINOLOGY + "condition-ver-status"
_CLINICAL = _TERMINOLOGY + "condition-clinical"
_ANSWERABLE = ("choice", "open-choice", "decimal", "integer", "date", "dateTime", "time", "string", "quantity")
_ENTERED_IN_ERROR = ("entered-in-error",)


def _wrong(element: Element, system: str) -> bool:
    return coded(items(element, "verificationStatus"), system, _ENTERED_IN_ERROR)


def _abated(condition: Element, _scope: Scope) -> bool:
    ended = ("resolved", "remission", "inactive")
    return not has(condition, "abatement[x]") or coded(items(condition, "clinicalStatus"), _CLINICAL, ended)


def _component_codes(observation: Element, _scope: Scope) -> bool | str:
    if "component" not in observation or not has(observation, "value[x]"):
        return True
    own = items(observation, "code", "coding")
    for index, component in enumerate(observation["component"]):
        if any(coding in own for coding in items(component, "code", "coding")):
            return f".component[{index}]"
    return True


def _scoped(code: str) -> Predicate:
    """R4 published these with the literal system 'something'; they bind what uses that system."""
    return lambda e, _: has(e, "patient") or not coded(items(e, "scope"), "something", (code,))


def _linked_once(questionnaire: Element, _scope: Scope) -> bool:
    found: list[Any] = []
    level = items(questionnaire, "item")
    while level:
        found += [item.get("linkId") for item in level]
        level = [child for item in level for child in items(item, "item")]
    return distinct(link for link in found if link is not None)


def _not_type(name: str, *kinds: str) -> Predicate:
    """The element is absent from items of these types."""
    return lambda e, _: e.get("type") not in kinds or not has(e, name)


def _group(item: Element, _scope: Scope) -> bool:
    kind = item.get("type")
    return has(item, "item") if kind == "group" else kind != "display" or not has(item, "item")


def _percent(value: Element, _scope: Scope) -> bool:
    if not ("low" in value or "high" in value):
        return True  # a decimal, or a Range without bounds
    bounds = [value[name] for name in ("low", "high") if name in value]
    return all(bound.get("code") == "%" and bound.get("system") == UCUM for bound in bounds)


def _percentages(value: Any, scope: Scope) -> bool:
    return _percent(value, scope) if isinstance(value, dict) else True


def _stratified(first: tuple[str, ...], *path: str) -> Predicate:
    def check(element: Element, _scope: Scope) -> bool:
        return all(any(has(item, name) for name in first) != has(item, "component") for item in items(element, *path))

    return check


def _sequence_start(reference: Element, _scope: Scope) -> bool:
    names = ("genomeBuild", "referenceSeqId", "referenceSeqPointer", "referenceSeqString")
    return sum(has(reference, name) for name in names) == 1


CLINICAL: Mapping[str, Predicate] = {
    "ait-1": lambda e, _: _wrong(e, _ALLERGY) or has(e, "clinicalStatus"),
    "ait-2": lambda e, _: not (_wrong(e, _ALLERGY) and has(e, "clinicalStatus")),
    "app-1": any_of("type", "actor"),
    "app-2": both_or_none("start", "end"),
    "app-3": lambda e, _: (
        (has(e, "start") and has(e, "end")) or e.get("status") in ("proposed", "cancelled", "waitlist")
    ),
    "app-4": only_when("cancelationReason", "status", "no-show", "cancelled"),
    "apr-1": any_of("participantType", "actor"),
    "ces-1": one_of("category", "productOrService"),
    "cmp-1": any_of("text", "entry", "section"),
    "cmp-2": not_both("emptyReason", "entry"),
    "con-1": any_of("summary", "assessment"),
    "con-2": any_of("code", "detail"),
    "con-4": _abated,
    "con-5": lambda e, _: not (_wrong(e, _VERIFICATION) and has(e, "clinicalStatus")),
    "cpl-3": not_both("detail", "reference"),
    "fhs-1": not_both("age[x]", "born[x]"),
    "fhs-2": needs("estimatedAge", "age[x]"),
    "gol-1": needs("detail[x]", "measure"),
    "grp-1": lambda e, _: not has(e, "member") or e.get("actual") is True,
    "imm-1": any_of("documentType", "reference"),
    "imr-1": any_of("vaccineCode", "targetDisease"),
    "ipn-1": any_of("identifier", "name"),
    "lnk-1": lambda e, _: len(e.get("item", ())) > 1,
    "lst-1": not_both("emptyReason", "entry"),
    "lst-2": lambda e, _: e.get("mode") == "changes" or not items(e, "entry", "deleted"),
    "lst-3": lambda e, _: e.get("mode") == "working" or not items(e, "entry", "date"),
    "mad-1": any_of("dose", "rate[x]"),
    "mdd-1": lambda e, _: ordered(e.get("whenPrepared"), e.get("whenHandedOver")),
    "mea-1": _stratified(("code", "description", "criteria"), "group", "stratifier"),
    "mrp-1": lambda e, _: e.get("type") != "data-collection" or not has(e, "group"),
    "mrp-2": _stratified(("value",), "group", "stratifier", "stratum"),
    "msq-3": lambda e, _: e.get("coordinateSystem") in (0, 1),
    "msq-5": both_or_none("chromosome", "genomeBuild"),
    "msq-6": _sequence_start,
    "obs-3": any_of("low", "high", "text"),
    "obs-6": not_both("dataAbsentReason", "value[x]"),
    "obs-7": _component_codes,
    "org-1": any_of("identifier", "name"),
    "org-2": lambda e, _: e.get("use") != "home",
    "org-3": lambda e, _: e.get("use") != "home",
    "pat-1": any_of("name", "telecom", "address", "organization"),
    "ppc-1": any_of("policy", "policyRule"),
    "ppc-2": _scoped("patient-privacy"),
    "ppc-3": _scoped("research"),
    "ppc-4": _scoped("adr"),
    "ppc-5": _scoped("treatment"),
    "prr-1": needs("orderDetail", "code"),
    "qrs-1": not_both("answer", "item"),
    "que-1": _group,
    "que-2": _linked_once,
    "que-3": _not_type("code", "display"),
    "que-4": not_both("answerOption", "answerValueSet"),
    "que-5": lambda e, _: e.get("type") in _ANSWERABLE or not (has(e, "answerValueSet") or has(e, "answerOption")),
    "que-6": lambda e, _: e.get("type") != "display" or not (has(e, "required") or has(e, "repeats")),
    "que-7": lambda e, _: e.get("operator") != "exists" or has(e, "answerBoolean"),
    "que-8": _not_type("initial", "group", "display"),
    "que-9": _not_type("readOnly", "display"),
    "que-10": only_when("maxLength", "type", "boolean", "decimal", "integer", "string", "text", "url", "open-choice"),
    "que-11": not_both("answerOption", "initial"),
    "que-12": lambda e, _: len(e.get("enableWhen", ())) <= 2 or has(e, "enableBehavior"),  # noqa: PLR2004  # as R4 counts
    "que-13": lambda e, _: e.get("repeats") is True or len(e.get("initial", ())) <= 1,
    "ras-1": _percentages,
    "ras-2": lambda e, _: "probabilityDecimal" not in e or e["probabilityDecimal"] <= 100,  # noqa: PLR2004  # a percentage
    "rqg-1": lambda e, _: has(e, "resource") != has(e, "action"),
    "sev-1": not_both("name", "query"),
    "Task/inv-1": lambda e, _: ordered(e.get("authoredOn"), e.get("lastModified")),
    "TestReport.setup.action/inv-1": one_of("operation", "assert"),
    "inv-2": one_of("operation", "assert"),
}
