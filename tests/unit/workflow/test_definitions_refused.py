"""Definition-based extraction: what is not carried out is refused by its name and place, never left out."""

from typing import Any

import pytest

from fhir_server.model.errors import RuleViolated
from fhir_server.model.resource import Resource
from fhir_server.workflow.screening_form import SDC
from tests.unit.workflow.defining import (
    OBSERVATION,
    PATIENT,
    PROFILE,
    R4,
    answers,
    form,
    item,
    made_of,
    makes,
    profile,
    said,
    states,
)

PERSON = makes(R4 + "Patient")
FINDING = makes(R4 + "Observation")
NAME = item("n", "string", PATIENT + "name.text")
LEGACY = SDC + "itemExtractionContext"
CQL = {"language": "text/cql", "expression": "x"}


def refusal(questionnaire: Resource, response: Resource, *profiles: Resource) -> tuple[str, str, str, str]:
    with pytest.raises(RuleViolated) as caught:
        made_of(questionnaire, response, *profiles)
    issue = caught.value.issues[0]
    return issue.key, issue.code, issue.diagnostics, issue.expression


@pytest.mark.parametrize(
    ("extension", "items", "key", "said_of_it", "place"),
    [
        ([makes(R4 + "Patient", ifNoneMatch="'*'")], [NAME], "form-extraction-kind", "ifNoneMatch", "extension[0]"),
        ([makes(R4 + "Patient", ifModifiedSince="now()")], [NAME], "form-extraction-kind", "ifModifiedSince", "extension[0]"),
        ([{"url": f"{SDC}definitionExtract", "valueCanonical": "urn:x"}], [NAME], "form-extraction-kind", "without a definition", "extension[0]"),
        ([makes(R4 + "Provenance")], [], "form-extraction-kind", "no identifier", "extension[0]"),
        ([makes(R4 + "HumanName")], [], "form-definition", "not known here", "extension[0]"),
        ([makes(PROFILE + "unknown")], [], "form-definition", PROFILE + "unknown", "extension[0]"),
        ([{"url": LEGACY, "valueExpression": {"language": "application/x-fhir-query", "expression": "Patient"}}], [], "form-extraction-kind", "itemExtractionContext with an expression", "extension[0]"),
        ([{"url": LEGACY, "valueCode": "Patients"}], [], "form-definition", "no resource type 'Patients'", "extension[0]"),
        ([PERSON, PERSON], [], "form-extraction-kind", "Two resources", "extension[0]"),
        ([states(PATIENT + "active", valueBoolean=True)], [], "form-definition", "no item around it", "extension[0]"),
        ([PERSON, {"url": f"{SDC}definitionExtractValue", "extension": [{"url": "definition", "valueUri": PATIENT + "active"}, {"url": "expression", "valueExpression": CQL}]}], [], "form-extraction-kind", "not text/fhirpath", "extension[1]"),
        ([PERSON, states(PATIENT + "active", valueBoolean=True, valueCode="x"), {"url": f"{SDC}definitionExtractValue"}], [], "form-definition", "either expression or fixed-value", "extension[2]"),
        ([PERSON], [item("a", "string", PATIENT + "nmae")], "form-definition", "Did you mean 'name'?", "item[0].definition"),
        ([PERSON], [item("a", "string", PATIENT + "name:official.family")], "form-definition", "no slice 'official'", "item[0].definition"),
        ([PERSON], [item("a", "string", OBSERVATION + "status")], "form-definition", "not about a resource that is made here", "item[0].definition"),
        ([PERSON], [item("a", "group", PATIENT + "gender", below=[item("b")])], "form-definition", "A group cannot be", "item[0].definition"),
        ([PERSON], [item("a", "string", PATIENT + "deceased[x].value")], "form-definition", "deceasedBoolean, deceasedDateTime", "item[0].definition"),
        ([PERSON], [item("a", "string", PATIENT + "contained")], "form-extraction-kind", "not offered", "item[0].definition"),
        ([PERSON], [item("a", "display", "", FINDING)], "form-extraction-kind", "A display has no answer", "item[0].extension[0]"),
        ([], [item("a", "group", "", PERSON, below=[NAME]), item("b", "string", PATIENT + "gender")], "form-definition", "no item around it", "item[1].definition"),
    ],
)  # fmt: skip
def test_a_questionnaire_is_refused_before_its_answers(
    extension: list[Resource], items: list[Resource], key: str, said_of_it: str, place: str
) -> None:
    found = refusal(form(*items, extension=tuple(extension)), answers())
    assert (found[0], found[3]) == (key, f"Questionnaire.{place}")
    assert said_of_it in found[2]
    assert (found[1] == "not-supported") is (key == "form-extraction-kind")


def test_items_that_could_belong_to_several_repetitions_are_refused() -> None:
    texts = [item(f"n{n}", "string", PATIENT + "contact.name.text") for n in (1, 2)]
    gender = item("g", "string", PATIENT + "contact.gender")
    key, _, text, place = refusal(form(*texts, gender, extension=(PERSON,)), answers())
    assert (key, place) == ("form-definition", "Questionnaire.item[2]")
    assert "group whose definition is Patient.contact" in text
    group = item("c", "group", "", repeats=True, below=[item("t", "string", PATIENT + "contact.telecom.value")])
    assert "Several repetitions of Patient.contact" in refusal(form(texts[0], group, extension=(PERSON,)), answers())[2]


@pytest.mark.parametrize(
    ("path", "type_", "answer", "allowed"),
    [
        ("birthDate", "string", ("valueString", "yesterday"), "it takes date."),
        ("active", "string", ("valueString", "yes"), "it takes boolean."),
        ("gender", "string", ("valueString", "no  code"), "it takes code."),
        ("name", "string", ("valueString", "Jo"), "it takes HumanName."),
        ("name.family", "choice", ("valueCoding", {"code": "a", "display": "A"}), "Say with definitionExtractValue"),
        ("multipleBirth[x]", "decimal", ("valueDecimal", 1.5), "it takes boolean, integer."),
        (
            "managingOrganization",
            "reference",
            ("valueReference", {"reference": "Patient/p"}),
            "Reference to Organization",
        ),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_at_the_answer(path: str, type_: str, answer: Any, allowed: str) -> None:
    asked = form(item("a", type_, PATIENT + path), extension=(PERSON,))
    key, code, text, place = refusal(asked, answers(said("a", answer)))
    assert (key, code, place) == ("extract-type", "value", "QuestionnaireResponse.item[0].answer[0].value")
    assert allowed in text


def test_a_second_value_of_an_element_that_takes_one_is_refused() -> None:
    asked = form(item("a", "date", PATIENT + "birthDate", repeats=True), extension=(PERSON,))
    days = [("valueDate", "1980-01-01"), ("valueDate", "1981-01-01")]
    assert refusal(asked, answers(said("a", *days)))[3] == "QuestionnaireResponse.item[0].answer[1].value"
    twice = form(*(item(name, "date", PATIENT + "birthDate") for name in "ab"), extension=(PERSON,))
    found = refusal(twice, answers(said("a", days[0]), said("b", days[1])))
    assert (found[0], found[3]) == ("extract-type", "QuestionnaireResponse.item[1].answer[0].value")


def test_values_that_the_questionnaire_states_are_held_to_the_element_too() -> None:
    for value in ({"valueQuantity": {"value": 1}}, {"expression": "1 + 1"}, {"expression": "'a' | 'b'"}):
        told = states(PATIENT + "gender", **value)  # type: ignore[arg-type]  # either of the two
        found = refusal(form(extension=(PERSON, told)), answers())
        assert (found[0], found[3]) == ("extract-type", "Questionnaire.extension[1]")


def test_identities_are_given_by_the_server_alone() -> None:
    for parts, said_of_it in (
        ({"fullUrl": "'urn:uuid:c1170962-3043-5f37-a51c-fb864c18d572'"}, "extractAllocateId"),
        ({"ifMatch": "'3'"}, "needs an id"),
    ):
        found = refusal(form(extension=(makes(R4 + "Patient", **parts),)), answers())
        assert (found[0], found[1]) == ("form-extraction-kind", "not-supported")
        assert said_of_it in found[2]


def test_an_answer_against_what_the_profile_fixes_is_refused() -> None:
    own = profile(
        "alive", "Patient", {"id": "Patient.deceased[x]", "max": "0"}, {"id": "Patient.gender", "fixedCode": "other"}
    )
    asked = form(item("g", "string", f"{PROFILE}alive#Patient.gender"), extension=(makes(PROFILE + "alive"),))
    assert "fixes gender to 'other'" in refusal(asked, answers(said("g", "male")), own)[2]
    gone = form(item("d", "boolean", f"{PROFILE}alive#Patient.deceased[x]"), extension=(makes(PROFILE + "alive"),))
    assert "leaves no Patient.deceased[x]" in refusal(gone, answers(), own)[2]


def test_profiles_that_are_no_profiles_of_r4_are_refused() -> None:
    logical = profile("model", "Model", kind="logical")
    assert refusal(form(extension=(makes(PROFILE + "model"),)), answers(), logical)[0] == "form-extraction-kind"
    circle = profile("a", "Patient", baseDefinition=PROFILE + "a")
    assert "derived from itself" in refusal(form(extension=(makes(PROFILE + "a"),)), answers(), circle)[2]


def test_definitions_that_only_describe_are_no_matter_where_nothing_is_extracted_by_them() -> None:
    asked = form(item("a", "string", PATIENT + "name.family"))
    subject = {"subject": {"reference": "Patient/p"}, "authored": "2026-11-22"}
    assert made_of(asked, answers(said("a", "P"), **subject)) == []
