"""Each error-level invariant of R4 that is enforced as a predicate, with an element that keeps it and one that breaks it."""

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.artifacts.r4 import Constraint, definition_paths, structure
from fhir_server.validation.finding import Scope
from fhir_server.validation.invariants import ENFORCED_ELSEWHERE, NOT_ENFORCED, PREDICATES, rules_of
from fhir_server.validation.pipeline import Validator

VALIDATOR = Validator.load()
UCUM = "http://unitsofmeasure.org"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
ALLERGY = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
CODE = {"coding": [{"system": "http://e.org", "code": "a"}]}
REF = {"reference": "Patient/1"}
SD = "http://hl7.org/fhir/StructureDefinition"


def concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def ucum(value: Any, code: str = "a", **more: Any) -> dict[str, Any]:
    return {"value": value, "system": UCUM, "code": code, **more}


def bundle(kind: str, *entries: Any, **more: Any) -> dict[str, Any]:
    return {"type": kind, "entry": list(entries), **more}


def elements(*items: Any, view: str = "snapshot", **more: Any) -> dict[str, Any]:
    return {view: {"element": list(items)}, **more}


ROWS: tuple[tuple[str, Any, Any], ...] = (
    ("age-1", ucum(5), {"value": 5, "system": UCUM}),
    ("age-1", {"unit": "a"}, ucum(-1)),
    ("ait-1", {"clinicalStatus": CODE}, {}),
    ("ait-1", {"verificationStatus": concept(ALLERGY, "entered-in-error")}, {"verificationStatus": concept(ALLERGY, "confirmed")}),
    ("ait-2", {"clinicalStatus": CODE}, {"clinicalStatus": CODE, "verificationStatus": concept(ALLERGY, "entered-in-error")}),
    ("app-1", {"actor": REF}, {"status": "accepted"}),
    ("app-2", {"start": "x", "end": "y"}, {"start": "x"}),
    ("app-3", {"status": "proposed"}, {"status": "booked"}),
    ("app-4", {"status": "cancelled", "cancelationReason": CODE}, {"status": "booked", "cancelationReason": CODE}),
    ("apr-1", {"actor": REF}, {"participantStatus": "accepted"}),
    ("att-1", {"data": "aGFs", "contentType": "text/plain"}, {"data": "aGFs"}),
    ("bdl-1", bundle("searchset", total=1), bundle("batch", total=1)),
    ("bdl-2", bundle("searchset", {"search": {}}), bundle("batch", {"search": {}})),
    ("bdl-3", bundle("batch", {"request": {}}), bundle("searchset", {"request": {}})),
    ("bdl-4", bundle("batch-response", {"response": {}}), bundle("collection", {"response": {}})),
    ("bdl-4", bundle("collection", {}), bundle("transaction-response", {})),
    ("bdl-5", {"resource": {"resourceType": "Patient"}}, {"fullUrl": "urn:x"}),
    ("bdl-7", bundle("collection", {"fullUrl": "a"}, {"fullUrl": "b"}), bundle("collection", {"fullUrl": "a"}, {"fullUrl": "a"})),
    ("bdl-7", bundle("history", {"fullUrl": "a"}, {"fullUrl": "a"}), bundle("batch", {"fullUrl": "a", "resource": {"meta": {"versionId": "1"}}}, {"fullUrl": "a", "resource": {"meta": {"versionId": "1"}}})),
    ("bdl-8", {"fullUrl": "http://e.org/Patient/1"}, {"fullUrl": "http://e.org/Patient/1/_history/1"}),
    ("bdl-9", bundle("document", identifier={"system": "x", "value": "1"}), bundle("document", identifier={"value": "1"})),
    ("bdl-10", bundle("document", timestamp="x"), bundle("document")),
    ("bdl-11", bundle("document", {"resource": {"resourceType": "Composition"}}), bundle("document", {"resource": {"resourceType": "Patient"}})),
    ("bdl-12", bundle("message", {"resource": {"resourceType": "MessageHeader"}}), bundle("message")),
    ("ces-1", {"category": CODE}, {"category": CODE, "productOrService": CODE}),
    ("cmd-1", {"equivalence": "narrower", "comment": "x"}, {"equivalence": "inexact"}),
    ("cmd-2", {"mode": "fixed", "code": "x"}, {"mode": "fixed"}),
    ("cmd-3", {"mode": "other-map", "url": "x"}, {"mode": "other-map"}),
    ("cmp-1", {"entry": [REF]}, {"title": "x"}),
    ("cmp-2", {"emptyReason": CODE}, {"emptyReason": CODE, "entry": [REF]}),
    ("cnt-3", ucum(5, "1"), ucum(Decimal("5.5"), "1")),
    ("cnt-3", {"unit": "x"}, ucum(5, "2")),
    ("con-1", {"summary": CODE}, {"type": CODE}),
    ("con-2", {"code": [CODE]}, {"id": "a"}),
    ("con-4", {"abatementDateTime": "2026", "clinicalStatus": concept(CLINICAL, "resolved")}, {"abatementString": "x"}),
    ("con-5", {"clinicalStatus": CODE}, {"clinicalStatus": CODE, "verificationStatus": concept(VERIFICATION, "entered-in-error")}),
    ("cpb-1", {"rest": [{}]}, {"kind": "instance"}),
    ("cpb-2", {"description": "x"}, {"kind": "instance"}),
    ("cpb-3", {"kind": "instance", "messaging": [{"endpoint": [{}]}]}, {"kind": "requirements", "messaging": [{"endpoint": [{}]}]}),
    ("cpb-7", {"document": [{"mode": "producer", "profile": "a"}, {"mode": "consumer", "profile": "a"}]}, {"document": [{"mode": "producer", "profile": "a"}, {"mode": "producer", "profile": "a"}]}),
    ("cpb-9", {"resource": [{"type": "Task"}, {"type": "Patient"}]}, {"resource": [{"type": "Task"}, {"type": "Task"}]}),
    ("cpb-12", {"searchParam": [{"name": "a"}, {"name": "b"}]}, {"searchParam": [{"name": "a"}, {"name": "a"}]}),
    ("cpb-14", {"kind": "instance", "implementation": {}}, {"kind": "instance"}),
    ("cpb-15", {"kind": "capability", "software": {}}, {"kind": "capability", "implementation": {}, "software": {}}),
    ("cpb-16", {"kind": "requirements"}, {"kind": "requirements", "software": {}}),
    ("cpl-3", {"detail": {}}, {"detail": {}, "reference": REF}),
    ("cpt-2", {"system": "phone", "value": "1"}, {"value": "1"}),
    ("csd-1", {"concept": [{"code": "a", "concept": [{"code": "b"}]}]}, {"concept": [{"code": "a", "concept": [{"code": "a"}]}]}),
    ("dis-1", ucum(5, "km"), {"value": 5}),
    ("drq-1", {"path": "x"}, {"path": "x", "searchParam": "y"}),
    ("drq-2", {"searchParam": "x"}, {"valuePeriod": {}}),
    ("drt-1", ucum(5, "h"), {"value": 5, "code": "h", "system": "http://e.org"}),
    ("eld-1", {"rules": "open", "description": "x"}, {"rules": "open"}),
    ("eld-2", {"min": 1, "max": "*"}, {"min": 2, "max": "1"}),
    ("eld-3", "*", "many"),
    ("eld-4", {"code": "Reference", "aggregation": ["bundled"]}, {"code": "string", "aggregation": ["bundled"]}),
    ("eld-5", {"contentReference": "#x"}, {"contentReference": "#x", "type": [{}]}),
    ("eld-6", {"fixedCode": "x", "type": [{}]}, {"fixedCode": "x", "type": [{}, {}]}),
    ("eld-7", {"patternCode": "x"}, {"patternCode": "x", "type": [{}, {}]}),
    ("eld-8", {"patternCode": "x"}, {"patternCode": "x", "fixedCode": "x"}),
    ("eld-11", {"binding": {}, "type": [{"code": "code"}]}, {"binding": {}, "type": [{"code": "Period"}]}),
    ("eld-12", {"valueSet": "http://e.org"}, {"valueSet": "ftp://e.org"}),
    ("eld-13", {"type": [{"code": "a"}, {"code": "b"}]}, {"type": [{"code": "a"}, {"code": "a"}]}),
    ("eld-14", {"constraint": [{"key": "a"}]}, {"constraint": [{"key": "a"}, {"key": "a"}]}),
    ("eld-15", {"defaultValueCode": "a"}, {"defaultValueCode": "a", "meaningWhenMissing": "x"}),
    ("eld-16", {"sliceName": "a/b"}, {"sliceName": "a b"}),
    ("eld-17", {"code": "Reference", "targetProfile": ["x"]}, {"code": "code", "targetProfile": ["x"]}),
    ("eld-18", {"isModifier": True, "isModifierReason": "x"}, {"isModifier": True}),
    ("eld-19", {"path": "Patient.name[x]:slice"}, {"path": "Patient name"}),
    ("eld-22", {"sliceIsConstraining": True, "sliceName": "a"}, {"sliceIsConstraining": True}),
    ("exp-1", {"expression": "x"}, {"language": "text/fhirpath"}),
    ("ext-1", {"url": "x", "valueCode": "a"}, {"url": "x", "valueCode": "a", "extension": [{}]}),
    ("fhs-1", {"ageString": "x"}, {"ageString": "x", "bornString": "y"}),
    ("fhs-2", {"ageString": "x", "estimatedAge": True}, {"estimatedAge": True}),
    ("gol-1", {"detailString": "x", "measure": CODE}, {"detailString": "x"}),
    ("grp-1", {"actual": True, "member": [{}]}, {"actual": False, "member": [{}]}),
    ("ig-1", {"grouping": [{"id": "g"}], "resource": [{"groupingId": "g"}]}, {"resource": [{"groupingId": "g"}]}),
    ("ig-2", {"fhirVersion": ["4.0.1"], "definition": {"resource": [{"fhirVersion": ["4.0.1"]}]}}, {"fhirVersion": ["4.0.1"], "definition": {"resource": [{"fhirVersion": ["3.0.1"]}]}}),
    ("imm-1", {"documentType": "x"}, {"publicationDate": "2026"}),
    ("imr-1", {"vaccineCode": [CODE]}, {"forecastStatus": CODE}),
    ("Parameters.parameter/inv-1", {"name": "a", "part": [{}]}, {"name": "a", "part": [{}], "valueCode": "a"}),
    ("Parameters.parameter/inv-1", {"name": "a", "resource": {}}, {"name": "a"}),
    ("Task/inv-1", {"authoredOn": "2026-01-01", "lastModified": "2026-01-02"}, {"authoredOn": "2026-01-02", "lastModified": "2026-01-01"}),
    ("TestReport.setup.action/inv-1", {"assert": {}}, {"assert": {}, "operation": {}}),
    ("inv-2", {"operation": {}}, {}),
    ("ipn-1", {"name": "x"}, {"status": "active"}),
    ("lnk-1", {"item": [{}, {}]}, {"item": [{}]}),
    ("lst-1", {"entry": [{}]}, {"entry": [{}], "emptyReason": CODE}),
    ("lst-2", {"mode": "changes", "entry": [{"deleted": True}]}, {"mode": "working", "entry": [{"deleted": True}]}),
    ("lst-3", {"mode": "working", "entry": [{"date": "2026"}]}, {"mode": "changes", "entry": [{"date": "2026"}]}),
    ("mad-1", {"rateRatio": {}}, {"text": "x"}),
    ("md-1", {"max": "*"}, {"max": "0"}),
    ("mdd-1", {"whenPrepared": "2026-01-01", "whenHandedOver": "2026-01-01"}, {"whenPrepared": "2026-01-02", "whenHandedOver": "2026-01-01"}),
    ("mea-1", {"group": [{"stratifier": [{"code": CODE}]}]}, {"group": [{"stratifier": [{"id": "a"}]}]}),
    ("mrp-1", {"type": "summary", "group": [{}]}, {"type": "data-collection", "group": [{}]}),
    ("mrp-2", {"group": [{"stratifier": [{"stratum": [{"value": CODE}]}]}]}, {"group": [{"stratifier": [{"stratum": [{"value": CODE, "component": [{}]}]}]}]}),
    ("msq-3", {"coordinateSystem": 1}, {"coordinateSystem": 2}),
    ("msq-5", {"windowStart": 1}, {"chromosome": CODE}),
    ("msq-6", {"referenceSeqString": "A"}, {"referenceSeqString": "A", "genomeBuild": "x"}),
    ("nsd-1", {"kind": "root", "uniqueId": [{"type": "oid"}]}, {"kind": "root", "uniqueId": [{"type": "uuid"}]}),
    ("nsd-2", {"uniqueId": [{"type": "oid", "preferred": True}, {"type": "oid"}]}, {"uniqueId": [{"type": "oid", "preferred": True}, {"type": "oid", "preferred": True}]}),
    ("obs-3", {"text": "x"}, {"type": CODE}),
    ("obs-6", {"dataAbsentReason": CODE}, {"dataAbsentReason": CODE, "valueString": "x"}),
    ("obs-7", {"code": CODE, "component": [{"code": CODE}]}, {"code": CODE, "component": [{"code": CODE}], "valueString": "x"}),
    ("opd-1", {"part": [{}]}, {"name": "x"}),
    ("opd-2", {"type": "string", "searchType": "token"}, {"type": "code", "searchType": "token"}),
    ("opd-3", {"type": "Reference", "targetProfile": ["x"]}, {"type": "code", "targetProfile": ["x"]}),
    ("org-1", {"name": "x"}, {"active": True}),
    ("org-2", {"use": "work"}, {"use": "home"}),
    ("org-3", {"use": "work"}, {"use": "home"}),
    ("pat-1", {"name": {"text": "x"}}, {"gender": "male"}),
    ("per-1", {"start": "2026-01-01", "end": "2026-01-01"}, {"start": "2026-01-02", "end": "2026-01-01"}),
    ("per-1", {"start": "2026-01-05", "end": "2026"}, {"start": "2027-01-01", "end": "2026"}),
    ("per-1", {"start": "2026-01-01T00:30:00+02:00", "end": "2025-12-31T23:00:00Z"}, {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00+02:00"}),
    ("per-1", {"end": "2026"}, {"start": "2026-02-01T00:00:00Z", "end": "2026-01-01"}),
    ("ppc-1", {"policyRule": CODE}, {"status": "active"}),
    ("ppc-2", {"scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy")}, {"scope": concept("something", "patient-privacy")}),
    ("ppc-3", {"patient": REF, "scope": concept("something", "research")}, {"scope": concept("something", "research")}),
    ("ppc-4", {"scope": CODE}, {"scope": concept("something", "adr")}),
    ("ppc-5", {"scope": CODE}, {"scope": concept("something", "treatment")}),
    ("prr-1", {"code": CODE, "orderDetail": [CODE]}, {"orderDetail": [CODE]}),
    ("qrs-1", {"item": [{}]}, {"item": [{}], "answer": [{}]}),
    ("qty-3", {"code": "kg", "system": UCUM}, {"code": "kg"}),
    ("que-1", {"type": "group", "item": [{}]}, {"type": "group"}),
    ("que-1", {"type": "display"}, {"type": "display", "item": [{}]}),
    ("que-2", {"item": [{"linkId": "1", "item": [{"linkId": "2"}]}]}, {"item": [{"linkId": "1", "item": [{"linkId": "1"}]}]}),
    ("que-3", {"type": "string", "code": [{}]}, {"type": "display", "code": [{}]}),
    ("que-4", {"answerOption": [{}]}, {"answerOption": [{}], "answerValueSet": "x"}),
    ("que-5", {"type": "choice", "answerOption": [{}]}, {"type": "boolean", "answerOption": [{}]}),
    ("que-6", {"type": "string", "required": True}, {"type": "display", "repeats": False}),
    ("que-7", {"operator": "exists", "answerBoolean": True}, {"operator": "exists", "answerString": "x"}),
    ("que-8", {"type": "string", "initial": [{}]}, {"type": "group", "initial": [{}]}),
    ("que-9", {"type": "string", "readOnly": True}, {"type": "display", "readOnly": True}),
    ("que-10", {"type": "string", "maxLength": 5}, {"type": "date", "maxLength": 5}),
    ("que-11", {"initial": [{}]}, {"initial": [{}], "answerOption": [{}]}),
    ("que-12", {"enableWhen": [{}, {}]}, {"enableWhen": [{}, {}, {}]}),
    ("que-13", {"repeats": True, "initial": [{}, {}]}, {"initial": [{}, {}]}),
    ("ras-1", {"low": ucum(1, "%")}, {"low": ucum(1, "1")}),
    ("ras-2", {"probabilityDecimal": 100}, {"probabilityDecimal": 101}),
    ("rat-1", {"numerator": {}, "denominator": {}}, {"numerator": {}}),
    ("rat-1", {"extension": [{}]}, {"id": "a"}),
    ("rng-2", {"low": ucum(1), "high": ucum(1)}, {"low": ucum(2), "high": ucum(1)}),
    ("rng-2", {"low": ucum(1, "kg"), "high": ucum(1, "g")}, {"low": {"value": 2}, "high": {"value": Decimal("1.9")}}),
    ("rqg-1", {"resource": REF}, {"resource": REF, "action": [{}]}),
    ("sdf-1", elements({"path": "A"}, {"path": "A.b"}), elements({"path": "A"}, {"path": "A"})),
    ("sdf-2", {"uri": "x"}, {"identity": "x"}),
    ("sdf-3", {"element": [{"definition": "x", "min": 0, "max": "1"}]}, {"element": [{"min": 0, "max": "1"}]}),
    ("sdf-4", {"abstract": True}, {"abstract": False}),
    ("sdf-5", {"type": "Extension", "context": [{}]}, {"type": "Extension", "derivation": "constraint"}),
    ("sdf-6", {"differential": {}}, {"type": "Patient"}),
    ("sdf-8", elements({"path": "A"}, {"path": "A.b"}, type="A"), elements({"path": "A"}, {"path": "B.b"}, type="A")),
    ("sdf-8a", elements({"path": "A.b"}, {"path": "A.c"}, view="differential", type="A"), elements({"path": "A"}, {"path": "B.b"}, view="differential", type="A")),
    ("sdf-8b", {"element": [{"base": {}}]}, {"element": [{"path": "A"}]}),
    ("sdf-9", elements({"path": "A"}, {"path": "A.b", "label": "x"}), elements({"path": "A", "label": "x"})),
    ("sdf-10", {"binding": {"valueSet": "x"}}, {"binding": {"strength": "required"}}),
    ("sdf-11", elements({"path": "A"}, type="A", kind="resource"), elements({"path": "B"}, type="A", kind="resource")),
    ("sdf-14", elements({"path": "A", "id": "A"}), elements({"path": "A"})),
    ("sdf-15", elements({"path": "A"}, kind="resource"), elements({"path": "A", "type": [{}]}, kind="resource")),
    ("sdf-15a", elements({"path": "A.b", "type": [{}]}, view="differential"), elements({"path": "A", "type": [{}]}, view="differential")),
    ("sdf-16", elements({"id": "a"}, {"id": "b"}), elements({"id": "a"}, {"id": "a"})),
    ("sdf-17", elements({"id": "a"}, view="differential"), elements({"id": "a"}, {"id": "a"}, view="differential")),
    ("sdf-18", {"type": "Extension", "contextInvariant": ["x"]}, {"type": "Patient", "contextInvariant": ["x"]}),
    ("sdf-19", elements({"type": [{"code": "string"}]}, url=SD), elements({"type": [{"code": "http://e.org/x"}]}, url=SD)),
    ("sdf-20", {"element": [{"path": "A.b", "slicing": {}}]}, {"element": [{"path": "A", "slicing": {}}]}),
    ("sdf-21", elements({"defaultValueCode": "a"}, view="differential", derivation="specialization"), elements({"defaultValueCode": "a"}, view="differential")),
    ("sdf-22", elements({"defaultValueCode": "a"}, url="http://e.org"), elements({"defaultValueCode": "a"}, url=SD)),
    ("sdf-23", elements({"path": "A.b", "sliceName": "x"}), elements({"path": "A", "sliceName": "x"})),
    ("sev-1", {"name": "x"}, {"name": "x", "query": "aGFs"}),
    ("smp-1", {"element": "x", "context": "y"}, {"element": "x"}),
    ("smp-2", {"context": "x", "contextType": "type"}, {"context": "x"}),
    ("spd-1", {"xpath": "x", "xpathUsage": "normal"}, {"xpath": "x"}),
    ("spd-2", {"type": "reference", "chain": ["x"]}, {"type": "token", "chain": ["x"]}),
    ("tcp-1", {"version": [{"code": "1"}, {"code": "2"}]}, {"version": [{"code": "1"}, {"isDefault": True}]}),
    ("tcp-2", {"software": {}}, {"kind": "instance"}),
    ("tcp-3", {"kind": "instance", "implementation": {}}, {"kind": "instance"}),
    ("tcp-4", {"kind": "capability", "software": {}}, {"kind": "capability"}),
    ("tcp-5", {"kind": "requirements"}, {"kind": "requirements", "implementation": {}}),
    ("tim-1", {"duration": 1, "durationUnit": "h"}, {"duration": 1}),
    ("tim-2", {"period": 1, "periodUnit": "h"}, {"period": 1}),
    ("tim-4", {"duration": 0}, {"duration": -1}),
    ("tim-5", {"period": 0}, {"period": Decimal("-0.5")}),
    ("tim-6", {"period": 1, "periodMax": 2}, {"periodMax": 2}),
    ("tim-7", {"duration": 1, "durationMax": 2}, {"durationMax": 2}),
    ("tim-8", {"count": 1, "countMax": 2}, {"countMax": 2}),
    ("tim-9", {"offset": 5, "when": ["ACM"]}, {"offset": 5, "when": ["CM"]}),
    ("tim-9", {"when": ["CM"]}, {"offset": 5}),
    ("tim-10", {"timeOfDay": ["10:00:00"]}, {"timeOfDay": ["10:00:00"], "when": ["CM"]}),
    ("trd-1", {"timingDate": "2026"}, {"timingDate": "2026", "data": [{}]}),
    ("trd-2", {"condition": {}, "data": [{}]}, {"condition": {}}),
    ("trd-3", {"type": "named-event", "name": "x"}, {"type": "data-added"}),
    ("tst-1", {"operation": {}}, {}),
    ("tst-2", {"assert": {}}, {"assert": {}, "operation": {}}),
    ("tst-3", {"path": "x", "expression": "y"}, {"path": "x", "expression": "y", "headerField": "z"}),
    ("tst-4", {"capability": [{"required": True}]}, {"capability": [{"description": "x"}]}),
    ("tst-5", {"path": "x"}, {"path": "x", "response": "okay"}),
    ("tst-6", {"path": "x", "extension": [{}], "response": "okay"}, {"path": "x", "response": "okay"}),
    ("tst-7", {"url": "x"}, {"url": "x", "targetId": "y"}),
    ("tst-8", {"type": {"code": "search"}}, {"type": {"code": "read"}}),
    ("tst-9", {"sourceId": "x"}, {"method": "get"}),
    ("tst-10", {"compareToSourceId": "x", "compareToSourcePath": "y"}, {"compareToSourceId": "x"}),
    ("tst-11", {}, {"compareToSourceExpression": "x"}),
    ("tst-12", {"direction": "response", "response": "okay"}, {"direction": "request", "response": "okay"}),
    ("tst-13", {"direction": "request"}, {"direction": "request", "responseCode": "200"}),
    ("vsd-1", {"system": "x"}, {"concept": [{}]}),
    ("vsd-2", {"system": "x", "concept": [{}]}, {"valueSet": ["x"], "filter": [{}]}),
    ("vsd-3", {"concept": [{}]}, {"concept": [{}], "filter": [{}]}),
    ("vsd-6", {"display": "x"}, {"abstract": True}),
    ("vsd-9", {"abstract": True}, {"display": "x"}),
    ("vsd-10", {"system": "x", "code": "y"}, {"code": "y"}),
)  # fmt: skip

THROUGH_RESOURCES = {"dom-2", "dom-3", "dom-4", "dom-5"}
"""Judged on whole resources in test_structure_rules."""


@pytest.mark.parametrize(("key", "kept", "broken"), ROWS, ids=[row[0] for row in ROWS])
def test_the_predicate_tells_the_two_apart(key: str, kept: Any, broken: Any) -> None:
    scope = Scope({}, {})
    assert PREDICATES[key](kept, scope) is True
    assert PREDICATES[key](broken, scope) is not True


def test_every_predicate_has_a_row() -> None:
    assert {row[0] for row in ROWS} | THROUGH_RESOURCES == set(PREDICATES)


def placed() -> list[tuple[str, Constraint]]:
    found = []
    for path in sorted(definition_paths()):
        facts = structure(path)
        assert facts is not None
        found += [(path, constraint) for constraint in facts.constraints]
        found += [(element.path, constraint) for element in facts.elements for constraint in element.constraints]
    return [(path, constraint) for path, constraint in found if constraint.severity == "error"]


def test_every_error_level_invariant_of_r4_is_enforced_or_named_with_its_reason() -> None:
    enforced = {rule.key for path in definition_paths() for rule in rules_at(path)}
    assert {constraint.key for _, constraint in placed()} == enforced | set(NOT_ENFORCED) | set(ENFORCED_ELSEWHERE) - {
        "sqty-1"
    }
    assert not enforced & (set(NOT_ENFORCED) | set(ENFORCED_ELSEWHERE))
    assert all(NOT_ENFORCED.values())


def rules_at(path: str) -> list[Any]:
    facts = structure(path)
    assert facts is not None
    own = list(rules_of(path, facts.constraints))
    return own + [rule for element in facts.elements for rule in rules_of(element.path, element.constraints)]


def test_each_place_of_an_invariant_gets_its_rule() -> None:
    moved = {"sdf-8", "sdf-8a"}
    expected = [(path, c.key) for path, c in placed() if c.key not in {*NOT_ENFORCED, *ENFORCED_ELSEWHERE, *moved}]
    rules = all_rules()
    found = [(path, key) for path, key in expected if any(rule.key == key for rule in rules.get(path, ()))]
    assert found == expected


def all_rules() -> dict[str, list[Any]]:
    rules: dict[str, list[Any]] = {}
    for path in definition_paths():
        facts = structure(path)
        assert facts is not None
        rules[path] = list(rules_of(path, facts.constraints))
        rules |= {
            element.path: list(rules_of(element.path, element.constraints))
            for element in facts.elements
            if element.constraints
        }
    return rules


WHOLE: tuple[tuple[Any, str, str], ...] = (
    ({"resourceType": "Organization", "name": "x", "telecom": [{"system": "phone", "value": "1", "use": "home"}]}, "org-3", "Organization.telecom[0]"),
    ({"resourceType": "Organization", "name": "x", "address": [{"text": "x"}, {"use": "home", "text": "y"}]}, "org-2", "Organization.address[1]"),
    ({"resourceType": "Patient", "name": [{"text": "x", "period": {"start": "2026-02", "end": "2026-01"}}]}, "per-1", "Patient.name[0].period"),
    ({"resourceType": "Observation", "status": "final", "code": CODE, "valueQuantity": {"value": 1, "code": "kg"}}, "qty-3", "Observation.value.ofType(Quantity)"),
    ({"resourceType": "Observation", "status": "final", "code": CODE, "valueString": "x", "dataAbsentReason": CODE}, "obs-6", "Observation"),
    ({"resourceType": "Observation", "status": "final", "code": CODE, "valueString": "x", "component": [{"code": {"text": "y"}}, {"code": CODE}]}, "obs-7", "Observation.component[1]"),
    ({"resourceType": "Observation", "status": "final", "code": CODE, "referenceRange": [{"low": {"value": 1, "comparator": "<"}}]}, "sqty-1", "Observation.referenceRange[0].low"),
    ({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": "Patient"}}, {"fullUrl": "urn:x:1"}]}, "bdl-5", "Bundle.entry[1]"),
    ({"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": "urn:x:1", "resource": {"resourceType": "Patient"}}, {"fullUrl": "urn:x:1", "resource": {"resourceType": "Patient"}}]}, "bdl-7", "Bundle.entry[1]"),
    ({"resourceType": "StructureDefinition", "url": "http://e.org/x", "name": "X", "status": "draft", "kind": "resource", "abstract": False, "type": "Patient", "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient", "derivation": "constraint", "differential": {"element": [{"id": "Patient", "path": "Patient"}, {"id": "Task.x", "path": "Task.x"}]}}, "sdf-8a", "StructureDefinition"),
)  # fmt: skip


@pytest.mark.parametrize(("resource", "key", "expression"), WHOLE, ids=[row[1] for row in WHOLE])
def test_a_broken_invariant_is_reported_where_it_stands(resource: Any, key: str, expression: str) -> None:
    (issue,) = VALIDATOR.validate(resource)
    assert (issue.key, issue.code, issue.expression) == (key, "invariant", expression)


def test_an_invariant_on_a_wrong_shape_reports_the_shape_only() -> None:
    issues = VALIDATOR.validate(
        {"resourceType": "Patient", "contact": [{"period": {"start": 5, "end": []}, "name": 1}]}
    )
    assert {issue.key for issue in issues} == {"json-type", "empty-array"}
