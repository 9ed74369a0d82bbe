"""Membership and expansion of value sets: composition, filters, nesting, and what cannot be told."""

from typing import Any

import pytest

from fhir_server.model.errors import NotSupported, TooCostly
from fhir_server.terminology.concepts import CodeSystemIndex
from fhir_server.terminology.membership import Membership
from fhir_server.terminology.value_sets import index

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


def test_a_value_set_may_leave_out_inactive_codes() -> None:
    old = {"code": "old", "property": [{"code": "inactive", "valueBoolean": True}]}
    systems = {"s": CodeSystemIndex({"url": "s", "content": "complete", "concept": [{"code": "new"}, old]})}
    asked = Membership(
        systems,
        {
            "all": index({"url": "all", "compose": {"include": [{"system": "s"}]}}),
            "some": index({"url": "some", "compose": {"inactive": False, "include": [{"system": "s"}]}}),
        },
    )
    assert codes(asked, "all") == ["new", "old"]
    assert codes(asked, "some") == ["new"]
    assert asked.contains("all", "s", "old") is True
    assert asked.contains("some", "s", "old") is False


def test_one_without_a_definition_is_as_its_expansion_lists_it() -> None:
    inner = {"system": CS, "code": "b", "display": "Bee"}
    stored = {
        "url": "vs",
        "expansion": {"contains": [{"system": CS, "code": "a", "abstract": True, "contains": [inner]}]},
    }
    asked = Membership(SYSTEMS, {"vs": index(stored)})
    assert codes(asked) == ["b"]
    assert asked.contains("vs", CS, "b") is True
    assert asked.contains("vs", CS, "a") is False


def test_a_version_is_part_of_what_a_value_set_asks() -> None:
    systems = {f"{CS}|1": SYSTEMS[CS]}
    named = {"include": [{"system": CS, "version": "1"}]}
    other = {"include": [{"system": CS, "version": "2"}]}
    asked = Membership(systems, {n: index({"url": n, "compose": c}) for n, c in (("one", named), ("two", other))})
    assert asked.contains("one", CS, "a") is True
    assert [member.system for member in asked.members("one")] == [CS] * 4
    assert asked.contains("two", CS, "a") is None


def test_value_sets_that_multiply_are_asked_once_each() -> None:
    layers: dict[str, Any] = {"l0": {"include": [{"system": CS}]}}
    for depth in range(1, 25):
        layers[f"l{depth}"] = {"include": [{"valueSet": [f"l{depth - 1}"]}, {"valueSet": [f"l{depth - 1}"]}]}
    asked = membership(**layers)
    assert asked.contains("l24", CS, "c") is True
    assert codes(asked, "l24") == ["a", "b", "c", "d"]


def test_a_chain_of_value_sets_without_end_cannot_be_told() -> None:
    chain = {f"c{n}": {"include": [{"valueSet": [f"c{n + 1}"]}]} for n in range(2000)}
    asked = membership(**chain)
    assert asked.contains("c0", CS, "a") is None
    with pytest.raises(NotSupported):
        codes(asked, "c0")


def test_a_listing_that_looks_at_too_many_codes_is_refused() -> None:
    systems = {
        CS: CodeSystemIndex({"url": CS, "content": "complete", "concept": [{"code": str(n)} for n in range(2000)]})
    }
    rule = {"property": "code", "op": "=", "value": "none"}
    wide = index({"url": "vs", "compose": {"include": [{"system": CS, "filter": [rule]}] * 1001}})
    with pytest.raises(TooCostly):
        Membership(systems, {}).members(wide)
