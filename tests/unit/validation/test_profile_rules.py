"""Each construct of a profile is enforced where it says, with its key and its place; what cannot be is refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from fhir_server.artifacts.catalog import Catalog
from fhir_server.terminology.service import TerminologyService
from fhir_server.validation.differential import UnenforceableConstruct
from fhir_server.validation.pipeline import Validator

URL = "http://example.org/StructureDefinition/p"
HL7 = "http://hl7.org/fhir/StructureDefinition/"
COLORS: dict[str, Any] = {
    "resourceType": "ValueSet", "url": "http://example.org/ValueSet/colors", "status": "active",
    "compose": {"include": [{"system": "http://example.org/colors", "concept": [{"code": "red"}, {"code": "blue"}]}]},
}  # fmt: skip
ALIEN: dict[str, Any] = {
    "resourceType": "ValueSet", "url": "http://example.org/ValueSet/alien", "status": "active",
    "compose": {"include": [{"system": "http://example.org/not-loaded"}]},
}  # fmt: skip
NOTE: dict[str, Any] = {
    "resourceType": "StructureDefinition", "url": "http://example.org/StructureDefinition/note", "type": "Extension",
    "baseDefinition": HL7 + "Extension", "derivation": "constraint", "kind": "complex-type", "name": "Note",
    "context": [{"type": "element", "expression": "Patient"}, {"type": "element", "expression": "Patient.contact"}],
    "differential": {"element": [
        {"id": "Extension", "path": "Extension"},
        {"id": "Extension.value[x]", "path": "Extension.value[x]", "min": 1, "type": [{"code": "string"}]},
    ]},
}  # fmt: skip


def definition(kind: str, *elements: Mapping[str, Any], url: str = URL, base: str = "", **more: Any) -> dict[str, Any]:
    listed = [{"path": one["id"].replace(":x", ""), **one} for one in elements]
    return {
        "resourceType": "StructureDefinition", "url": url, "name": "P", "type": kind, "derivation": "constraint",
        "baseDefinition": base or HL7 + kind, "kind": "resource", "differential": {"element": listed}, **more,
    }  # fmt: skip


def validator(*definitions: dict[str, Any]) -> Validator:
    catalog = Catalog([*definitions, COLORS, ALIEN, NOTE])
    return Validator.load(catalog, TerminologyService.load(catalog))


def told(profile: dict[str, Any], resource: dict[str, Any]) -> list[tuple[str, str, str]]:
    issues = validator(profile).report(claiming(resource))
    return [(one.severity, one.key, one.expression) for one in issues]


def claiming(resource: dict[str, Any], *urls: str) -> dict[str, Any]:
    return {**resource, "meta": {"profile": list(urls or (URL,))}}


def el(element_id: str, **rules: Any) -> dict[str, Any]:
    return {"id": element_id, **rules}


def of_type(*codes: str, **more: Any) -> list[dict[str, Any]]:
    return [{"code": code, **more} for code in codes]


def rule(key: str, expression: str, severity: str = "error") -> list[dict[str, str]]:
    return [{"key": key, "severity": severity, "human": "It holds.", "expression": expression}]


def slicing(kind: str, path: str, rules: str = "open", *, ordered: bool = False) -> dict[str, Any]:
    return {"discriminator": [{"type": kind, "path": path}], "rules": rules, "ordered": ordered}


PATIENT: dict[str, Any] = {"resourceType": "Patient", "name": [{"family": "Peeters"}]}
CODE: dict[str, Any] = {"coding": [{"system": "http://example.org/colors", "code": "red"}]}
OBSERVATION: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": CODE}
RED: dict[str, Any] = {"coding": [{"system": "http://example.org/colors", "code": "red"}]}
BY_COLOR = (
    el("Observation.category", slicing=slicing("pattern", "$this")),
    el("Observation.category:red", sliceName="red", min=1, max="1", patternCodeableConcept=RED),
    el("Observation.category:blue", sliceName="blue", patternCodeableConcept={"coding": [{"code": "blue"}]}),
)
BLUE = {"coding": [{"code": "blue"}]}
GREEN = {"text": "green"}


def by_color(rules: str, *, ordered: bool = False) -> tuple[dict[str, Any], ...]:
    return ({**BY_COLOR[0], "slicing": slicing("pattern", "$this", rules, ordered=ordered)}, *BY_COLOR[1:])


def observed(*categories: Any, **more: Any) -> dict[str, Any]:
    return {**OBSERVATION, **({"category": list(categories)} if categories else {}), **more}


CASES: list[tuple[str, tuple[dict[str, Any], ...], dict[str, Any], list[tuple[str, str, str]]]] = [
    ("required", (el("Patient.birthDate", min=1),), PATIENT, [("error", "cardinality-min", "Patient")]),
    ("required, extended only", (el("Patient.birthDate", min=1),), {**PATIENT, "_birthDate": {"extension": [{"url": "http://e.org/a", "valueString": "?"}]}}, []),
    ("two", (el("Patient.name", min=2),), PATIENT, [("error", "cardinality-min", "Patient")]),
    ("at most", (el("Patient.name", max="1"),), {**PATIENT, "name": [{"text": "a"}, {"text": "b"}]}, [("error", "cardinality-max", "Patient.name[1]")]),
    ("banned", (el("Patient.photo", max="0"),), {**PATIENT, "photo": [{"url": "http://e.org/p"}]}, [("error", "cardinality-max", "Patient.photo")]),
    ("banned choice", (el("Patient.deceased[x]", max="0"),), {**PATIENT, "deceasedBoolean": True}, [("error", "cardinality-max", "Patient.deceased.ofType(boolean)")]),
    ("choice required", (el("Observation.value[x]", min=1),), OBSERVATION, [("error", "cardinality-min", "Observation")]),
    ("type", (el("Observation.value[x]", type=of_type("Quantity")),), {**OBSERVATION, "valueString": "a"}, [("error", "profile-type", "Observation.value.ofType(string)")]),
    ("below a choice", (el("Observation.value[x]", type=of_type("Quantity")), el("Observation.value[x].unit", min=1)), {**OBSERVATION, "valueQuantity": {"value": 1}}, [("error", "cardinality-min", "Observation.value.ofType(Quantity)")]),
    ("fixed", (el("Patient.gender", fixedCode="female"),), {**PATIENT, "gender": "male"}, [("error", "profile-fixed", "Patient.gender")]),
    ("fixed, absent", (el("Patient.gender", fixedCode="female"),), PATIENT, []),
    ("fixed object", (el("Observation.code", fixedCodeableConcept=CODE),), {**OBSERVATION, "code": {**CODE, "text": "more"}}, [("error", "profile-fixed", "Observation.code")]),
    ("pattern", (el("Observation.code", patternCodeableConcept=RED),), {**OBSERVATION, "code": {"coding": [{"code": "x"}, {**RED["coding"][0], "display": "Red"}], "text": "more"}}, []),
    ("pattern missed", (el("Observation.code", patternCodeableConcept=RED),), {**OBSERVATION, "code": {"text": "red"}}, [("error", "profile-pattern", "Observation.code")]),
    ("pattern in a list", (el("Patient.name.family", patternString="Peeters"),), {**PATIENT, "name": [{"family": "Peeters"}, {"family": "Maes"}]}, [("error", "profile-pattern", "Patient.name[1].family")]),
    ("length", (el("Patient.name.family", maxLength=3),), PATIENT, [("error", "profile-max-length", "Patient.name[0].family")]),
    ("least", (el("Patient.birthDate", minValueDate="1900-01-01"),), {**PATIENT, "birthDate": "1899-12-31"}, [("error", "profile-value-min", "Patient.birthDate")]),
    ("most", (el("Patient.multipleBirth[x]", type=of_type("integer"), maxValueInteger=3),), {**PATIENT, "multipleBirthInteger": 4}, [("error", "profile-value-max", "Patient.multipleBirth.ofType(integer)")]),
    ("target", (el("Patient.managingOrganization", min=1), el("Patient.generalPractitioner", type=of_type("Reference", targetProfile=[HL7 + "Organization"]))), {**PATIENT, "managingOrganization": {"display": "x"}, "generalPractitioner": [{"reference": "Practitioner/1"}, {"reference": "Organization/1"}, {"type": "Practitioner", "display": "x"}]}, [("error", "profile-target", "Patient.generalPractitioner[0].reference"), ("error", "profile-target", "Patient.generalPractitioner[2].type")]),
    ("binding", (el("Observation.code", binding={"strength": "required", "valueSet": COLORS["url"]}),), {**OBSERVATION, "code": {"coding": [{"system": "http://example.org/colors", "code": "green"}]}}, [("error", "profile-binding", "Observation.code")]),
    ("binding, text", (el("Observation.code", binding={"strength": "required", "valueSet": COLORS["url"]}),), {**OBSERVATION, "code": {"text": "red"}}, [("error", "profile-binding", "Observation.code")]),
    ("binding kept", (el("Observation.code", binding={"strength": "required", "valueSet": COLORS["url"] + "|1"}),), {**OBSERVATION, "code": {"coding": [{"code": "x"}, *RED["coding"]]}}, []),
    ("extensible", (el("Observation.code", binding={"strength": "extensible", "valueSet": COLORS["url"]}),), {**OBSERVATION, "code": {"coding": [{"code": "x"}]}}, [("warning", "extensible-binding", "Observation.code")]),
    ("extensible, text", (el("Observation.code", binding={"strength": "extensible", "valueSet": COLORS["url"]}),), {**OBSERVATION, "code": {"text": "x"}}, []),
    ("cannot tell", (el("Observation.code", binding={"strength": "required", "valueSet": ALIEN["url"]}),), {**OBSERVATION, "code": {"coding": [{"system": "http://example.org/not-loaded", "code": "x"}]}}, [("warning", "binding-unchecked", "Observation.code")]),
    ("code binding", (el("Patient.language", binding={"strength": "required", "valueSet": COLORS["url"]}),), {**PATIENT, "language": "nl"}, [("error", "profile-binding", "Patient.language")]),
    ("invariant", (el("Patient", constraint=rule("p-1", "name.count() = 2")),), PATIENT, [("error", "p-1", "Patient")]),
    ("warning", (el("Patient", constraint=rule("p-1", "name.count() = 2", "warning")),), PATIENT, [("warning", "p-1", "Patient")]),
    ("invariant below", (el("Patient.name", constraint=rule("p-2", "given.exists()")),), {**PATIENT, "name": [{"given": ["A"]}, {"text": "b"}]}, [("error", "p-2", "Patient.name[1]")]),
    ("invariant on the resource", (el("Patient.name", constraint=rule("p-3", "%resource.active.exists()")),), PATIENT, [("error", "p-3", "Patient.name[0]")]),
    ("invariant with memberOf", (el("Observation.code", constraint=rule("p-4", f"memberOf('{COLORS['url']}')")),), {**OBSERVATION, "code": {"coding": [{"code": "x"}]}}, [("error", "p-4", "Observation.code")]),
    ("invariant that fails", (el("Patient", constraint=rule("p-5", "name.family.matches('a')")),), {**PATIENT, "name": [{"family": "a"}, {"family": "b"}]}, [("error", "p-5", "Patient")]),
    ("slices kept", BY_COLOR, observed(RED, BLUE, BLUE, GREEN), []),
    ("slice too few", BY_COLOR, observed(BLUE), [("error", "slice-min", "Observation")]),
    ("slice absent", BY_COLOR, observed(), [("error", "slice-min", "Observation")]),
    ("slice too many", BY_COLOR, observed(RED, BLUE, RED, RED), [("error", "slice-max", "Observation.category[2]")]),
    ("closed", by_color("closed"), observed(RED, GREEN), [("error", "slice-closed", "Observation.category[1]")]),
    ("ordered", by_color("open", ordered=True), observed(BLUE, RED), [("error", "slice-order", "Observation.category[1]")]),
    ("open at end", by_color("openAtEnd"), observed(RED, GREEN, BLUE), [("error", "slice-order", "Observation.category[2]")]),
    ("open at end kept", by_color("openAtEnd"), observed(RED, BLUE, GREEN), []),
    ("slice by value", (el("Patient.identifier", slicing=slicing("value", "system")), el("Patient.identifier:x", sliceName="x", min=1), el("Patient.identifier:x.system", fixedUri="http://e.org/s"), el("Patient.identifier:x.value", min=1)), {**PATIENT, "identifier": [{"system": "http://e.org/s"}, {"value": "7"}]}, [("error", "cardinality-min", "Patient.identifier[0]")]),
    ("slice by exists", (el("Patient.name", slicing=slicing("exists", "period")), el("Patient.name:x", sliceName="x", max="1"), el("Patient.name:x.period", min=1)), {**PATIENT, "name": [{"period": {"start": "2020"}}, {"text": "a"}, {"period": {"start": "2021"}}]}, [("error", "slice-max", "Patient.name[2]")]),
    ("slice by type", (el("Observation.value[x]", slicing=slicing("type", "$this")), el("Observation.value[x]:x", sliceName="x", type=of_type("Quantity")), el("Observation.value[x]:x.code", min=1)), {**OBSERVATION, "valueQuantity": {"value": 1}}, [("error", "cardinality-min", "Observation.value.ofType(Quantity)")]),
    ("slice by type of resource", (el("Bundle.entry", slicing=slicing("type", "resource")), el("Bundle.entry:x", sliceName="x", min=1), el("Bundle.entry:x.resource", type=of_type("Patient"))), {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": OBSERVATION}]}, [("error", "slice-min", "Bundle")]),
    ("slice by type of target", (el("Observation.performer", slicing=slicing("type", "$this.resolve()")), el("Observation.performer:x", sliceName="x", max="1", type=of_type("Reference", targetProfile=[HL7 + "Organization"]))), observed(performer=[{"reference": "Organization/1"}, {"reference": "Patient/1"}, {"reference": "Organization/2"}]), [("error", "slice-max", "Observation.performer[2]")]),
    ("slice of extensions", (el("Patient.extension:x", sliceName="x", min=1, max="1", type=of_type("Extension", profile=[NOTE["url"]])),), PATIENT, [("error", "slice-min", "Patient")]),
    ("extension", (el("Patient"),), {**PATIENT, "extension": [{"url": NOTE["url"], "valueInteger": 3}]}, [("error", "profile-type", "Patient.extension[0].value.ofType(integer)")]),
    ("extension elsewhere", (el("Patient"),), {**PATIENT, "name": [{"text": "a", "extension": [{"url": NOTE["url"], "valueString": "a"}]}]}, [("error", "extension-context", "Patient.name[0].extension[0]")]),
    ("extension of others", (el("Patient"),), {**PATIENT, "extension": [{"url": "http://e.org/any", "valueInteger": 3}]}, []),
    ("another type", (el("Patient"),), OBSERVATION, [("error", "profile-mismatch", "Observation.meta.profile[0]")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("elements", "resource", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_what_a_profile_says_is_enforced(
    elements: tuple[dict[str, Any], ...], resource: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    kind = elements[0]["id"].partition(".")[0]
    assert told(definition(kind, *elements), resource) == expected


REFUSED = [
    (definition("Patient", el("Patient.naam", min=1)), "Patient.naam"),
    (definition("Patient", el("Observation.code", min=1)), "Observation.code"),
    (definition("Patient", el("Patient.deceased[x]", type=of_type("string"))), "Patient.deceased[x]"),
    (definition("Patient", el("Patient.deceased[x].value", min=1)), "Patient.deceased[x]"),
    (definition("Patient", el("Patient", constraint=rule("p-1", "nope()"))), "Patient"),
    (definition("Patient", el("Patient", constraint=[{"key": "p-1", "severity": "error", "human": "x"}])), "Patient"),
    (definition("Patient", el("Patient.gender", binding={"strength": "required", "valueSet": "http://e.org/v"})), "Patient.gender"),
    (definition("Patient", el("Patient.name", slicing=slicing("position", "$this")), el("Patient.name:x", sliceName="x")), "Patient.name:x"),
    (definition("Patient", el("Patient.name", slicing=slicing("value", "use")), el("Patient.name:x", sliceName="x")), "Patient.name:x"),
    (definition("Patient", el("Patient.name:x", sliceName="x")), "Patient.name"),
    (definition("Patient", el("Patient.name", slicing=slicing("value", "use", "closed"))), "Patient.name"),
    (definition("Patient", el("Patient.name:x/y", sliceName="x/y")), "Patient.name:x/y"),
    (definition("Patient", el("Patient.name", contentReference="#Patient.contact")), "Patient.name"),
    (definition("Observation", el("Observation.value[x]", minValueQuantity={"value": 1})), "Observation.value[x]"),
    (definition("Patient", el("Patient.generalPractitioner", type=of_type("Reference", targetProfile=["http://e.org/p"]))), "Patient.generalPractitioner"),
    (definition("Patient", el("Patient"), base="http://e.org/other"), "StructureDefinition.baseDefinition"),
    (definition("Patient", el("Patient"), base=URL), "StructureDefinition.baseDefinition"),
    (definition("Extension", el("Extension"), context=[{"type": "fhirpath", "expression": "Patient.name"}]), "StructureDefinition.context"),
]  # fmt: skip


@pytest.mark.parametrize(("profile", "path"), REFUSED, ids=[f"{n}-{path}" for n, (_, path) in enumerate(REFUSED)])
def test_what_cannot_be_enforced_is_refused_with_its_path(profile: dict[str, Any], path: str) -> None:
    with pytest.raises(UnenforceableConstruct) as refusal:
        validator(profile)
    assert refusal.value.path == path
    assert refusal.value.profile == URL


def test_a_profile_inherits_from_its_base() -> None:
    parent = definition(
        "Patient", el("Patient.name", min=1, max="3"), el("Patient", constraint=rule("p-1", "active.exists()")),
        url="http://example.org/StructureDefinition/parent",
    )  # fmt: skip
    child = definition(
        "Patient", el("Patient.name", min=0, max="2"), el("Patient", constraint=rule("p-2", "gender.exists()")),
        base=parent["url"],
    )  # fmt: skip
    judged = validator(parent, child).judge(claiming({"resourceType": "Patient"}))
    assert judged.valid
    assert {issue.key for issue in judged.issues} == {"cardinality-min", "p-1", "p-2"}


def test_the_resource_that_a_reference_names_keeps_the_profile_that_is_asked() -> None:
    named = definition("Organization", el("Organization.alias", min=1), url="http://example.org/StructureDefinition/o")
    patient = definition(
        "Patient", el("Patient.managingOrganization", type=of_type("Reference", targetProfile=[named["url"]]))
    )
    checks = validator(named, patient)
    for organization, expected in (({"name": "a"}, ["profile-target"]), ({"name": "a", "alias": ["b"]}, [])):
        inside = {"resourceType": "Organization", "id": "o", **organization}
        contained = claiming({**PATIENT, "contained": [inside], "managingOrganization": {"reference": "#o"}})
        assert [issue.key for issue in checks.judge(contained).issues] == expected
        bundle = {
            "resourceType": "Bundle", "type": "collection",
            "entry": [
                {"fullUrl": "urn:uuid:0d2b1b3c-3f0a-4d7c-9a53-0d1f6a7b8c9d", "resource": inside},
                {"resource": claiming({**PATIENT, "managingOrganization": {"reference": "urn:uuid:0d2b1b3c-3f0a-4d7c-9a53-0d1f6a7b8c9d"}})},
            ],
        }  # fmt: skip
        found = [(issue.key, issue.expression) for issue in checks.judge(bundle).issues]
        assert found == [(key, "Bundle.entry[1].resource.managingOrganization.reference") for key in expected]


def test_an_unknown_profile_is_told_and_never_an_error() -> None:
    checks = validator()
    resource = claiming(PATIENT, "http://example.org/StructureDefinition/unheard-of", HL7 + "Patient")
    assert checks.judge(resource).issues == ()
    assert [(one.severity, one.key, one.expression) for one in checks.report(resource)] == [
        ("information", "unknown-profile", "Patient.meta.profile[0]")
    ]


def test_a_fault_against_r4_is_told_apart_from_one_against_a_profile() -> None:
    checks = validator(definition("Patient", el("Patient.birthDate", min=1)))
    assert checks.judge(claiming(PATIENT)).valid
    broken = checks.judge(claiming({**PATIENT, "gender": "banana"}))
    assert not broken.valid
    assert {issue.key for issue in broken.issues} == {"cardinality-min", "required-binding"}


def test_a_plain_resource_is_not_policed() -> None:
    plain = {**PATIENT, "extension": [{"url": NOTE["url"], "valueInteger": 3}]}
    checks = validator(definition("Patient", el("Patient.birthDate", min=1)))
    assert checks.judge(plain).issues == ()
    assert [issue.key for issue in checks.report(plain)] == ["profile-type"]


def test_elements_that_must_be_supported_are_told_on_request_only() -> None:
    checks = validator(
        definition("Patient", el("Patient.telecom", mustSupport=True), el("Patient.name", mustSupport=True))
    )
    assert checks.report(claiming(PATIENT)) == []
    (issue,) = checks.report(claiming(PATIENT), must_support=True)
    assert (issue.severity, issue.key) == ("information", "must-support-absent")
    assert "Patient.telecom" in issue.diagnostics


def test_a_named_profile_is_asked_without_being_claimed() -> None:
    checks = validator(definition("Patient", el("Patient.birthDate", min=1)))
    assert checks.report(PATIENT) == []
    assert [issue.key for issue in checks.report(PATIENT, profiles=[URL])] == ["cardinality-min"]


def test_an_invariant_that_would_take_too_long_is_refused() -> None:
    expression = "descendants().all(%resource.descendants().exists($this = 'x'))"
    checks = validator(definition("Patient", el("Patient", constraint=rule("p-1", expression))))
    many = claiming({**PATIENT, "name": [{"family": f"n{index}", "given": ["a", "b"]} for index in range(1500)]})
    (issue,) = checks.judge(many).issues
    assert (issue.key, issue.code, issue.expression) == ("too-costly", "too-costly", "Patient")


def test_a_hundred_thousand_extensions_are_judged_in_bounded_time_and_words() -> None:
    checks = validator(
        definition(
            "Patient",
            el("Patient.extension:x", sliceName="x", max="1", type=of_type("Extension", profile=[NOTE["url"]])),
        )
    )
    extensions = [{"url": NOTE["url"], "valueInteger": index} for index in range(100_000)]
    issues = checks.judge(claiming({**PATIENT, "extension": extensions})).issues
    assert len(issues) <= 501
    assert issues[-1].key == "too-many-problems" or len(issues) <= 500
