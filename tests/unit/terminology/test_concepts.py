"""The index of a code system."""

from fhir_server.terminology.concepts import CodeSystemIndex, fold

SYSTEM = {
    "resourceType": "CodeSystem",
    "url": "http://example.org/cs",
    "version": "2",
    "language": "en",
    "content": "complete",
    "concept": [
        {
            "code": "help",
            "display": "Help",
            "property": [{"code": "notSelectable", "valueBoolean": True}],
            "concept": [
                {
                    "code": "debt",
                    "display": "Debt help",
                    "designation": [
                        {"language": "nl", "value": "Schuldhulp"},
                        {"language": "nl-NL", "value": "Schuldenhulp"},
                    ],
                    "concept": [{"code": "mediation", "display": "Médiation"}],
                }
            ],
        },
        {"code": "money", "display": "Money", "property": [{"code": "child", "valueCode": "debt"}]},
        {"code": "old", "display": "Old", "property": [{"code": "inactive", "valueBoolean": True}]},
        {"code": "far", "display": "Far", "property": [{"code": "parent", "valueCode": "old"}]},
    ],
}
INDEX = CodeSystemIndex(SYSTEM)


def test_every_concept_is_found_at_any_depth_in_order() -> None:
    assert [concept.code for concept in INDEX] == ["help", "debt", "mediation", "money", "old", "far"]
    assert [concept.position for concept in INDEX] == list(range(6))
    assert INDEX.get("nothing") is None
    assert INDEX.complete


def test_hierarchy_comes_from_nesting_and_from_both_properties() -> None:
    assert INDEX.ancestors("mediation") == {"debt", "help", "money"}
    assert INDEX.descendants("help") == {"debt", "mediation"}
    assert INDEX.descendants("money") == {"debt", "mediation"}
    assert INDEX.children("old") == ("far",)
    assert INDEX.ancestors("help") == frozenset()


def test_a_circle_of_parents_ends() -> None:
    circle = [
        {"code": one, "property": [{"code": "parent", "valueCode": other}]} for one, other in (("a", "b"), ("b", "a"))
    ]
    index = CodeSystemIndex({"url": "u", "content": "complete", "concept": circle})
    assert index.ancestors("a") == {"b"}


def test_a_display_falls_back_from_region_to_language_to_base() -> None:
    debt = INDEX.get("debt")
    assert debt is not None
    assert debt.text("nl-NL") == "Schuldenhulp"
    assert debt.text("nl-BE") == "Schuldhulp"
    assert debt.text("de") == "Debt help"
    assert debt.text("de, nl;q=0.5") == "Schuldhulp"
    assert debt.text("en-GB,nl") == "Debt help"
    assert debt.text("") == "Debt help"


def test_properties_tell_abstract_and_inactive() -> None:
    marks = {concept.code: (concept.abstract, concept.inactive) for concept in INDEX}
    assert marks["help"] == (True, False)
    assert marks["old"] == (False, True)
    assert marks["debt"] == (False, False)


def test_case_counts_unless_the_code_system_says_otherwise() -> None:
    assert INDEX.get("DEBT") is None
    loose = CodeSystemIndex({**SYSTEM, "caseSensitive": False})
    found = loose.get("DEBT")
    assert found is not None
    assert found.code == "debt"


def test_a_filter_sees_neither_case_nor_accents() -> None:
    mediation = INDEX.get("mediation")
    assert mediation is not None
    assert mediation.matches(fold("MEDIAT"))
    debt = INDEX.get("debt")
    assert debt is not None
    assert debt.matches(fold("help debt"))
    assert debt.matches(fold("schuld"))
    assert not debt.matches(fold("schuld help"))
