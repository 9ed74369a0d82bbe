"""Shapes, names, cardinalities, choices, nulls, bindings, references and containment: one row per rule.

Each row is a name, a resource, and what must be found: pairs of key and expression. No pairs: the resource is valid.
"""

from typing import Any

import pytest

from fhir_server.validation.pipeline import Validator

VALIDATOR = Validator.load()
Found = tuple[tuple[str, str], ...]
OK: Found = ()

TASK = {"resourceType": "Task", "status": "requested", "intent": "order"}
REQUEST = {
    "resourceType": "ServiceRequest",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/p1"},
}
OBSERVATION = {"resourceType": "Observation", "status": "final", "code": {"text": "steps"}}
EXTENSION = {"url": "http://example.org/x", "valueCode": "unknown"}


def patient(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **members}


def request(**members: Any) -> dict[str, Any]:
    return {**REQUEST, **members}


def without(resource: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key != name}


def contained(*resources: Any, reference: str = "#o") -> dict[str, Any]:
    return patient(contained=list(resources), managingOrganization={"reference": reference})


ORGANIZATION = {"resourceType": "Organization", "id": "o", "name": "CAW"}

SHAPES: tuple[tuple[str, Any, Found], ...] = (
    ("a resource of nothing but its type", patient(), OK),
    ("unknown element", patient(nam=[{"family": "A"}]), (("unknown-element", "Patient"),)),
    ("unknown element below", patient(name=[{"familly": "A"}]), (("unknown-element", "Patient.name[0]"),)),
    ("unknown element in a backbone", patient(contact=[{"name": {"text": "A"}, "x": 1}]), (("unknown-element", "Patient.contact[0]"),)),
    ("element of R5", patient(name=[{"text": "A"}], fhir_comments=["x"]), (("unknown-element", "Patient"),)),
    ("resourceType inside a datatype", patient(name=[{"resourceType": "HumanName", "text": "A"}]), (("unknown-element", "Patient.name[0]"),)),
    ("choice without its type", {**OBSERVATION, "value": 1}, (("unknown-element", "Observation"),)),
    ("choice of a type it has not", {**OBSERVATION, "valueDecimal": 1}, (("unknown-element", "Observation"),)),
    ("object for array", patient(name={"family": "A"}), (("json-type", "Patient.name"),)),
    ("string for array", patient(name=[{"given": "A"}]), (("json-type", "Patient.name[0].given"),)),
    ("array for single", patient(birthDate=["2000"]), (("json-type", "Patient.birthDate"),)),
    ("array for object", request(code=[{"text": "x"}]), (("json-type", "ServiceRequest.code"),)),
    ("string for object", request(subject="Patient/p1"), (("json-type", "ServiceRequest.subject"),)),
    ("object for primitive", patient(gender={"value": "male"}), (("json-type", "Patient.gender"),)),
    ("null", patient(birthDate=None), (("json-null", "Patient.birthDate"),)),
    ("null for object", patient(maritalStatus=None), (("json-null", "Patient.maritalStatus"),)),
    ("null for array", patient(name=None), (("json-null", "Patient.name"),)),
    ("null in an array of objects", patient(name=[None]), (("json-null", "Patient.name[0]"),)),
    ("empty array", patient(name=[]), (("empty-array", "Patient.name"),)),
    ("empty object", patient(maritalStatus={}), (("empty-object", "Patient.maritalStatus"),)),
    ("nothing but an id", patient(maritalStatus={"id": "a"}), (("ele-1", "Patient.maritalStatus"),)),
    ("empty string", patient(name=[{"family": ""}]), (("primitive-empty", "Patient.name[0].family"),)),
    ("array in array", patient(name=[[{"family": "A"}]]), (("json-type", "Patient.name[0]"),)),
    ("id of a resource too long", patient(id="x" * 65), (("primitive-format", "Patient.id"),)),
    ("unknown resource type", {"resourceType": "Patien"}, (("resource-type-unknown", "Patien"),)),
    ("abstract resource type", {"resourceType": "DomainResource"}, (("resource-type-unknown", "DomainResource"),)),
    ("content reference is checked", {"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "1", "type": "group", "item": [{"linkId": "2", "type": "string", "foo": 1}]}]}, (("unknown-element", "Questionnaire.item[0].item[0]"),)),
)  # fmt: skip

CARDINALITIES: tuple[tuple[str, Any, Found], ...] = (
    ("required code", without(TASK, "status"), (("cardinality-min", "Task"),)),
    ("required object", without(REQUEST, "subject"), (("cardinality-min", "ServiceRequest"),)),
    ("two at once", {"resourceType": "Task"}, (("cardinality-min", "Task"), ("cardinality-min", "Task"))),
    ("required, only extended", {**without(TASK, "status"), "_status": {"extension": [EXTENSION]}}, OK),
    ("required in a backbone", patient(link=[{"other": {"reference": "Patient/2"}}]), (("cardinality-min", "Patient.link[0]"),)),
    ("required choice", {**TASK, "input": [{"type": {"text": "x"}}]}, (("cardinality-min", "Task.input[0]"),)),
    ("required choice present", {**TASK, "input": [{"type": {"text": "x"}, "valueBoolean": True}]}, OK),
    ("required choice only extended", {**TASK, "input": [{"type": {"text": "x"}, "_valueBoolean": {"extension": [EXTENSION]}}]}, OK),
    ("required in a datatype", patient(text={"div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}), (("cardinality-min", "Patient.text"),)),
    ("extension without url", patient(extension=[{"valueCode": "x"}]), (("cardinality-min", "Patient.extension[0]"),)),
)  # fmt: skip

CHOICES: tuple[tuple[str, Any, Found], ...] = (
    ("one of the types", {**OBSERVATION, "valueQuantity": {"value": 1}}, OK),
    ("two values", {**OBSERVATION, "valueString": "a", "valueBoolean": True}, (("choice-multiple", "Observation"),)),
    ("a value and the extension of another", {**OBSERVATION, "valueString": "a", "_valueDateTime": {"extension": [EXTENSION]}}, (("choice-multiple", "Observation"),)),
    ("a value and its own extension", {**OBSERVATION, "valueString": "a", "_valueString": {"extension": [EXTENSION]}}, OK),
    ("two values in an extension without url", patient(extension=[{"valueCode": "a", "valueString": "b"}]), (("cardinality-min", "Patient.extension[0]"), ("choice-multiple", "Patient.extension[0]"))),
    ("fault below a choice", {**OBSERVATION, "valueQuantity": {"value": "1"}}, (("json-type", "Observation.value.ofType(Quantity).value"),)),
    ("fault in a primitive choice", patient(deceasedDateTime="x"), (("primitive-format", "Patient.deceased.ofType(dateTime)"),)),
)  # fmt: skip

EXTENDED: tuple[tuple[str, Any, Found], ...] = (
    ("extension of a primitive", patient(birthDate="2000", _birthDate={"extension": [EXTENSION]}), OK),
    ("extension instead of a primitive", patient(_birthDate={"extension": [EXTENSION]}), OK),
    ("only an id on a primitive", patient(birthDate="2000", _birthDate={"id": "a"}), (("ele-1", "Patient.birthDate"),)),
    ("null twin", patient(birthDate="2000", _birthDate=None), (("json-null", "Patient.birthDate"),)),
    ("array twin", patient(birthDate="2000", _birthDate=[{"extension": [EXTENSION]}]), (("json-type", "Patient.birthDate"),)),
    ("fault in the twin", patient(_birthDate={"extension": [{"url": 5, "valueCode": "x"}]}), (("json-type", "Patient.birthDate.extension[0].url"),)),
    ("value in the twin", patient(_birthDate={"value": "2000"}), (("unknown-element", "Patient.birthDate"),)),
    ("slots", patient(address=[{"line": ["x", None, None], "_line": [None, {"extension": [EXTENSION]}, {"extension": [EXTENSION]}]}]), OK),
    ("slot without twin", patient(name=[{"given": ["a", None]}]), (("json-null", "Patient.name[0].given[1]"),)),
    ("slot empty on both sides", patient(name=[{"given": ["a", None], "_given": [{"extension": [EXTENSION]}, None]}]), (("json-null", "Patient.name[0].given[1]"), ("json-null", "Patient.name[0].given[1]"))),
    ("twin of a complex element", patient(_name=[{"extension": [EXTENSION]}]), (("unknown-element", "Patient"),)),
    ("extension of a resource id", patient(id="a", _id={"extension": [EXTENSION]}), OK),
    ("extension of an element id", patient(name=[{"id": "a", "_id": {"extension": [EXTENSION]}, "text": "A"}]), (("unknown-element", "Patient.name[0]"),)),
    ("relative url", patient(extension=[{"url": "x", "valueCode": "a"}]), (("extension-url", "Patient.extension[0].url"),)),
    ("relative url inside", patient(extension=[{"url": "http://e.org/x", "extension": [{"url": "x", "valueCode": "a"}]}]), OK),
    ("value and extensions", patient(extension=[{**EXTENSION, "extension": [EXTENSION]}]), (("ext-1", "Patient.extension[0]"),)),
    ("neither value nor extensions", patient(extension=[{"url": "http://e.org/x"}]), (("ext-1", "Patient.extension[0]"),)),
    ("modifier extension on a datatype", patient(name=[{"text": "A", "modifierExtension": [EXTENSION]}]), (("unknown-element", "Patient.name[0]"),)),
    ("modifier extension on a backbone", patient(contact=[{"name": {"text": "A"}, "modifierExtension": [EXTENSION]}]), OK),
)  # fmt: skip

CODES: tuple[tuple[str, Any, Found], ...] = (
    ("code in the set", patient(gender="other"), OK),
    ("code outside", patient(gender="m"), (("required-binding", "Patient.gender"),)),
    ("case matters", {**TASK, "status": "Requested"}, (("required-binding", "Task.status"),)),
    ("status of another type", request(status="requested"), (("required-binding", "ServiceRequest.status"),)),
    ("shape before binding", patient(gender=1), (("json-type", "Patient.gender"),)),
    ("concept in the set", {"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "verificationStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "confirmed"}]}}, OK),
    ("concept with a second coding", {"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "verificationStatus": {"coding": [{"system": "http://e.org", "code": "x"}, {"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "confirmed"}]}}, OK),
    ("concept outside", {"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "verificationStatus": {"coding": [{"system": "http://e.org", "code": "confirmed"}]}}, (("required-binding", "Condition.verificationStatus"),)),
    ("concept of text alone", {"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "verificationStatus": {"text": "sure"}}, (("required-binding", "Condition.verificationStatus"),)),
    ("concept of an extension alone", {"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "verificationStatus": {"extension": [EXTENSION]}}, OK),
    ("mime type", patient(photo=[{"contentType": "image/png", "data": "aGFsbG8="}]), OK),
    ("mime type with a parameter", patient(photo=[{"contentType": "text/plain; charset=utf-8"}]), OK),
    ("no mime type", patient(photo=[{"contentType": "picture"}]), (("required-binding", "Patient.photo[0].contentType"),)),
    ("language", patient(language="nl-BE"), OK),
    ("no language", patient(language="nl_BE"), (("required-binding", "Patient.language"),)),
    ("currency", {"resourceType": "Invoice", "status": "draft", "totalNet": {"value": 1, "currency": "EUR"}}, OK),
    ("no currency", {"resourceType": "Invoice", "status": "draft", "totalNet": {"value": 1, "currency": "euro"}}, (("required-binding", "Invoice.totalNet.currency"),)),
)  # fmt: skip

REFERENCES: tuple[tuple[str, Any, Found], ...] = (
    ("a type the element allows", request(performer=[{"reference": "Organization/1"}]), OK),
    ("a version", request(performer=[{"reference": "Organization/1/_history/2"}]), OK),
    ("absolute", request(performer=[{"reference": "https://e.org/fhir/Organization/1"}]), OK),
    ("absolute, not RESTful", request(performer=[{"reference": "https://e.org/who?id=1"}]), OK),
    ("urn", request(performer=[{"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}]), OK),
    ("conditional", request(performer=[{"reference": "Organization?identifier=a|b"}]), OK),
    ("logical", request(performer=[{"identifier": {"value": "1"}, "type": "Organization"}]), OK),
    ("any type", {**TASK, "focus": {"reference": "Basic/1"}}, OK),
    ("display alone", request(performer=[{"display": "the neighbour"}]), OK),
    ("a type it does not", request(subject={"reference": "Practitioner/1"}), (("reference-target", "ServiceRequest.subject.reference"),)),
    ("absolute, wrong type", request(subject={"reference": "https://e.org/fhir/Practitioner/1"}), (("reference-target", "ServiceRequest.subject.reference"),)),
    ("conditional, wrong type", request(subject={"reference": "Practitioner?identifier=1"}), (("reference-target", "ServiceRequest.subject.reference"),)),
    ("unknown type", {**TASK, "focus": {"reference": "Banana/1"}}, (("reference-type-unknown", "Task.focus.reference"),)),
    ("no reference", {**TASK, "focus": {"reference": "the neighbour"}}, (("reference-syntax", "Task.focus.reference"),)),
    ("no id", {**TASK, "focus": {"reference": "Patient/"}}, (("reference-syntax", "Task.focus.reference"),)),
    ("id too long", {**TASK, "focus": {"reference": "Patient/" + "x" * 65}}, (("reference-syntax", "Task.focus.reference"),)),
    ("whitespace in a URL", {**TASK, "focus": {"reference": "urn :x y"}}, (("reference-syntax", "Task.focus.reference"),)),
    ("stated type wrong", request(performer=[{"type": "Location", "display": "x"}]), (("reference-target", "ServiceRequest.performer[0].type"),)),
    ("stated type unknown", request(performer=[{"type": "Shop", "display": "x"}]), (("reference-type-unknown", "ServiceRequest.performer[0].type"),)),
    ("stated type contradicts", request(performer=[{"type": "Patient", "reference": "Organization/1"}]), (("reference-type-mismatch", "ServiceRequest.performer[0].type"),)),
    ("stated type as a URL", request(performer=[{"type": "http://hl7.org/fhir/StructureDefinition/Organization", "display": "x"}]), OK),
    ("fragment without target", request(performer=[{"reference": "#x"}]), (("ref-1", "ServiceRequest.performer[0]"),)),
)  # fmt: skip

CONTAINED: tuple[tuple[str, Any, Found], ...] = (
    ("contained and used", contained(ORGANIZATION), OK),
    ("wrong type", contained({"resourceType": "Location", "id": "o"}), (("reference-target", "Patient.managingOrganization.reference"),)),
    ("fault inside", contained({**ORGANIZATION, "foo": 1}), (("unknown-element", "Patient.contained[0]"),)),
    ("deep fault inside", contained({**ORGANIZATION, "contact": [{"name": {"family": 1}}]}), (("json-type", "Patient.contained[0].contact[0].name.family"),)),
    ("without resourceType", contained({"id": "o", "name": "x"}), (("no-resource-type", "Patient.contained[0]"),)),
    ("unknown type", contained({"resourceType": "Shop", "id": "o"}), (("resource-type-unknown", "Patient.contained[0]"),)),
    ("versionId", contained({**ORGANIZATION, "meta": {"versionId": "1"}}), (("dom-4", "Patient.contained[0].meta.versionId"),)),
    ("lastUpdated", contained({**ORGANIZATION, "meta": {"lastUpdated": "2026-01-01T00:00:00Z"}}), (("dom-4", "Patient.contained[0].meta.lastUpdated"),)),
    ("security", contained({**ORGANIZATION, "meta": {"security": [{"code": "R"}]}}), (("dom-5", "Patient.contained[0].meta.security"),)),
    ("not used", patient(contained=[ORGANIZATION]), (("dom-3", "Patient.contained[0]"),)),
    ("used by another contained one", patient(contained=[{**ORGANIZATION, "partOf": {"reference": "#p"}}, {**ORGANIZATION, "id": "p"}], managingOrganization={"reference": "#o"}), OK),
    ("refers to its container", patient(contained=[{"resourceType": "Provenance", "id": "p", "target": [{"reference": "#"}], "recorded": "2026-01-01T00:00:00Z", "agent": [{"who": {"display": "x"}}]}]), OK),
    ("used by a canonical", {"resourceType": "Questionnaire", "status": "draft", "contained": [{"resourceType": "ValueSet", "id": "v", "status": "draft"}], "item": [{"linkId": "1", "type": "choice", "answerValueSet": "#v"}]}, OK),
    ("nested", contained({**ORGANIZATION, "contained": [{**ORGANIZATION, "id": "n"}], "partOf": {"reference": "#n"}}), (("ref-1", "Patient.contained[0].partOf"), ("dom-2", "Patient.contained[0]"))),
)  # fmt: skip

ENTRY = {"fullUrl": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "request": {"method": "POST", "url": "Patient"}}


def transaction(resource: Any, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "transaction", "entry": [{**ENTRY, "resource": resource, **more}]}


BUNDLES: tuple[tuple[str, Any, Found], ...] = (
    ("a transaction", transaction(patient(gender="male")), OK),
    ("fault in an entry", transaction(patient(name=[{"family": 1}])), (("json-type", "Bundle.entry[0].resource.name[0].family"),)),
    ("no type in an entry", transaction({"name": []}), (("no-resource-type", "Bundle.entry[0].resource"),)),
    ("fragment in an entry", transaction(contained(ORGANIZATION)), OK),
    ("fragment of the outer resource", transaction(patient(managingOrganization={"reference": "#o"})), (("ref-1", "Bundle.entry[0].resource.managingOrganization"),)),
    ("urn of the wrong type", transaction({**REQUEST, "performer": [{"reference": ENTRY["fullUrl"]}]}), (("reference-target", "Bundle.entry[0].resource.performer[0].reference"),)),
    ("no request", {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": patient()}]}, (("bdl-3", "Bundle.entry[0]"),)),
    ("unknown method", transaction(patient(), request={"method": "SEND", "url": "Patient"}), (("required-binding", "Bundle.entry[0].request.method"),)),
    ("a parameter", {"resourceType": "Parameters", "parameter": [{"name": "r", "resource": patient(gender="x")}]}, (("required-binding", "Parameters.parameter[0].resource.gender"),)),
    ("a part", {"resourceType": "Parameters", "parameter": [{"name": "r", "part": [{"name": "p", "resource": patient(foo=1)}]}]}, (("unknown-element", "Parameters.parameter[0].part[0].resource"),)),
    ("an outcome", {"resourceType": "Bundle", "type": "batch-response", "entry": [{"response": {"status": "400", "outcome": {"resourceType": "OperationOutcome"}}}]}, (("cardinality-min", "Bundle.entry[0].response.outcome"),)),
)  # fmt: skip

ROWS = SHAPES + CARDINALITIES + CHOICES + EXTENDED + CODES + REFERENCES + CONTAINED + BUNDLES


@pytest.mark.parametrize(("resource", "found"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_resource_gets_exactly_the_verdict_of_its_row(resource: Any, found: Found) -> None:
    issues = VALIDATOR.validate(resource)
    assert [(issue.key, issue.expression) for issue in issues] == list(found)


def test_all_faults_are_reported_at_once_in_the_order_of_the_body() -> None:
    issues = VALIDATOR.validate(patient(id="_", gender="x", name=[{"given": [1, 2]}], birthDate="2026-02-30"))
    assert [issue.expression for issue in issues] == [
        "Patient.id",
        "Patient.gender",
        "Patient.name[0].given[0]",
        "Patient.name[0].given[1]",
        "Patient.birthDate",
    ]


def test_a_misspelt_name_gets_the_near_one() -> None:
    (issue,) = VALIDATOR.validate(patient(brithDate="2000"))
    assert "Did you mean 'birthDate'?" in issue.diagnostics


def test_a_choice_without_type_gets_its_forms() -> None:
    (issue,) = VALIDATOR.validate({**OBSERVATION, "effective": "2026"})
    assert "effectiveDateTime" in issue.diagnostics


def test_the_path_of_a_caller_stands_in_front() -> None:
    (issue,) = VALIDATOR.validate(patient(gender="x"), path="Bundle.entry[3].resource")
    assert issue.expression == "Bundle.entry[3].resource.gender"


def test_a_body_of_nonsense_is_answered_with_bounded_work() -> None:
    issues = VALIDATOR.validate(patient(**{f"nonsense{n}": 1 for n in range(20_000)}))
    assert len(issues) <= 1001
    assert issues[-1].key == "too-many-problems"


def test_depth_beyond_the_stack_is_an_issue_and_not_a_crash() -> None:
    extension: dict[str, Any] = {"url": "http://e.org/x", "valueCode": "a"}
    for _ in range(3000):
        extension = {"url": "http://e.org/x", "extension": [extension]}
    (issue,) = VALIDATOR.validate(patient(extension=[extension]))
    assert issue.key == "too-deep"


@pytest.mark.parametrize("body", [None, [], "Patient", 5, {}, {"resourceType": 5}, {"resourceType": None}])
def test_what_is_no_resource_is_an_issue_and_not_a_crash(body: Any) -> None:
    assert len(VALIDATOR.validate(body)) == 1
