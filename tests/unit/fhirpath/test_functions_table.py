"""Paths and functions: (resource, expression) → values (FHIRPath N1, section 5; R4 fhirpath.html)."""

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.fhirpath import compile_expression

T, F, NONE = [True], [False], []
P, OB, Q = "patient", "observation", "questionnaire"

ROWS: list[tuple[str, str, list[Any]]] = [
    # paths
    (P, "Patient.name.given", ["Mia", "Roos", "Mimi", "Mia", "Roos"]), (P, "name.given", ["Mia", "Roos", "Mimi", "Mia", "Roos"]),
    (P, "`Patient`.name.`given`[2]", ["Mimi"]), (P, "Patient.name[1].given", ["Mimi"]), (P, "name[9].given", NONE), (P, "name.given[{}]", NONE),
    (P, "Observation.status", NONE), (P, "Resource.id", ["p1"]), (P, "DomainResource.id", ["p1"]), (P, "name.nothing.at.all", NONE),
    (P, "address.line", ["Dorp 1"]), (P, "address.line.count()", [2]), (P, "birthDate.id", ["b1"]), (P, "gender.extension", NONE),
    (P, "deceased", F), (P, "Patient.deceased.exists()", T), (OB, "Observation.value.unit", ["kg"]), (OB, "Observation.value.value", [Decimal("72.50")]),
    (OB, "effective", ["2026-03-01T10:30:00+01:00"]), (OB, "component.value", [3, "x"]), (P, "birthDate.extension.value", ["1974-12-25T14:35:45-05:00"]),
    (P, "$this.id", ["p1"]), (P, "%resource.id | %context.id | %rootResource.id", ["p1"]), (P, "name.where($index = 1).use", ["usual"]),
    (P, "name.select(given.first() & ' ' & use)", ["Mia official", "Mimi usual", "Mia maiden"]),
    # existence
    (P, "name.exists()", T), (P, "photo.exists()", F), (P, "name.exists(use = 'usual')", T), (P, "name.exists(use = 'old')", F), (P, "photo.empty()", T),
    (P, "name.empty()", F), (P, "active.not()", F), (P, "photo.not()", NONE), (P, "id.not()", F), (P, "name.all(given.exists())", T),
    (P, "name.all(family.exists())", F), (P, "photo.all(false)", T), (P, "name.all(period.start > '1999')", F), (P, "name.family.count()", [2]),
    (P, "name.select(family.exists()).allTrue()", F), (P, "name.select(family.exists()).anyTrue()", T), (P, "name.select(family.exists()).allFalse()", F),
    (P, "name.select(family.exists()).anyFalse()", T), (P, "photo.allTrue()", T), (P, "name.given.isDistinct()", F), (P, "name.given.distinct()", ["Mia", "Roos", "Mimi"]),
    (P, "name.use.isDistinct()", T), (P, "name[2].given.subsetOf(name[0].given)", T), (P, "name.given.subsetOf(name[0].given)", F),
    (P, "name.given.supersetOf(name[1].given)", T), (P, "photo.supersetOf(name)", F), (P, "name.period.isDistinct()", T),
    # filtering
    (P, "telecom.where(system = 'email').value", ["mia@example.org"]), (P, "telecom.where(rank > 1).value", ["+32 470 00 00 00"]), (P, "name.where(nothing).use", NONE),
    (P, "name.where(family).use", ["official", "maiden"]), (P, "name.select(given)", ["Mia", "Roos", "Mimi", "Mia", "Roos"]), (P, "name.select($this.use)", ["official", "usual", "maiden"]),
    (Q, "repeat(item).linkId", ["1", "2", "1.1", "1.2", "1.2.1"]), (Q, "item.repeat(item).linkId", ["1.1", "1.2", "1.2.1"]), (P, "repeat($this).count()", [1]),
    (P, "telecom.rank.aggregate($this + $total, 0)", [3]), (P, "telecom.rank.aggregate(iif($total.empty() or $this < $total, $this, $total))", [1]),
    (P, "iif(active, 'yes', 'no')", ["yes"]), (P, "iif(photo.exists(), 'yes', 'no')", ["no"]), (P, "iif(photo, 'yes')", NONE), (P, "name.iif(empty(), true, count())", [3]),
    (P, "name.trace('n', given).use[0]", ["official"]),
    # types
    (OB, "value is Quantity", T), (OB, "value.is(Period)", F), (OB, "value.as(Quantity).unit", ["kg"]), (OB, "(value as string)", NONE), (OB, "component.value.ofType(integer)", [3]),
    (OB, "component.value.ofType(FHIR.string)", ["x"]), (OB, "component.value as string", ["x"]), (OB, "component.value.ofType(Integer)", [3]), (OB, "value is System.Quantity", F),
    (P, "$this is Patient", T), (P, "$this is DomainResource", T), (P, "$this is Resource", T), (P, "$this is Observation", F), (P, "contained.ofType(Organization).name", ["Buurthuis"]),
    (P, "contained.as(Practitioner).id", ["d1"]), (P, "deceased is boolean", T), (P, "deceased is Boolean", T), (P, "deceased is System.Boolean", F), (P, "birthDate is date", T),
    (P, "name.first() is HumanName", T), (P, "name.first() is Address", F), (P, "name.first() is Element", T), (P, "telecom.first() is ContactPoint", T), (P, "extension.first() is Extension", T),
    (P, "meta is Meta", T), (P, "active is boolean", T), (P, "telecom.rank.first() is positiveInt", T), (P, "telecom.rank.first() is string", F), (OB, "valueQuantity.value is decimal", T),
    (OB, "issued is instant", T), (OB, "effective is dateTime", T), (P, "extension.value is CodeableConcept", T), (P, "extension.value is Quantity", F),
    # subsetting and combining
    (P, "name.given.first()", ["Mia"]), (P, "name.given.last()", ["Roos"]), (P, "name.given.tail()", ["Roos", "Mimi", "Mia", "Roos"]), (P, "name.given.skip(3)", ["Mia", "Roos"]),
    (P, "name.given.take(2)", ["Mia", "Roos"]), (P, "name.given.take(0)", NONE), (P, "name.given.skip(-1).count()", [5]), (P, "name.given.take(-1)", NONE), (P, "gender.single()", ["female"]),
    (P, "photo.single()", NONE), (P, "photo.first()", NONE), (P, "name[0].given.intersect(name.given)", ["Mia", "Roos"]), (P, "name.given.exclude('Mia' | 'Roos')", ["Mimi"]),
    (P, "name.given.exclude('Mimi')", ["Mia", "Roos", "Mia", "Roos"]), (P, "name.family.union(name.given)", ["Jansen", "Peeters", "Mia", "Roos", "Mimi"]),
    (P, "name.family.combine(name.family)", ["Jansen", "Peeters", "Jansen", "Peeters"]), (P, "name.select(use.union(given.first()))", ["official", "Mia", "usual", "Mimi", "maiden", "Mia"]),
    # conversion
    (P, "'12'.toInteger()", [12]), (P, "'1.5'.toInteger()", NONE), (P, "true.toInteger()", [1]), (P, "'2147483648'.toInteger()", NONE), (P, "'1.50'.toDecimal()", [Decimal("1.50")]),
    (P, "3.toDecimal()", [Decimal(3)]), (P, "'x'.toDecimal()", NONE), (P, "1.50.toString()", ["1.50"]), (P, "active.toString()", ["true"]), (P, "birthDate.toString()", ["1974-12-25"]),
    (P, "(2 weeks).toString()", ["2 week"]), (P, "(2 'mg').toString()", ["2 'mg'"]), (P, "'Yes'.toBoolean()", T), (P, "0.toBoolean()", F), (P, "1.0.toBoolean()", T), (P, "2.toBoolean()", NONE),
    (P, "'maybe'.toBoolean()", NONE), (P, "'12'.convertsToInteger()", T), (P, "'a'.convertsToInteger()", F), (P, "'1.2'.convertsToDecimal()", T), (P, "name[0].convertsToString()", F),
    (P, "'f'.convertsToBoolean()", T), (P, "{}.convertsToInteger()", NONE), (P, "'2026-01-02T10:00:00Z'.toDate()", ["2026-01-02"]), (P, "'2026-01'.toDateTime()", ["2026-01"]),
    (P, "'14:30'.toTime()", ["14:30"]), (P, "'x'.convertsToDate()", F), (P, "'2026-02-30'.convertsToDateTime()", F), (P, "'4 days'.convertsToQuantity()", T), (P, "'4 bananas'.convertsToQuantity()", F),
    (P, "'14:30'.convertsToTime()", T), (P, "5.toQuantity() = 5 '1'", T), (P, "'4 \\'mg\\''.toQuantity() = 4 'mg'", T), (P, "'1.0E3'.toDecimal()", NONE),
    # strings
    (P, "gender.indexOf('male')", [2]), (P, "gender.indexOf('x')", [-1]), (P, "gender.indexOf({})", NONE), (P, "gender.substring(2)", ["male"]), (P, "gender.substring(0, 2)", ["fe"]),
    (P, "gender.substring(9)", NONE), (P, "gender.substring(-1)", NONE), (P, "gender.substring(2, 99)", ["male"]), (P, "gender.startsWith('fe')", T), (P, "gender.endsWith('fe')", F), (P, "gender.contains('mal')", T),
    (P, "gender.startsWith('')", T), (P, "gender.upper()", ["FEMALE"]), (P, "'ABC'.lower()", ["abc"]), (P, "gender.length()", [6]), (P, "'abcab'.replace('ab', 'x')", ["xcx"]), (P, "'ab'.replace('', '-')", ["-a-b-"]),
    (P, "'ab'.toChars()", ["a", "b"]), (P, "'abc'.matches('b')", T), (P, "'abc'.matches('^b$')", F), (P, "'a\\nb'.matches('a.b')", T), (P, "gender.matches({})", NONE),
    (P, "'a1b22'.replaceMatches('[0-9]+', '#')", ["a#b#"]), (P, "'jan-piet'.replaceMatches('([a-z]+)-([a-z]+)', '$2 $1')", ["piet jan"]), (P, "photo.startsWith('a')", NONE),
    (P, "name.given.where(substring($this.length() - 2) = 'os')", ["Roos", "Roos"]), (P, "gender.matches('^' & gender & '$')", T),
    (P, "'abc'.replaceMatches('', 'x')", ["abc"]), (P, "'12345'.substring(2, 1)", ["3"]), (P, "{}.endsWith('')", NONE),
    # navigation
    (P, "name[0].children().count()", [5]), (P, "telecom.children().where($this is string).count()", [4]), (Q, "descendants().linkId.count()", [5]), (Q, "descendants().where(type = 'boolean').linkId", ["1.2.1"]),
    (P, "birthDate.children().count()", [2]), (P, "gender.children()", NONE), (OB, "descendants().where(code = 'w').system", ["http://x.example"]),
    # FHIR
    (P, "birthDate.extension('http://x.example/time').value", ["1974-12-25T14:35:45-05:00"]), (P, "extension('http://x.example/religion').value.text", ["none"]), (P, "extension('http://x.example/other')", NONE),
    (P, "birthDate.hasValue()", T), (P, "address.line[1].hasValue()", F), (P, "name.hasValue()", F), (P, "photo.hasValue()", F), (P, "birthDate.getValue()", ["1974-12-25"]), (P, "name[0].getValue()", NONE),
    (P, "address.line[1].extension.value", ["unknown"]), (P, "managingOrganization.resolve().name", ["Buurthuis"]), (P, "generalPractitioner.where(resolve() is Practitioner).reference", ["#d1"]),
    (P, "generalPractitioner.where(resolve() is Practitioner).count()", [2]), (P, "generalPractitioner.where(resolve() is Organization).reference", ["Organization/7"]),
    (P, "generalPractitioner.where(resolve() is PractitionerRole).count()", [1]), (OB, "subject.where(resolve() is Patient).reference", ["Patient/p1"]), (OB, "subject.resolve().id", ["p1"]),
    (P, "generalPractitioner.resolve().count()", [4]), (P, "today() > birthDate", T), (P, "now() > birthDate", T), (P, "birthDate + 18 years < today()", T),
    (P, "birthDate < @1974-12-26", T), (P, "birthDate = @1974-12-25", T), (P, "birthDate > @1974", NONE), (P, "name[0].period.start > name[2].period.start", T),
    (OB, "issued > effective", T), (OB, "effective = @2026-03-01T09:30:00Z", T), (OB, "value > 70 'kg'", T), (OB, "value > 70 'g'", NONE), (OB, "value = 72.5 'kg'", T),
    (OB, "value >= referenceRange.low and value <= referenceRange.high", T), (OB, "value ~ 72.5 'kg'", T), (OB, "value = value", T), (OB, "code = component.first().code", F),
]  # fmt: skip


@pytest.mark.parametrize(("name", "expression", "expected"), ROWS, ids=[row[1] for row in ROWS])
def test_an_expression_yields(resources: dict[str, Any], name: str, expression: str, expected: list[Any]) -> None:
    assert compile_expression(expression).evaluate(resources[name]) == expected
