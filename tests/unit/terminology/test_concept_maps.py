"""Translation: what a map says, both ways, and what it says of codes that it leaves out."""

from typing import Any

import pytest

from fhir_server.terminology.concept_maps import MapIndex
from fhir_server.terminology.service import TerminologyService


def concept_map(url: str, unmapped: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    element = [
        {"code": "a", "target": [{"code": "x", "equivalence": "wider"}, {"code": "y", "equivalence": "unmatched"}]},
        {
            "code": "b",
            "target": [{"code": "x", "equivalence": "equal", "dependsOn": [{"property": "p", "value": "v"}]}],
        },
        {"display": "an element without a code"},
    ]
    group = {"source": "s", "target": "t", "element": element, **({"unmapped": unmapped} if unmapped else {})}
    return {"resourceType": "ConceptMap", "url": url, "group": [group], **more}


def service(*maps: dict[str, Any]) -> TerminologyService:
    return TerminologyService((), (), maps)


def found(asked: TerminologyService, code: str, **more: Any) -> list[tuple[str, str]]:
    return [(match.equivalence, match.code) for match in asked.translate("s", code, **more)]


def test_a_map_reads_forwards_and_backwards() -> None:
    asked = service(concept_map("m"))
    assert found(asked, "a") == [("wider", "x"), ("unmatched", "y")]
    back = asked.translate("t", "x", reverse=True)
    assert [(match.equivalence, match.system, match.code, match.map) for match in back] == [("narrower", "s", "a", "m")]
    assert asked.translate("t", "y", reverse=True) == ()


def test_a_mapping_that_depends_on_something_else_is_left_out() -> None:
    assert found(service(concept_map("m")), "b") == []


@pytest.mark.parametrize(
    ("unmapped", "expected"),
    [
        (None, []),
        ({"mode": "provided"}, [("equal", "z")]),
        ({"mode": "fixed", "code": "other"}, [("inexact", "other")]),
        ({"mode": "other-map", "url": "next"}, [("inexact", "far")]),
        ({"mode": "other-map", "url": "nowhere"}, []),
        ({"mode": "other-map", "url": "m"}, []),
    ],
)
def test_a_map_says_what_becomes_of_codes_that_it_leaves_out(
    unmapped: dict[str, Any] | None, expected: list[tuple[str, str]]
) -> None:
    asked = service(concept_map("m", unmapped), concept_map("next", {"mode": "fixed", "code": "far"}))
    assert found(asked, "z", concept_map="m") == expected
    assert asked.translate("s", "b", concept_map="m") == ()


def test_maps_are_chosen_by_where_they_lead() -> None:
    canonical = concept_map("m", sourceCanonical="from|1", targetCanonical="to|2")
    asked = service(canonical, concept_map("n"))
    choices: list[dict[str, Any]] = [
        {"target": "to"},
        {"target": "to|2"},
        {"source": "from"},
        {"source": "from", "target": "t"},
    ]
    for more in choices:
        assert {match.map for match in asked.translate("s", "a", **more)} == {"m"}
    assert {match.map for match in asked.translate("s", "a", target="t", source="s")} == {"m", "n"}
    assert {match.map for match in asked.translate("t", "x", target="from", reverse=True)} == {"m"}
    assert asked.translate("s", "a", source="to") == ()


def test_a_map_may_be_given_instead_of_named() -> None:
    given = MapIndex(concept_map("elsewhere"))
    assert found(service(), "a", concept_map=given) == [("wider", "x"), ("unmatched", "y")]
