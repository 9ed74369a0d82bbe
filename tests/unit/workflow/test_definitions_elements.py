"""Definition-based extraction: answers stand exactly in the elements that the definitions name."""

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.model.resource import Resource
from tests.unit.workflow.defining import (
    OBSERVATION,
    PATIENT,
    PROFILE,
    R4,
    allocates,
    answers,
    form,
    item,
    makes,
    profile,
    resources,
    said,
    states,
)

PERSON = (makes(R4 + "Patient"),)
FINDING = (makes(R4 + "Observation"),)


def of_person(*items: Resource, response: tuple[Resource, ...]) -> Any:
    (made,) = resources(form(*items, extension=PERSON), answers(*response))
    assert made.pop("resourceType") == "Patient"
    return made


def test_answers_beside_each_other_fill_one_repetition_until_a_value_is_there_twice() -> None:
    phone = item("phone", "string", PATIENT + "telecom.value", states(PATIENT + "telecom.system", valueCode="phone"))
    mail = item("mail", "string", PATIENT + "telecom.value", states(PATIENT + "telecom.system", valueCode="email"))
    given = item("given", "string", PATIENT + "name.given", repeats=True)
    family = item("family", "string", PATIENT + "name.family")
    made = of_person(given, family, phone, mail, response=(said("given", "Jo", "An"), said("family", "P"), said("phone", "1"), said("mail", "a@b")))  # fmt: skip
    assert made == {
        "name": [{"given": ["Jo", "An"], "family": "P"}],
        "telecom": [{"value": "1", "system": "phone"}, {"value": "a@b", "system": "email"}],
    }


def test_which_repetition_is_meant_does_not_hang_on_what_was_answered() -> None:
    items = [item(f"{kind}{n}", "string", PATIENT + f"contact.{path}") for n in (1, 2) for kind, path in (("n", "name.text"), ("g", "gender"))]  # fmt: skip
    made = of_person(*items, response=(said("g1", "male"), said("n2", "Mia")))
    assert made == {"contact": [{"gender": "male"}, {"name": {"text": "Mia"}}]}


def test_each_time_a_group_stands_there_it_is_a_repetition_with_or_without_a_definition() -> None:
    below = [item("given", "string", PATIENT + "name.given"), item("family", "string", PATIENT + "name.family")]
    said_twice = [said("name", below=(said("given", one), said("family", "P"))) for one in ("Jo", "An")]
    for definition in (PATIENT + "name", ""):
        group = item("name", "group", definition, repeats=True, below=below)
        made = of_person(group, response=tuple(said_twice))
        assert made == {"name": [{"given": ["Jo"], "family": "P"}, {"given": ["An"], "family": "P"}]}


def test_groups_within_groups_lead_into_elements_within_elements() -> None:
    number = item("number", "string", PATIENT + "contact.telecom.value")
    phones = item("phones", "group", PATIENT + "contact.telecom", states(PATIENT + "contact.telecom.system", valueCode="phone"), repeats=True, below=[number])  # fmt: skip
    contact = item("contact", "group", PATIENT + "contact", repeats=True, below=[item("who", "string", PATIENT + "contact.name.text"), phones])  # fmt: skip
    first = said("contact", below=(said("who", "A"), said("phones", below=(said("number", "1"),)), said("phones", below=(said("number", "2"),))))  # fmt: skip
    made = of_person(contact, response=(first, said("contact", below=(said("who", "B"),))))
    phone = {"system": "phone"}
    assert made["contact"] == [
        {"name": {"text": "A"}, "telecom": [{**phone, "value": "1"}, {**phone, "value": "2"}]},
        {"name": {"text": "B"}},
    ]


def test_several_answers_to_one_question_repeat_the_element_around() -> None:
    phones = item("p", "string", PATIENT + "telecom.value", states(PATIENT + "telecom.system", valueCode="phone"), repeats=True)  # fmt: skip
    made = of_person(phones, response=(said("p", "1", "2"),))
    assert made == {"telecom": [{"value": "1", "system": "phone"}, {"value": "2", "system": "phone"}]}


def test_what_is_asked_within_an_answer_goes_where_the_answer_went() -> None:
    words = item("words", "string", PATIENT + "communication.language.text")
    spoken = item("spoken", "choice", PATIENT + "communication.language", repeats=True, below=[words])
    nl, fr = ({"system": "urn:ietf:bcp:47", "code": code} for code in ("nl", "fr"))
    made = of_person(spoken, response=(said("spoken", ("valueCoding", nl), ("valueCoding", fr), below=(said("words", "goed"),)),))  # fmt: skip
    assert made["communication"] == [{"language": {"coding": [nl], "text": "goed"}}, {"language": {"coding": [fr]}}]


@pytest.mark.parametrize(
    ("path", "type_", "answer", "members"),
    [
        ("value[x]", "boolean", ("valueBoolean", False), {"valueBoolean": False}),
        ("value[x]", "integer", ("valueInteger", 3), {"valueInteger": 3}),
        ("value", "decimal", ("valueDecimal", Decimal("1.50")), {"valueQuantity": {"value": Decimal("1.50")}}),
        ("value[x]", "choice", ("valueCoding", {"code": "a"}), {"valueCodeableConcept": {"coding": [{"code": "a"}]}}),
        ("value[x]", "open-choice", ("valueString", "else"), {"valueString": "else"}),
        ("valueCodeableConcept", "open-choice", ("valueString", "else"), {"valueCodeableConcept": {"text": "else"}}),
        ("value[x]:valueQuantity", "quantity", ("valueQuantity", {"value": 2, "unit": "m"}), {"valueQuantity": {"value": 2, "unit": "m"}}),
        ("valueQuantity.value", "integer", ("valueInteger", 2), {"valueQuantity": {"value": 2}}),
        ("effective", "date", ("valueDate", "2026-11"), {"effectiveDateTime": "2026-11"}),
        ("effective[x]:effectivePeriod.start", "dateTime", ("valueDateTime", "2026-11-20"), {"effectivePeriod": {"start": "2026-11-20"}}),
        ("status", "choice", ("valueCoding", {"system": "s", "code": "final"}), {"status": "final"}),
        ("subject", "reference", ("valueReference", {"reference": "Patient/p"}), {"subject": {"reference": "Patient/p"}}),
        ("note.text", "text", ("valueString", "*so*"), {"note": [{"text": "*so*"}]}),
        ("component.code.coding", "choice", ("valueCoding", {"code": "c"}), {"component": [{"code": {"coding": [{"code": "c"}]}}]}),
    ],
)  # fmt: skip
def test_an_answer_takes_the_form_of_its_element(path: str, type_: str, answer: Any, members: Resource) -> None:
    asked = form(item("a", type_, OBSERVATION + path), extension=FINDING)
    assert resources(asked, answers(said("a", answer))) == [{"resourceType": "Observation", **members}]


def test_the_unit_of_a_question_is_that_of_the_quantity() -> None:
    coding = {"system": "http://unitsofmeasure.org", "code": "kg", "display": "kilogram"}
    unit = {"url": "http://hl7.org/fhir/StructureDefinition/questionnaire-unit", "valueCoding": coding}
    asked = form(item("w", "integer", OBSERVATION + "value[x]", unit), extension=FINDING)
    (made,) = resources(asked, answers(said("w", ("valueInteger", 80))))
    assert made["valueQuantity"] == {"value": 80, "unit": "kilogram", "system": coding["system"], "code": "kg"}


def test_a_repeating_item_makes_a_resource_each_time_and_an_unanswered_one_none() -> None:
    extension = (makes(R4 + "Observation"), states(OBSERVATION + "status", valueCode="final"))
    question = item("q", "choice", OBSERVATION + "code", *extension, repeats=True)
    group = item("g", "group", "", *extension, repeats=True, below=[item("t", "string", OBSERVATION + "code.text")])
    asked = form(question, group)
    made = resources(asked, answers(said("q", ("valueCoding", {"code": "a"}), ("valueCoding", {"code": "b"}))))
    assert [one["code"]["coding"][0]["code"] for one in made] == ["a", "b"]
    made = resources(asked, answers(said("g", below=(said("t", "x"),)), said("g", below=(said("t", "y"),)), said("g")))
    assert [one["code"]["text"] for one in made] == ["x", "y"]
    assert resources(asked, answers()) == []


def test_a_resource_of_the_whole_questionnaire_is_made_without_answers() -> None:
    asked = form(item("a"), extension=(*PERSON, states(PATIENT + "active", valueBoolean=True)))
    assert resources(asked, answers()) == [{"resourceType": "Patient", "active": True}]


def test_allocated_ids_are_how_resources_refer_to_each_other_and_they_last() -> None:
    related = R4 + "RelatedPerson"
    asked = form(
        item("p", "group", "", makes(R4 + "Patient", fullUrl="%who"), below=[item("n", "string", PATIENT + "name.text")]),
        item("c", "string", f"{related}#RelatedPerson.name.text", makes(related), states(f"{related}#RelatedPerson.patient.reference", "%who")),
        extension=(allocates("who"),),
    )  # fmt: skip
    response = answers(said("p", below=(said("n", "A"),)), said("c", "B"))
    first, second = (resources(asked, response)[1]["patient"]["reference"] for _ in range(2))
    assert first == second
    assert first.startswith("urn:uuid:")


def test_expressions_start_from_the_item_and_see_the_response() -> None:
    text = states(
        PATIENT + "name.text", "item.answer.value.join(' ') + ' of ' + %resource.author.display + %qitem.linkId"
    )
    below = [item("g", "string", PATIENT + "name.given"), item("f", "string", PATIENT + "name.family")]
    made = resources(
        form(item("name", "group", PATIENT + "name", text, below=below), extension=PERSON),
        answers(said("name", below=(said("g", "Jo"), said("f", "P"))), author={"display": "X"}),
    )
    assert made[0]["name"] == [{"text": "Jo P of Xname", "given": ["Jo"], "family": "P"}]


def test_a_group_can_be_the_reference_to_what_it_makes() -> None:
    use = R4 + "MedicationStatement"
    group = item("m", "group", f"{use}#MedicationStatement.medication[x]:medicationReference", makes(R4 + "Medication"), below=[item("t", "string", R4 + "Medication#Medication.code.text")])  # fmt: skip
    statement, medication = resources(
        form(group, extension=(makes(use),)), answers(said("m", below=(said("t", "pil"),)))
    )
    assert medication["code"] == {"text": "pil"}
    assert statement["medicationReference"]["reference"].startswith("urn:uuid:")


def test_slices_and_fixed_values_come_from_the_profile() -> None:
    names = profile(
        "person", "Patient",
        {"id": "Patient.active", "min": 1, "fixedBoolean": True},
        {"id": "Patient.name", "slicing": {"rules": "open"}},
        {"id": "Patient.name:official", "sliceName": "official"},
        {"id": "Patient.name:official.use", "min": 1, "fixedCode": "official"},
        {"id": "Patient.name:maiden.use", "min": 1, "fixedCode": "maiden"},
        {"id": "Patient.identifier:fiscal", "min": 1},
        {"id": "Patient.identifier:fiscal.system", "min": 1, "fixedUri": "urn:fiscal"},
        {"id": "Patient.maritalStatus", "patternCodeableConcept": {"coding": [{"system": "urn:m", "code": "S"}]}},
    )  # fmt: skip
    own = f"{PROFILE}person#Patient."
    asked = form(
        item("f", "string", own + "name:official.family"), item("m", "string", own + "name:maiden.family"),
        item("g", "string", own + "name:official.given"), item("w", "string", own + "maritalStatus.text"),
        extension=(makes(PROFILE + "person"),),
    )  # fmt: skip
    (made,) = resources(asked, answers(said("f", "P"), said("m", "Q"), said("g", "Jo"), said("w", "alleen")), names)
    assert made == {
        "resourceType": "Patient",
        "meta": {"profile": [PROFILE + "person"]},
        "active": True,
        "name": [{"family": "P", "given": ["Jo"], "use": "official"}, {"family": "Q", "use": "maiden"}],
        "maritalStatus": {"text": "alleen", "coding": [{"system": "urn:m", "code": "S"}]},
        "identifier": [{"system": "urn:fiscal"}],
    }


def test_the_slice_of_an_extension_is_what_its_definition_says() -> None:
    colour = profile("colour", "Extension", {"id": "Extension.url", "fixedUri": PROFILE + "colour"}, {"id": "Extension.value[x]", "type": [{"code": "code"}]}, kind="complex-type")  # fmt: skip
    named = profile("painted", "Patient", {"id": "Patient.extension:colour", "type": [{"code": "Extension", "profile": [PROFILE + "colour"]}]})  # fmt: skip
    asked = form(item("c", "choice", f"{PROFILE}painted#Patient.extension:colour.value[x]"), extension=(makes(PROFILE + "painted"),))  # fmt: skip
    (made,) = resources(asked, answers(said("c", ("valueCoding", {"system": "s", "code": "red"}))), named, colour)
    assert made["extension"] == [{"valueCode": "red", "url": PROFILE + "colour"}]


def test_a_code_of_the_older_extension_names_a_type() -> None:
    legacy = {"url": makes("")["url"].replace("definitionExtract", "itemExtractionContext"), "valueCode": "Patient"}
    for prefix in (PATIENT, "http://hl7.org/fhir/Patient#Patient."):
        made = resources(
            form(item("f", "string", prefix + "name.family"), extension=(legacy,)), answers(said("f", "P"))
        )
        assert made == [{"resourceType": "Patient", "name": [{"family": "P"}]}]
