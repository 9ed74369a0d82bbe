"""Resources that keep a profile, changed at random: the verdict changes as it must, and every place can be found."""

from pathlib import Path
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fhir_server.artifacts.catalog import Catalog
from fhir_server.fhirpath import compile_expression
from fhir_server.model.codec import decode
from fhir_server.validation.pipeline import Validator

ROOT = Path(__file__).parents[2]
VALIDATOR = Validator.load(Catalog.load())
EXAMPLES = {path.stem: path.read_bytes() for path in sorted((ROOT / "examples/profiles").glob("*.json"))}
DEFINITIONS = {one["url"]: one for one in Catalog.load().of_type("StructureDefinition")}
ERRORS = ("error", "fatal")


def objects(element: Any) -> list[dict[str, Any]]:
    if isinstance(element, dict):
        return [element, *(found for value in element.values() for found in objects(value))]
    return [found for value in element for found in objects(value)] if isinstance(element, list) else []


def drawn(data: st.DataObject) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Draw an example, an object in it, and one of its members."""
    resource = decode(EXAMPLES[data.draw(st.sampled_from(sorted(EXAMPLES)))])
    places = [one for one in objects(resource) if one]
    owner = places[data.draw(st.integers(0, len(places) - 1))]
    return resource, owner, data.draw(st.sampled_from(sorted(owner)))


def errors(resource: dict[str, Any]) -> list[Any]:
    found = [one for one in VALIDATOR.report(resource) if one.severity in ERRORS]
    verdict = VALIDATOR.judge(resource)
    if VALIDATOR.profiles.claimed(resource):
        assert set(verdict.issues) <= set(found) | {one for one in verdict.issues if one.key == "too-many-problems"}
    for issue in found:
        assert issue.expression.startswith(str(resource.get("resourceType", "")))
        nodes = compile_expression(issue.expression).nodes(resource)
        assert nodes or issue.key in ("json-null", "empty-array", "json-type", "empty-object"), issue
    return found


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_required_element_that_is_dropped_is_missed(data: st.DataObject) -> None:
    resource = decode(EXAMPLES[data.draw(st.sampled_from(sorted(EXAMPLES)))])
    own = [DEFINITIONS[url] for url in resource["meta"]["profile"] if url in DEFINITIONS]
    required = [
        one["path"].partition(".")[2]
        for definition in own
        for one in definition["differential"]["element"]
        if one.get("min") and "sliceName" not in one and one["path"].count(".") == 1 and "[x]" not in one["path"]
    ]
    assume(required)
    name = data.draw(st.sampled_from(required))
    del resource[name]
    resource.pop(f"_{name}", None)  # an element that has only extensions is there
    assert ("cardinality-min", resource["resourceType"]) in [(one.key, one.expression) for one in errors(resource)]


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_misspelt_member_is_found(data: st.DataObject) -> None:
    resource, owner, name = drawn(data)
    assume(name not in ("resourceType", "meta", "profile"))
    owner[name + "Zz"] = owner.pop(name)
    assert "unknown-element" in {one.key for one in errors(resource)}


@given(data=st.data(), wrong=st.sampled_from([None, [], {}, "", 5.5, True, "x y", {"foo": 1}, [None], ["a"], [[1]]]))
@settings(max_examples=300, deadline=None)
def test_no_value_of_another_shape_crashes_the_judgement(data: st.DataObject, wrong: Any) -> None:
    resource, owner, name = drawn(data)
    owner[name] = wrong
    if resource.get("resourceType") is not None and isinstance(resource["resourceType"], str):
        VALIDATOR.judge(resource)
        assert isinstance(VALIDATOR.report(resource), list)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_an_item_that_is_doubled_breaks_nothing_but_what_counts_or_names(data: st.DataObject) -> None:
    resource = decode(EXAMPLES[data.draw(st.sampled_from(sorted(EXAMPLES)))])
    named = ("profile", "entry", "contained", "item")
    lists = [
        value
        for owner in objects(resource)
        for name, value in owner.items()
        if isinstance(value, list) and name not in named
    ]
    assume(lists)
    doubled = lists[data.draw(st.integers(0, len(lists) - 1))]
    doubled.append(doubled[0])
    counted = {
        "cardinality-max", "slice-max", "ssr-4", "ssn-2", "shs-2", "srb-1", "json-type", "json-null", "bdl-7", "que-2",
    }  # fmt: skip
    assert {one.key for one in errors(resource)} <= counted


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_profile_of_another_type_never_fits(data: st.DataObject) -> None:
    resource = decode(EXAMPLES[data.draw(st.sampled_from(sorted(EXAMPLES)))])
    other = data.draw(st.sampled_from(sorted(DEFINITIONS)))
    assume(DEFINITIONS[other]["type"] != resource["resourceType"])
    resource["meta"]["profile"] = [other]
    assert ("profile-mismatch", f"{resource['resourceType']}.meta.profile[0]") in [
        (one.key, one.expression) for one in errors(resource)
    ]


def test_the_examples_that_are_changed_here_keep_their_profiles() -> None:
    for name, raw in EXAMPLES.items():
        assert errors(decode(raw)) == [], name
