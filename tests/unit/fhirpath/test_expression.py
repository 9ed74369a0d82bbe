"""What callers rely on beyond values: places, variables, resolvers, lent functions, bounds, immutability."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.fhirpath import FhirPathError, HostFunction, compile_expression, owner_and_name, resource_node
from fhir_server.model.errors import TooCostly


@pytest.mark.parametrize(
    ("name", "expression", "path", "location"),
    [
        ("patient", "Patient.name.given[1]", "Patient.name[0].given[1]", ("name", 0, "given", 1)),
        ("patient", "telecom.where(system = 'email').value", "Patient.telecom[1].value", ("telecom", 1, "value")),
        ("patient", "deceased", "Patient.deceased", ("deceasedBoolean",)),
        ("observation", "value.unit", "Observation.value.unit", ("valueQuantity", "unit")),
        ("observation", "component[1].value", "Observation.component[1].value", ("component", 1, "valueString")),
        ("patient", "birthDate.extension", "Patient.birthDate.extension[0]", ("_birthDate", "extension", 0)),
        ("patient", "contained[0].name", "Patient.contained[0].name", ("contained", 0, "name")),
        ("patient", "managingOrganization.resolve().name", "Patient.contained[0].name", ("contained", 0, "name")),
        ("questionnaire", "descendants().where(linkId = '1.2.1')", "Questionnaire.item[0].item[1].item[0]",
         ("item", 0, "item", 1, "item", 0)),
        ("patient", "$this", "Patient", ()),
        ("patient", "birthDate.descendants().where($this is dateTime)", "Patient.birthDate.extension[0].value",
         ("_birthDate", "extension", 0, "valueDateTime")),
    ],
)  # fmt: skip
def test_an_item_knows_its_place(
    resources: dict[str, Any], name: str, expression: str, path: str, location: tuple[str | int, ...]
) -> None:
    (node,) = compile_expression(expression).nodes(resources[name])
    assert node.path == path
    assert node.location == location
    if "resolve" not in expression:
        assert node.root.value is resources[name]
    found: Any = resources[name]
    for step in location:
        found = found[step]
    assert found == node.value


def test_computed_items_stand_nowhere(resources: dict[str, Any]) -> None:
    (node,) = compile_expression("name.count()").nodes(resources["patient"])
    assert (node.path, node.location, node.type) == ("", (), "System.Integer")


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("true", True),
        ("false", False),
        ("{}", False),
        ("name", True),
        ("id", True),
        ("active", True),
        ("name.given", True),
    ],
)
def test_an_invariant_holds_only_when_it_is_true_or_there(
    resources: dict[str, Any], expression: str, holds: bool
) -> None:
    assert compile_expression(expression).holds(resources["patient"]) is holds


def test_variables_come_from_the_caller(resources: dict[str, Any]) -> None:
    patient = resources["patient"]
    assert compile_expression("%wanted + 1").evaluate(patient, variables={"wanted": 2}) == [3]
    assert compile_expression("%all.count()").evaluate(patient, variables={"all": ["a", "b"]}) == [2]
    assert compile_expression("%none.empty()").evaluate(patient, variables={"none": None}) == [True]
    assert compile_expression("%other.status").evaluate(patient, variables={"other": {"status": "x"}}) == ["x"]
    assert compile_expression("%`a b`").evaluate(patient, variables={"a b": "c"}) == ["c"]


def test_the_context_may_be_an_element_or_an_item(resources: dict[str, Any]) -> None:
    patient = resources["patient"]
    given = compile_expression("given.first() & ' of ' & %resource.id & ' in ' & %context.use")
    assert given.evaluate(patient, context=patient["name"][0]) == ["Mia of p1 in official"]
    (item,) = compile_expression("name[1]").nodes(patient)
    assert given.evaluate(patient, context=item) == ["Mimi of p1 in usual"]
    (found,) = compile_expression("given").nodes(patient, context=item)
    assert found.path == "Patient.name[1].given[0]"


def test_a_resolver_decides_what_exists() -> None:
    asked: list[str] = []

    def resolve(reference: str) -> dict[str, Any] | None:
        asked.append(reference)
        return {"resourceType": "Practitioner", "active": True} if reference == "Practitioner/1" else None

    task = {"resourceType": "Task", "owner": {"reference": "Practitioner/1"}, "for": {"reference": "Patient/2"}}
    assert compile_expression("owner.resolve().active").evaluate(task, resolver=resolve) == [True]
    assert compile_expression("for.resolve().empty()").evaluate(task, resolver=resolve) == [True]
    assert asked == ["Practitioner/1", "Patient/2"]


def test_lent_functions_are_checked_and_called(resources: dict[str, Any]) -> None:
    lent = {"memberOf": HostFunction(1, 1, lambda values, urls: [values[0] in ("male", "female") and urls == ["u"]])}
    assert compile_expression("gender.memberOf('u')", functions=lent).evaluate(resources["patient"]) == [True]
    with pytest.raises(FhirPathError, match="takes 1 arguments and has 0"):
        compile_expression("gender.memberOf()", functions=lent)


def test_a_type_model_sharpens_type_tests() -> None:
    class Model:
        def child(self, parent: str, name: str) -> str:
            return {"Task.status": "code", "Task.authoredOn": "dateTime"}.get(f"{parent}.{name}", "")

    task = {"resourceType": "Task", "status": "2026", "authoredOn": "2026-01-01"}
    test = "status is code and (status is date).not() and status is string and authoredOn is dateTime"
    assert compile_expression(test, types=Model()).evaluate(task) == [True]
    assert compile_expression("status is date").evaluate(task) == [True]
    assert compile_expression("authoredOn = '2026-01'", types=Model()).evaluate(task) == []


def test_now_is_the_same_instant_within_one_evaluation() -> None:
    class Ticking:
        def __init__(self) -> None:
            self.ms = 1_767_225_600_123

        def now_ms(self) -> int:
            self.ms += 60_000
            return self.ms

    read = compile_expression("now() | now() | today() | timeOfDay()", clock=Ticking())
    assert read.evaluate({"resourceType": "Task"}) == ["2026-01-01T00:01:00.123Z", "2026-01-01", "00:01:00.123"]
    assert read.evaluate({"resourceType": "Task"})[0] == "2026-01-01T00:02:00.123Z"


def test_nothing_is_changed_by_evaluation(resources: dict[str, Any]) -> None:
    before = deepcopy(resources)
    for text in ("descendants()", "name.given | name.family", "birthDate.extension.children()", "name.combine(name)"):
        expression = compile_expression(text)
        first = expression.evaluate(resources["patient"])
        assert expression.evaluate(resources["patient"]) == first
    assert resources == before


@pytest.mark.parametrize(
    "text",
    [
        "descendants().descendants().count()",
        "item.select(%resource.item).count()",
        "item.aggregate($total & '1234567890123456789012345678901234567890' & $total, '')",
        "item.aggregate($total.replace('a', 'aaaaaaaaaaaaaaaaaaaa'), 'a')",
    ],
)
def test_work_is_bounded(text: str) -> None:
    items = [{"linkId": str(number), "item": [{"linkId": "x"}]} for number in range(300)]
    resource = {"resourceType": "Questionnaire", "item": items}
    with pytest.raises(TooCostly, match="too much work"):
        compile_expression(text, budget=2_000).evaluate(resource)


def test_repetition_that_finds_nothing_new_ends() -> None:
    assert compile_expression("repeat('a').count()").evaluate({"resourceType": "Task"}) == [1]


def test_extension_only_items_are_items_without_value(resources: dict[str, Any]) -> None:
    line = compile_expression("Patient.address.line")
    assert line.evaluate(resources["patient"]) == ["Dorp 1"]
    first, second = line.nodes(resources["patient"])
    assert (first.value, second.value, second.path) == ("Dorp 1", None, "Patient.address[0].line[1]")


def test_direct_paths_and_items_agree(resources: dict[str, Any]) -> None:
    for text in (
        "Patient.name.given",
        "Patient.id",
        "Patient.contained.id",
        "Patient.name.family.x",
        "Task.status",
        "Patient.deceased",
        "Observation.value.unit",
        "Observation.component.value",
        "Patient.birthDate",
        "Patient.address.line",
    ):
        compiled = compile_expression(text)
        for resource in resources.values():
            slow = [node.value for node in compiled.nodes(resource) if node.value is not None]
            assert compiled.evaluate(resource) == slow


def test_a_path_is_split_into_owner_and_name(resources: dict[str, Any]) -> None:
    split = owner_and_name("Patient.name.where(use = 'usual').given")
    assert split is not None
    owner, name = split
    assert (name, [node.path for node in owner.nodes(resources["patient"])]) == ("given", ["Patient.name[1]"])
    assert owner_and_name("Patient") is None
    assert owner_and_name("Patient.name.first()") is None


def test_an_error_names_the_context() -> None:
    resource = {"resourceType": "Task", "note": [{"text": "a"}, {"text": "b"}]}
    with pytest.raises(FhirPathError) as caught:
        compile_expression("note.text & 'x'").evaluate(resource)
    assert caught.value.issues[0].expression == "Task"


def test_items_show_themselves() -> None:
    assert repr(resource_node({"resourceType": "Task"})) == "Node({'resourceType': 'Task'}, 'Task', 'Task')"
    assert repr(compile_expression("Task.id")) == "Expression('Task.id')"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("value.toString()", ["1E+999999999"]),
        ("value.toBoolean()", []),
        ("value * value", []),
        ("value ~ 1", [False]),
        ("value div 3", []),
        ("value > 1", [True]),
        ("value.convertsToInteger()", [False]),
        ("value = value", [True]),
    ],
)
def test_a_number_out_of_all_bounds_costs_nothing(expression: str, expected: list[Any]) -> None:
    resource = {"resourceType": "Observation", "valueDecimal": Decimal("1e999999999")}
    assert compile_expression(expression).evaluate(resource) == expected


def test_a_duration_out_of_all_bounds_is_refused() -> None:
    resource = {"resourceType": "Observation", "valueQuantity": {"value": Decimal("1e999999999"), "code": "d"}}
    with pytest.raises(FhirPathError, match="1 to 9999"):
        compile_expression("@2026-01-01 + value").evaluate(resource)
