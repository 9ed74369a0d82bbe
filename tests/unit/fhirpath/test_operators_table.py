"""Literals and operators: expression → values, no resource needed (FHIRPath N1, section 6)."""

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.fhirpath import FhirPathError, compile_expression

T, F, NONE = [True], [False], []

ROWS: list[tuple[str, list[Any]]] = [
    # literals
    ("'a'", ["a"]), ("''", [""]), (r"'it\'s'", ["it's"]), (r"'\u0041\n\t\\\/\"\`'", ['A\n\t\\/"`']), ("12", [12]),
    ("1.50", [Decimal("1.50")]), ("true", T), ("false", F), ("{}", NONE), ("@2026", ["2026"]), ("@2026-01-02", ["2026-01-02"]),
    ("@2026T", ["2026"]), ("@2026-01-02T10:30:00.5Z", ["2026-01-02T10:30:00.5Z"]), ("@T14:30", ["14:30"]),
    ("4 'mg'", [{"value": Decimal(4), "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}]),
    ("2 weeks", [{"value": Decimal(2), "unit": "week"}]), ("%ucum", ["http://unitsofmeasure.org"]),
    ("%sct", ["http://snomed.info/sct"]), ("%loinc", ["http://loinc.org"]),
    ("%vs-administrative-gender", ["http://hl7.org/fhir/ValueSet/administrative-gender"]),
    ("%`ext-patient-birthTime`", ["http://hl7.org/fhir/StructureDefinition/patient-birthTime"]),
    # comments
    ("2 + 2 // + 5", [4]), ("/* a */ 2 /* b */ + 3", [5]), ("2 // x\n / 2", [Decimal(1)]),
    # equality
    ("1 = 1", T), ("1 = 1.0", T), ("1 = 2", F), ("'a' = 'A'", F), ("true = 1", F), ("{} = {}", NONE), ("1 = {}", NONE),
    ("(1 | 2) = (1 | 2)", T), ("(1 | 2) = (2 | 1)", F), ("(1 | 2) = 1", F), ("1 != 2", T), ("1 != {}", NONE),
    ("@2026-01-01 = @2026-01-01", T), ("@2026-01-01 = @2026-01", NONE), ("@2026-01-01 = @2025-12", F),
    ("@2026-01-01T10:00:00Z = @2026-01-01T11:00:00+01:00", T), ("@2026-01-01T23:30:00-02:00 = @2026-01-02T01:30:00Z", T),
    ("@2026-01-01T10:00:00.0Z = @2026-01-01T10:00:00Z", T), ("@2026-01-01T10:00Z = @2026-01-01T10:00:00Z", NONE),
    ("@T10:00 = @2026-01-01", F), ("1 'mg' = 1.0 'mg'", T), ("1 'mg' = 1 'g'", NONE), ("1 day = 1 'd'", T),
    # equivalence
    ("'a  b' ~ 'A B'", T), ("1.10 ~ 1.1", T), ("1.12 ~ 1.1", T), ("1.2 ~ 1.1", F), ("{} ~ {}", T), ("1 ~ {}", F),
    ("(1 | 2) ~ (2 | 1)", T), ("(1 | 2) ~ (2 | 3)", F), ("@2026-01 ~ @2026-01-01", F), ("'a' !~ 'b'", T), ("1 'd' ~ 1 day", T),
    # order
    ("1 < 2", T), ("2 <= 1", F), ("2 > 1.5", T), ("2 >= 2.0", T), ("'a' < 'b'", T), ("{} < 1", NONE),
    ("@2026-01-01 < @2026-01-02", T), ("@2026-01 < @2026-01-02", NONE), ("@2025-12 < @2026-01-02", T), ("@T10:00 < @T10:01", T),
    ("@2026-01-01T10:00:00Z > @2026-01-01T10:30:00+01:00", T), ("1 'kg' < 2 'kg'", T), ("1 'kg' < 2 'm'", NONE),
    ("'2026-01-01' < '2026-02'", T), ("'2026-01-01T00:00:00Z' < '2026-01-01T00:30:00+01:00'", F),
    # three-valued logic
    ("true and true", T), ("true and false", F), ("true and {}", NONE), ("false and {}", F), ("{} and false", F), ("{} and {}", NONE),
    ("true or false", T), ("false or false", F), ("{} or true", T), ("{} or false", NONE), ("true xor true", F), ("true xor false", T),
    ("true xor {}", NONE), ("true implies false", F), ("true implies {}", NONE), ("false implies false", T), ("{} implies true", T),
    ("{} implies false", NONE), ("true implies true", T), ("'text' and true", T),
    # membership and union
    ("1 in (1 | 2)", T), ("3 in (1 | 2)", F), ("{} in (1 | 2)", NONE), ("1 in {}", F), ("(1 | 2) contains 2", T), ("{} contains 1", F),
    ("(1 | 2) contains {}", NONE), ("1 | 2 | 1 | 2.0", [1, 2]), ("({} | {}).empty()", T),
    # arithmetic
    ("1 + 2", [3]), ("1 + 2.5", [Decimal("3.5")]), ("'a' + 'b'", ["ab"]), ("'a' + {}", NONE), ("'a' & {} & 'b'", ["ab"]), ("5 - 7", [-2]),
    ("3 * 4", [12]), ("7 / 2", [Decimal("3.5")]), ("7 / 0", NONE), ("7 div 2", [3]), ("-7 div 2", [-3]), ("7 mod 2", [1]), ("7 mod 0", NONE),
    ("5.5 mod 2", [Decimal("1.5")]), ("-(2 + 3)", [-5]), ("+4", [4]), ("2 + 3 * 4", [14]), ("(2 + 3) * 4", [20]), ("10 - 2 - 3", [5]),
    ("9223372036854775807 + 1", NONE),
    # durations
    ("@2026-01-31 + 1 month", ["2026-02-28"]), ("@2024-02-29 + 1 year", ["2025-02-28"]), ("@2026-03-01 - 1 day", ["2026-02-28"]),
    ("@2026-01 + 2 months", ["2026-03"]), ("@2026 + 24 months", ["2028"]), ("@2026-01-01T23:30:00Z + 45 minutes", ["2026-01-02T00:15:00Z"]),
    ("@2026-01-01T00:00:10.5+01:00 - 11 seconds", ["2025-12-31T23:59:59.5+01:00"]), ("@T23:30 + 2 hours", ["01:30"]),
    ("@2026-01-01 + 1 'wk'", ["2026-01-08"]), ("@2026-01-01 + 25 hours", ["2026-01-02"]), ("1 day + 2 days = 3 days", T),
    ("2 * 3 'mg' = 6 'mg'", T),
    # precedence
    ("1 < 2 and 3 < 4", T), ("1 + 1 = 2", T), ("true or false and false", T), ("'a' | 'b' contains 'b'", T), ("1 is Integer", T),
    ("1 | 2 = 1 | 2", T), ("2 > 1 = true", T), ("false implies true and false", T), ("-1 + 2", [1]), ("1 + 2 is Integer", T),
    # types
    ("'a' is String", T), ("1.0 is System.Decimal", T), ("1 is Decimal", F), ("true is Boolean", T), ("@2026 is Date", T),
    ("@2026T is DateTime", T), ("@T10 is Time", T), ("1 'mg' is Quantity", T), ("(1 | 'a').ofType(String)", ["a"]), ("1 as Integer", [1]),
    ("'a' as Integer", NONE), ("{} is String", NONE), ("(1 | 2.0 | 'x').ofType(System.Integer)", [1]),
]  # fmt: skip

ERRORS: list[tuple[str, str]] = [
    ("", "expected"), ("1 +", "expected"), ("(1", "')'"), ("1)", "expected"), ("a b", "expected"), ("a..b", "expected"),
    ("'open", "begins no token"), ("/* open", "begins no token"), ("a.#", "begins no token"), (r"'\d'", "Double the backslash"),
    ("@2026-13", "not a date"), ("@2026-02-30", "not a date"), ("{1}", "'}'"), ("nope()", "no function nope"), ("name.exsits()", "exists()"),
    ("where()", "takes 1 argument"), ("count(1)", "takes 0 argument"), ("substring(1, 2, 3)", "1 to 2"), ("iif(true)", "2 to 3"),
    ("1 is Nope", "no type 'Nope'"), ("ofType('x')", "name of a type"), ("ofType(fhir.Patient)", "no type"), ("patient.Name", "ofType(Name)"),
    ("Pateint.name", "no type 'Pateint'"), ("memberOf('x')", "terminology"), ("conformsTo('x')", "validator"), ("htmlChecks()", "validator"),
    ("$that", "begins no token"), ("and", "expected"), ("a[1", "']'"), ("x is", "name of a type"), ("exists(", "expected"), ("(" * 61 + "1" + ")" * 61, "nests deeper"),
    ("-" * 61 + "1", "nests deeper"), ("a" + ".a" * 201, "more than 200 links"), ("1" + "+1" * 201, "more than 200 links"), ("a" * 20_001, "20000"),
]  # fmt: skip

RUNTIME_ERRORS: list[tuple[str, str]] = [
    ("(1 | 2) + 1", "takes one item"), ("1 + 'a'", "does not take"), ("true + 1", "does not take"), ("'a' & 1", "toString"), ("1 < 'a'", "cannot order"),
    ("true < false", "cannot order"), ("@T10:00 < @2026", "cannot order"), ("-'a'", "takes a number"), ("+'a'", "takes a number"), ("(1 | 2) and true", "takes one item"),
    ("(1 | 2).single()", "takes one item"), ("(1 | 2).not()", "takes one item"), ("%unset", "%unset is not set"), ("-1.toString()", "takes a number"),
    ("@2026 + 1 'mg'", "no duration"), ("@T10:00 + 1 day", "no duration"), ("@9999-12-31 + 1 day", "1 to 9999"), ("'a'.skip('b')", "takes an integer"),
    ("(1 | 2).allTrue()", "booleans"), ("true.length()", "toString"), ("{}.iif((1 | 2), 1)", "takes one item"), ("'a'[true]", "takes an integer"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_an_operator_yields(expression: str, expected: list[Any]) -> None:
    found = compile_expression(expression).evaluate({"resourceType": "Patient"})
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


@pytest.mark.parametrize(("expression", "problem"), ERRORS, ids=[row[0][:30] for row in ERRORS])
def test_a_wrong_expression_fails_when_it_is_compiled(expression: str, problem: str) -> None:
    with pytest.raises(FhirPathError) as caught:
        compile_expression(expression)
    assert problem in str(caught.value)
    assert caught.value.issues[0].key == "fhirpath"


@pytest.mark.parametrize(("expression", "problem"), RUNTIME_ERRORS, ids=[row[0] for row in RUNTIME_ERRORS])
def test_a_wrong_input_fails_when_it_is_evaluated(expression: str, problem: str) -> None:
    compiled = compile_expression(expression)
    with pytest.raises(FhirPathError) as caught:
        compiled.evaluate({"resourceType": "Patient"})
    assert problem in str(caught.value)
    assert expression in str(caught.value)
