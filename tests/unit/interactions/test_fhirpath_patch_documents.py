"""FHIRPath Patch; the ideas of its published cases are among the rows."""

from copy import deepcopy
from typing import Any

import pytest

from fhir_server.interactions.patch_documents import apply_fhirpath_patch
from fhir_server.model.codec import decode, decode_resource, encode
from fhir_server.model.errors import Malformed, RuleViolated, TooCostly


def operation(type_: str, path: str, **parts: Any) -> dict[str, Any]:
    """Write an operation as a Parameters.parameter; keyword `valueX` is the value, the others name parts."""
    content: list[dict[str, Any]] = [{"name": "type", "valueCode": type_}, {"name": "path", "valueString": path}]
    for name, value in parts.items():
        if name.lstrip("_").startswith("value") and name != "value":
            existing = next((part for part in content if part["name"] == "value"), None)
            if existing is None:
                content.append({"name": "value", name: value})
            else:
                existing[name] = value
        elif name == "value":
            content.append({"name": "value", "part": value})
        else:
            content.append({"name": name, ("valueInteger" if isinstance(value, int) else "valueString"): value})
    return {"name": "operation", "part": content}


def patched(resource: dict[str, Any], *operations: dict[str, Any]) -> dict[str, Any]:
    before = deepcopy(resource)
    parameters = (
        {"resourceType": "Parameters", "parameter": list(operations)} if operations else {"resourceType": "Parameters"}
    )
    sent = deepcopy(parameters)
    result = apply_fhirpath_patch(resource, parameters)
    assert resource == before
    assert parameters == sent
    return result


def patient(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **members}


def numbered(*numbers: int) -> dict[str, Any]:
    return patient(identifier=[{"system": "http://x.example", "value": f"value {number}"} for number in numbers])


ID3 = {"system": "http://x.example", "value": "value 3"}
CASES: list[tuple[str, dict[str, Any], list[dict[str, Any]], dict[str, Any]]] = [
    ("nothing", patient(birthDate="1920-01-01"), [], patient(birthDate="1920-01-01")),
    ("replace primitive", patient(birthDate="1920-01-01"), [operation("replace", "Patient.birthDate", valueDate="1930-01-01")], patient(birthDate="1930-01-01")),
    ("delete primitive", patient(birthDate="1920-01-01"), [operation("delete", "Patient.birthDate")], patient()),
    ("delete nothing", patient(active=True), [operation("delete", "Patient.birthDate")], patient(active=True)),
    ("add primitive", patient(), [operation("add", "Patient", name="birthDate", valueDate="1930-01-01")], patient(birthDate="1930-01-01")),
    ("replace nested", patient(contact=[{"gender": "male"}]), [operation("replace", "Patient.contact[0].gender", valueCode="female")], patient(contact=[{"gender": "female"}])),
    ("delete nested", patient(contact=[{"name": {"text": "a"}, "gender": "male"}]), [operation("delete", "Patient.contact[0].gender")], patient(contact=[{"name": {"text": "a"}}])),
    ("delete takes empty parents along", patient(contact=[{"name": {"text": "a"}, "gender": "male"}]), [operation("delete", "Patient.contact[0].name.text")], patient(contact=[{"gender": "male"}])),
    ("delete takes empty lists along", patient(contact=[{"name": {"text": "a"}}]), [operation("delete", "Patient.contact[0].name.text")], patient()),
    ("add nested", patient(contact=[{"name": {"text": "a"}}]), [operation("add", "Patient.contact[0]", name="gender", valueCode="male")], patient(contact=[{"name": {"text": "a"}, "gender": "male"}])),
    ("add complex", patient(), [operation("add", "Patient", name="maritalStatus", valueCodeableConcept={"text": "m"})], patient(maritalStatus={"text": "m"})),
    ("replace complex", patient(maritalStatus={"id": "1", "text": "m"}), [operation("replace", "Patient.maritalStatus", valueCodeableConcept={"id": "2"})], patient(maritalStatus={"id": "2"})),
    ("delete complex", patient(maritalStatus={"text": "m"}), [operation("delete", "Patient.maritalStatus")], patient()),
    ("add anonymous", patient(), [operation("add", "Patient", name="contact", value=[{"name": "name", "valueHumanName": {"text": "a"}}])], patient(contact=[{"name": {"text": "a"}}])),
    ("delete anonymous", patient(contact=[{"name": {"text": "a"}}]), [operation("delete", "Patient.contact[0]")], patient()),
    ("add to list", numbered(1, 2), [operation("add", "Patient", name="identifier", valueIdentifier=ID3)], numbered(1, 2, 3)),
    ("insert at end", numbered(1, 2), [operation("insert", "Patient.identifier", index=2, valueIdentifier=ID3)], numbered(1, 2, 3)),
    ("insert in middle", numbered(1, 2), [operation("insert", "Patient.identifier", index=1, valueIdentifier=ID3)], numbered(1, 3, 2)),
    ("insert first", numbered(1, 2), [operation("insert", "Patient.identifier", index=0, valueIdentifier=ID3)], numbered(3, 1, 2)),
    ("insert into nothing", patient(), [operation("insert", "Patient.identifier", index=0, valueIdentifier=ID3)], numbered(3)),
    ("delete from list", numbered(1, 2, 3), [operation("delete", "Patient.identifier[0]")], numbered(2, 3)),
    ("delete by filter", numbered(1, 2, 3), [operation("delete", "Patient.identifier.where(value = 'value 2')")], numbered(1, 3)),
    ("replace in list", numbered(1, 2), [operation("replace", "Patient.identifier[1]", valueIdentifier=ID3)], numbered(1, 3)),
    ("move down", numbered(1, 2, 3, 4), [operation("move", "Patient.identifier", source=3, destination=1)], numbered(1, 4, 2, 3)),
    ("move up", numbered(1, 2, 3, 4), [operation("move", "Patient.identifier", source=0, destination=2)], numbered(2, 3, 1, 4)),
    ("move to itself", numbered(1, 2), [operation("move", "Patient.identifier", source=1, destination=1)], numbered(1, 2)),
    ("reverse by moves", numbered(1, 2, 3, 4), [operation("move", "Patient.identifier", source=3, destination=to) for to in (0, 1, 2)], numbered(4, 3, 2, 1)),
    ("later operations see earlier ones", patient(), [operation("add", "Patient", name="name", valueHumanName={"family": "A"}), operation("add", "Patient.name[0]", name="given", valueString="B")], patient(name=[{"family": "A", "given": ["B"]}])),
    ("add choice", patient(), [operation("add", "Patient", name="deceased", valueBoolean=False)], patient(deceasedBoolean=False)),
    ("replace choice", patient(deceasedBoolean=False, gender="male"), [operation("replace", "Patient.deceased", valueDateTime="2026")], patient(deceasedDateTime="2026", gender="male")),
    ("replace choice, same type", patient(deceasedBoolean=False), [operation("replace", "Patient.deceased", valueBoolean=True)], patient(deceasedBoolean=True)),
    ("delete choice", patient(deceasedBoolean=False), [operation("delete", "Patient.deceased")], patient()),
    ("replace drops extensions", patient(birthDate="2000", _birthDate={"id": "a"}), [operation("replace", "Patient.birthDate", valueDate="2001")], patient(birthDate="2001")),
    ("replace brings extensions", patient(birthDate="2000"), [operation("replace", "Patient.birthDate", valueDate="2001", _valueDate={"id": "a"})], patient(birthDate="2001", _birthDate={"id": "a"})),
    ("delete takes extensions along", patient(birthDate="2000", _birthDate={"id": "a"}), [operation("delete", "Patient.birthDate")], patient()),
    ("delete keeps lists in step", patient(name=[{"given": ["a", "b"], "_given": [None, {"id": "x"}]}]), [operation("delete", "Patient.name[0].given[0]")], patient(name=[{"given": ["b"], "_given": [{"id": "x"}]}])),
    ("delete the only extension", patient(name=[{"given": ["a", "b"], "_given": [None, {"id": "x"}]}]), [operation("delete", "Patient.name[0].given[1]")], patient(name=[{"given": ["a"]}])),
    ("insert keeps lists in step", patient(name=[{"given": ["a", "b"], "_given": [None, {"id": "x"}]}]), [operation("insert", "Patient.name[0].given", index=1, valueString="c")], patient(name=[{"given": ["a", "c", "b"], "_given": [None, None, {"id": "x"}]}])),
    ("insert brings extensions", patient(name=[{"given": ["a"]}]), [operation("insert", "Patient.name[0].given", index=0, valueString="c", _valueString={"id": "x"})], patient(name=[{"given": ["c", "a"], "_given": [{"id": "x"}, None]}])),
    ("move keeps lists in step", patient(name=[{"given": ["a", "b"], "_given": [None, {"id": "x"}]}]), [operation("move", "Patient.name[0].given", source=1, destination=0)], patient(name=[{"given": ["b", "a"], "_given": [{"id": "x"}, None]}])),
    ("delete extension of primitive", patient(birthDate="2000", _birthDate={"extension": [{"url": "u", "valueString": "x"}]}), [operation("delete", "Patient.birthDate.extension('u')")], patient(birthDate="2000")),
    ("replace in extension of primitive", patient(birthDate="2000", _birthDate={"extension": [{"url": "u", "valueString": "x"}]}), [operation("replace", "Patient.birthDate.extension('u').value", valueString="y")], patient(birthDate="2000", _birthDate={"extension": [{"url": "u", "valueString": "y"}]})),
    ("delete one extension of a primitive in a list", patient(name=[{"given": ["a", "b"], "_given": [None, {"extension": [{"url": "u", "valueString": "x"}]}]}]), [operation("delete", "Patient.name[0].given[1].extension")], patient(name=[{"given": ["a", "b"]}])),
    ("delete the last of an extension-only primitive", patient(active=True, _birthDate={"extension": [{"url": "u", "valueString": "x"}]}), [operation("delete", "Patient.birthDate.extension")], patient(active=True)),
    ("nested parts with choice and repeats", {"resourceType": "Task"}, [operation("add", "Task", name="output", value=[{"name": "type", "valueCodeableConcept": {"text": "t"}}, {"name": "value", "valueReference": {"reference": "Goal/1"}}])], {"resourceType": "Task", "output": [{"type": {"text": "t"}, "valueReference": {"reference": "Goal/1"}}]}),
    ("parts within parts", {"resourceType": "Questionnaire"}, [operation("add", "Questionnaire", name="item", value=[{"name": "linkId", "valueString": "1"}, {"name": "item", "part": [{"name": "linkId", "valueString": "1.1"}]}, {"name": "item", "part": [{"name": "linkId", "valueString": "1.2"}]}])], {"resourceType": "Questionnaire", "item": [{"linkId": "1", "item": [{"linkId": "1.1"}, {"linkId": "1.2"}]}]}),
    ("element of a datatype without name", {"resourceType": "Task", "restriction": {"period": {"start": "2026"}}}, [operation("add", "Task.restriction.period", name="end", valueDateTime="2027")], {"resourceType": "Task", "restriction": {"period": {"start": "2026", "end": "2027"}}}),
    ("in a contained resource", patient(contained=[{"resourceType": "Organization", "id": "o"}]), [operation("add", "Patient.contained[0]", name="alias", valueString="x")], patient(contained=[{"resourceType": "Organization", "id": "o", "alias": ["x"]}])),
    ("a whole contained resource", patient(), [{"name": "operation", "part": [{"name": "type", "valueCode": "add"}, {"name": "path", "valueString": "Patient"}, {"name": "name", "valueString": "contained"}, {"name": "value", "resource": {"resourceType": "List"}}]}], patient(contained=[{"resourceType": "List"}])),
    ("task status", {"resourceType": "Task", "status": "requested"}, [operation("replace", "Task.status", valueCode="accepted")], {"resourceType": "Task", "status": "accepted"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "operations", "after"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_fhirpath_patch_applies(
    before: dict[str, Any], operations: list[dict[str, Any]], after: dict[str, Any]
) -> None:
    result = patched(before, *operations)
    assert result == after
    assert list(result) == list(after)


def raw(*parts: Any, name: str = "operation") -> dict[str, Any]:
    return {"name": name, "part": list(parts)}


TYPE, PATH = {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Patient.active"}
TRUE = {"name": "value", "valueBoolean": True}
AT = "Parameters.parameter[0]"
MALFORMED: list[tuple[Any, str]] = [
    ("x", AT), ({"name": "op"}, AT), ({"name": "operation"}, AT), (raw(TYPE, PATH, TRUE, name="other"), AT), (raw(TYPE, TRUE), AT), (raw(TYPE, PATH), AT), (raw(PATH, TRUE), AT),
    (raw(TYPE, PATH, TRUE, TRUE), f"{AT}.part[3]"), (raw("x"), f"{AT}.part[0]"), (raw({"valueCode": "x"}), f"{AT}.part[0]"),
    (raw({"name": "type", "valueCode": "upsert"}, PATH, TRUE), f"{AT}.part[0]"), (raw({"name": "type", "valueBoolean": True}, PATH, TRUE), f"{AT}.part[0]"),
    (raw(TYPE, PATH, TRUE, {"name": "index", "valueInteger": 1}), f"{AT}.part[3]"), (raw(TYPE, PATH, {"name": "value"}), f"{AT}.part[2]"),
    (raw(TYPE, PATH, {"name": "value", "valueBoolean": True, "valueString": "x"}), f"{AT}.part[2]"), (raw(TYPE, PATH, {"name": "value", "valueNonsense": 1}), f"{AT}.part[2]"),
    (operation("replace", "Patient.active.nope()", valueBoolean=True), f"{AT}.part[1]"), (operation("replace", "Patient..x", valueBoolean=True), f"{AT}.part[1]"),
    (operation("replace", "Patient.name.given & 'x'", valueBoolean=True), f"{AT}.part[1]"),
    (raw({"name": "type", "valueCode": "insert"}, PATH, {"name": "index", "valueString": "1"}, TRUE), f"{AT}.part[2]"),
    (operation("add", "Patient", name="contact", value=[{"name": "nope", "valueString": "x"}]), f"{AT}.part[3].part[0]"),
    (operation("add", "Patient", name="contact", value=[{"name": "gender", "valueCode": "male"}, {"name": "gender", "valueCode": "male"}]), f"{AT}.part[3].part[1]"),
    (operation("add", "Patient", name="extension", value=[{"name": "url", "valueUri": "u"}, {"name": "value", "part": []}]), f"{AT}.part[3].part[1]"),
]  # fmt: skip
UNFIT: list[tuple[dict[str, Any], int]] = [
    (operation("replace", "Patient.birthDate", valueDate="2000"), 1), (operation("replace", "Patient.name", valueHumanName={}), 1), (operation("replace", "Patient", valueString="x"), 1),
    (operation("replace", "'x'", valueString="x"), 1), (operation("replace", "Patient.name.count()", valueInteger=1), 1), (operation("replace", "Patient.name[0].resolve()", valueString="x"), 1),
    (operation("delete", "Patient.name"), 1), (operation("delete", "Patient"), 1), (operation("delete", "Patient.name.given"), 1),
    (operation("add", "Patient.name", name="family", valueString="x"), 1), (operation("add", "Patient.address", name="city", valueString="x"), 1), (operation("add", "Patient.gender", name="id", valueString="x"), 1),
    (operation("add", "Patient", name="gender", valueCode="male"), 2), (operation("add", "Patient", name="nope", valueCode="male"), 2), (operation("add", "Patient", name="deceased", valueDateTime="2026"), 2),
    (operation("add", "Patient", name="multipleBirth", valueString="x"), 3), (operation("add", "Patient", name="multipleBirthInteger", valueInteger=2), 2),
    (operation("insert", "Patient.name", index=3, valueHumanName={}), 2), (operation("insert", "Patient.name", index=-1, valueHumanName={}), 2), (operation("insert", "Patient.gender", index=0, valueCode="x"), 1),
    (operation("insert", "Patient.maritalStatus", index=0, valueCodeableConcept={}), 1), (operation("insert", "Patient.name.given", index=0, valueString="x"), 1),
    (operation("insert", "Patient.name.where(family = 'A')", index=0, valueHumanName={}), 1), (operation("insert", "Patient.nope", index=0, valueString="x"), 1), (operation("insert", "Patient.contact.telecom", index=0, valueContactPoint={}), 1),
    (operation("move", "Patient.name", source=2, destination=0), 2), (operation("move", "Patient.name", source=0, destination=2), 3), (operation("move", "Patient.gender", source=0, destination=0), 1),
    (operation("move", "Patient.telecom", source=0, destination=0), 2), (operation("move", "Patient", source=0, destination=0), 1),
]  # fmt: skip
RICH = patient(
    active=True,
    gender="female",
    deceasedBoolean=False,
    name=[{"family": "A", "given": ["a"]}, {"family": "B", "given": ["b"]}],
)


@pytest.mark.parametrize(("wrong", "expression"), MALFORMED, ids=[str(number) for number in range(len(MALFORMED))])
def test_a_malformed_fhirpath_patch_names_its_part(wrong: Any, expression: str) -> None:
    with pytest.raises(Malformed) as caught:
        patched(RICH, wrong)
    assert (caught.value.issues[0].key, caught.value.issues[0].expression) == ("patch-document", expression)


@pytest.mark.parametrize(("unfit", "part"), UNFIT, ids=[str(row[0]["part"][:2])[:120] for row in UNFIT])
def test_an_operation_that_does_not_fit_names_its_part(unfit: dict[str, Any], part: int) -> None:
    first = operation("replace", "Patient.gender", valueCode="male")
    with pytest.raises(RuleViolated) as caught:
        patched(RICH, first, unfit)
    issue = caught.value.issues[0]
    assert (issue.key, issue.expression) == ("patch-path", f"Parameters.parameter[1].part[{part}]")


@pytest.mark.parametrize("document", [{"resourceType": "Patient"}, {"resourceType": "Parameters", "parameter": {}}])
def test_only_parameters_are_a_fhirpath_patch(document: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        apply_fhirpath_patch(RICH, document)


def test_fhirpath_patch_keeps_decimals_as_they_were_written() -> None:
    before = decode_resource(b'{"resourceType":"Observation","valueQuantity":{"value":72.50}}')
    after = patched(before, operation("replace", "Observation.value.value", valueDecimal=decode(b"1E3")))
    assert encode(after) == b'{"resourceType":"Observation","valueQuantity":{"value":1E3}}'


def test_too_many_operations_are_refused() -> None:
    with pytest.raises(TooCostly):
        patched(RICH, *[operation("delete", "Patient.photo")] * 1001)
