"""Whatever a body or a profile holds, the judgement ends soon, with a clear outcome and without much memory."""

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fhir_server.artifacts.catalog import Catalog
from fhir_server.model.codec import decode_resource, encode
from fhir_server.terminology.service import TerminologyService
from fhir_server.validation.differential import UnenforceableConstruct
from fhir_server.validation.pipeline import Validator

URL = "http://example.org/StructureDefinition/p"
HL7 = "http://hl7.org/fhir/StructureDefinition/"
OURS = Validator.load(Catalog.load())
GIVEN = [f"{letter}{number}" for letter in "abcdefghij" for number in range(60)]


def profile(expression: str, **rules: Any) -> dict[str, Any]:
    constraint = [{"key": "p-1", "severity": "error", "human": "It holds.", "expression": expression}]
    return {
        "resourceType": "StructureDefinition", "url": URL, "name": "P", "type": "Patient", "derivation": "constraint",
        "baseDefinition": f"{HL7}Patient", "kind": "resource",
        "differential": {"element": [{"id": "Patient", "path": "Patient", "constraint": constraint, **rules}]},
    }  # fmt: skip


def loaded(definition: dict[str, Any]) -> Validator:
    catalog = Catalog([definition])
    return Validator.load(catalog, TerminologyService.load(catalog))


def patient(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "meta": {"profile": [URL]}, **members}


@contextmanager
def within(seconds: float) -> Iterator[None]:
    started = time.process_time()
    yield
    assert time.process_time() - started < seconds


@pytest.mark.parametrize(
    "expression",
    [
        "descendants().all(%resource.descendants().exists($this = 'x'))",
        "name.given.aggregate($total & $total & $this, 'aaaaaaaaaa').length() > 0",
        "'a'" + ".replace('a', 'aaaaaaaaaa')" * 12 + ".length() > 0",
        "name.family.replace('', name.family.replace('', name.family)).length() > 0",
        "name.family.replaceMatches('a', name.family.replace('', name.family.replace('', name.family))).exists()",
        "name.family.replaceMatches('a', name.family.replace('', name.family)).exists()",
        "name.family.select($this & $this)" + ".select($this & $this)" * 40 + ".length() > 0",
        "name.given.all(%resource.name.given.all(%resource.name.given.all(true)))",
    ],
)
def test_an_invariant_that_would_never_end_or_explode_is_told_as_too_costly(expression: str) -> None:
    judge = loaded(profile(expression))
    tracemalloc.start()
    with within(8.0):
        (issue,) = judge.judge(patient(name=[{"family": "a" * 400, "given": GIVEN}])).issues
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (issue.key, issue.expression) == ("too-costly", "Patient")
    assert "p-1" in issue.diagnostics
    assert peak < 100 * 1024 * 1024


def test_an_invariant_that_goes_in_circles_ends() -> None:
    with within(1.0):
        assert loaded(profile("repeat(%resource).exists() and repeat($this).exists()")).judge(patient()).issues == ()


@pytest.mark.parametrize(
    ("definition", "path"),
    [
        (profile("name.family.matches('^(a+)+$')"), "Patient"),
        (profile("nothing()"), "Patient"),
        (profile("name.first("), "Patient"),
        (profile("(" * 2000 + "true" + ")" * 2000), "Patient"),
        (profile("true", contentReference="#Patient.contact"), "Patient"),
        (profile("true") | {"baseDefinition": URL}, "StructureDefinition.baseDefinition"),
    ],
    ids=["pattern", "function", "syntax", "depth", "construct", "circle"],
)
def test_a_profile_that_cannot_be_enforced_is_refused_when_it_is_loaded(definition: dict[str, Any], path: str) -> None:
    with within(1.0), pytest.raises(UnenforceableConstruct) as caught:
        loaded(definition)
    assert (caught.value.profile, caught.value.path) == (URL, path)
    assert len(str(caught.value)) < 10_000


CLAIM = {"profile": ["https://w3id.org/social-referral/StructureDefinition/referral-patient"]}
BOMBS: list[tuple[str, dict[str, Any], str]] = [
    ("extensions", {"extension": [{"url": f"u:{n}", "valueString": "x"} for n in range(20_000)]}, ""),
    ("wrong extensions", {"extension": [{"url": f"x{n}", "value": 1} for n in range(20_000)]}, "too-many-problems"),
    ("names", {"name": [{"family": "x" * 100, "given": ["y" * 50] * 10} for _ in range(5_000)]}, ""),
    ("string", {"name": [{"family": "x" * 5_000_000}]}, "string-too-long"),
    ("references", {"generalPractitioner": [{"reference": f"#p{n}"} for n in range(20_000)]}, "too-many-problems"),
    ("misspelt", {f"nam{n}": 1 for n in range(20_000)}, "too-many-problems"),
    ("contained", {"contained": [{"resourceType": "Patient", "id": f"p{n}"} for n in range(5_000)]}, "dom-3"),
]


@pytest.mark.parametrize(("content", "key"), [bomb[1:] for bomb in BOMBS], ids=[bomb[0] for bomb in BOMBS])
def test_a_body_of_megabytes_is_judged_in_bounded_time_and_words(content: dict[str, Any], key: str) -> None:
    raw = encode({"resourceType": "Patient", "meta": CLAIM, "address": [{"postalCode": "1800"}], **content})
    with within(4.0):
        found = OURS.report(decode_resource(raw))
    assert len(found) <= 501
    assert (key in [issue.key for issue in found]) == bool(key)
    assert sum(len(issue.diagnostics) for issue in found) < 400_000
