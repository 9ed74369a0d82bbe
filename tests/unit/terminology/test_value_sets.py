"""Membership and expansion of value sets: composition, filters, nesting, and what cannot be told."""

from typing import Any

import pytest

from fhir_server.model.errors import NotSupported
from fhir_server.terminology.concepts import CodeSystemIndex
from fhir_server.terminology.value_sets import Membership, index

CS = "http://example.org/cs"
PART = "http://example.org/part"


def concept(code: str, *below: dict[str, Any], **properties: Any) -> dict[str, Any]:
    listed = [{"code": name, "valueCode": value} for name, value in properties.items()]
    return {"code": code, **({"property": listed} if listed else {}), **({"concept": list(below)} if below else {})}


SYSTEMS = {
    CS: CodeSystemIndex(
        {
            "url": CS,
            "content": "complete",
            "concept": [concept("a", concept("b", concept("c")), kind="x"), concept("d")],
        }
    ),
    PART: CodeSystemIndex({"url": PART, "content": "fragment", "concept": [concept("p")]}),
}


def membership(**value_sets: dict[str, Any]) -> Membership:
    return Membership(SYSTEMS, {name: index({"url": name, "compose": compose}) for name, compose in value_sets.items()})


def of_filter(op: str, value: str, name: str = "concept") -> dict[str, Any]:
    return {"include": [{"system": CS, "filter": [{"property": name, "op": op, "value": value}]}]}


def codes(asked: Membership, url: str = "vs") -> list[str]:
    return [member.concept.code for member in asked.members(url)]


@pytest.mark.parametrize(
    ("compose", "expected"),
    [
        ({"include": [{"system": CS}]}, ["a", "b", "c", "d"]),
        ({"include": [{"system": CS, "concept": [{"code": "d"}, {"code": "a"}]}]}, ["d", "a"]),
        (of_filter("is-a", "b"), ["b", "c"]),
        (of_filter("descendent-of", "a"), ["b", "c"]),
        (of_filter("is-not-a", "b"), ["a", "d"]),
        (of_filter("generalizes", "b"), ["a", "b"]),
        (of_filter("=", "x", "kind"), ["a"]),
        (of_filter("in", "x,y", "kind"), ["a"]),
        (of_filter("not-in", "x,y", "kind"), ["b", "c", "d"]),
        (of_filter("exists", "true", "kind"), ["a"]),
        (of_filter("exists", "false", "kind"), ["b", "c", "d"]),
        ({"include": [{"system": CS}], "exclude": [{"system": CS, "concept": [{"code": "b"}]}]}, ["a", "c", "d"]),
        ({"include": [{"system": CS, "concept": [{"code": "d"}]}, {"system": CS}]}, ["d", "a", "b", "c"]),
    ],
)
def test_listing_and_membership_agree(compose: dict[str, Any], expected: list[str]) -> None:
    asked = membership(vs=compose)
    assert codes(asked) == expected
    assert [code for code in "abcd" if asked.contains("vs", CS, code)] == sorted(expected)
    assert asked.contains("vs", CS, "nothing") is False
    assert asked.contains("vs", "http://example.org/other", "a") is False


def test_a_component_is_narrowed_by_each_of_its_value_sets() -> None:
    asked = membership(
        left=of_filter("is-a", "a"),
        right={"include": [{"system": CS, "concept": [{"code": "c"}, {"code": "d"}]}]},
        vs={"include": [{"valueSet": ["left", "right"]}]},
        narrowed={"include": [{"system": CS, "valueSet": ["right"]}]},
        union={"include": [{"valueSet": ["left"]}, {"valueSet": ["right"]}]},
    )
    assert codes(asked) == ["c"]
    assert codes(asked, "narrowed") == ["c", "d"]
    assert codes(asked, "union") == ["a", "b", "c", "d"]
    assert asked.contains("vs", CS, "c") is True
    assert asked.contains("vs", CS, "d") is False
    assert asked.contains("union", CS, "d") is True


def test_what_is_not_loaded_cannot_be_told() -> None:
    asked = membership(
        unknown={"include": [{"system": "http://snomed.info/sct"}]},
        fragment={"include": [{"system": PART}]},
        missing={"include": [{"valueSet": ["elsewhere"]}]},
        listed={"include": [{"system": "http://snomed.info/sct", "concept": [{"code": "1"}]}]},
        either={"include": [{"system": CS}, {"system": "http://snomed.info/sct"}]},
    )
    assert asked.contains("unknown", "http://snomed.info/sct", "1") is None
    assert asked.contains("fragment", PART, "p") is True
    assert asked.contains("fragment", PART, "q") is None
    assert asked.contains("missing", CS, "a") is None
    assert asked.contains("listed", "http://snomed.info/sct", "1") is True
    assert asked.contains("listed", "http://snomed.info/sct", "2") is False
    assert asked.contains("either", CS, "a") is True
    for url in ("unknown", "fragment", "missing"):
        with pytest.raises(NotSupported):
            codes(asked, url)
    assert codes(asked, "listed") == ["1"]


def test_an_exclusion_that_cannot_be_told_leaves_doubt() -> None:
    asked = membership(vs={"include": [{"system": CS}], "exclude": [{"valueSet": ["elsewhere"]}]})
    assert asked.contains("vs", CS, "a") is None


def test_value_sets_that_contain_each_other_end() -> None:
    asked = membership(one={"include": [{"valueSet": ["two"]}]}, two={"include": [{"valueSet": ["one"]}]})
    assert asked.contains("one", CS, "a") is None
    with pytest.raises(NotSupported):
        codes(asked, "one")


def test_a_filter_that_cannot_be_evaluated_is_refused_when_it_is_loaded() -> None:
    with pytest.raises(NotSupported, match="regex"):
        membership(vs=of_filter("regex", "a+"))
    with pytest.raises(NotSupported, match="is-a"):
        membership(vs=of_filter("is-a", "a", "kind"))


def test_a_value_set_may_state_its_own_display() -> None:
    listed = {"code": "a", "display": "Alpha", "designation": [{"language": "nl", "value": "Alfa"}]}
    (member,) = membership(vs={"include": [{"system": CS, "concept": [listed]}]}).members("vs")
    assert member.concept.text("") == "Alpha"
    assert member.concept.text("nl") == "Alfa"
    assert member.concept.properties == {"kind": ("x",)}
