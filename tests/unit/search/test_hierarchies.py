"""Which references have a hierarchy, which reference is followed, and what is refused with which words."""

import pytest

from fhir_server.model.errors import FhirError
from fhir_server.search import hierarchies
from fhir_server.search import query as q
from fhir_server.search.parameters import Registry
from fhir_server.search.parse import parse_search
from fhir_server.search.query import Node
from fhir_server.search.request import Lineage, Link

REGISTRY = Registry.load()
BASE = "https://me.example.org/fhir"


def parse(query: str, *, follows: bool = True) -> tuple[Node, list[tuple[Lineage, Link, tuple[str, ...]]]]:
    """Return the condition, and what was asked to be followed; nothing is above or below anything."""
    asked: list[tuple[Lineage, Link, tuple[str, ...]]] = []

    def follow(lineage: Lineage, link: Link, starts: tuple[str, ...]) -> tuple[str, ...]:
        asked.append((lineage, link, starts))
        return starts

    kind, _, text = query.partition("?")
    name, _, value = text.partition("=")
    found = parse_search(
        REGISTRY, kind, [(name, value)], strict=True, own_base=BASE, follow=follow if follows else None
    )
    return found.where, asked


def test_each_hierarchy_is_a_reference_of_a_type_to_itself_and_nothing_else() -> None:
    assert list(hierarchies.known()) == ["CarePlan", "Encounter", "Location", "Organization"]
    for kind, codes in hierarchies.known().items():
        for code in codes:
            parameter = REGISTRY.of(kind)[code]
            assert (parameter.type, parameter.targets) == ("reference", (kind,))
            assert parameter.element_types == {"Reference"}
            assert hierarchies.followed(REGISTRY, parameter) == {kind: code}


def test_a_hierarchy_is_offered_on_every_reference_to_a_type_that_has_one_and_on_no_other() -> None:
    for kind in REGISTRY.types:
        for code, parameter in REGISTRY.of(kind).items():
            reaches = (
                set(REGISTRY.targets(parameter)) & set(hierarchies.known()) if parameter.type == "reference" else ()
            )
            wanted = set(reaches) if "Reference" in parameter.element_types else set()
            assert set(hierarchies.followed(REGISTRY, parameter)) == wanted, (kind, code)


FOLLOWED = [
    ("HealthcareService?coverage-area:below=x", "below", Link("Location", "partof"), ("Location/x",)),
    ("Location?partof:above=Location/x", "above", Link("Location", "partof"), ("Location/x",)),
    (f"Task?owner:below={BASE}/Organization/1", "below", Link("Organization", "partof"), ("Organization/1",)),
    ("Task?owner:below=1,Organization/2,1", "below", Link("Organization", "partof"), ("Organization/1", "Organization/2")),
    (
        "Encounter?location:below=https://x.org/Location/1", "below", Link("Location", "partof"),
        ("https://x.org/Location/1",),
    ),
    ("Encounter?part-of:above=e", "above", Link("Encounter", "part-of"), ("Encounter/e",)),
    ("CarePlan?replaces:below=c", "below", Link("CarePlan", "replaces"), ("CarePlan/c",)),
    ("CarePlan?based-on:below=c", "below", Link("CarePlan", "based-on"), ("CarePlan/c",)),
    ("ServiceRequest?based-on:below=c", "below", Link("CarePlan", "part-of"), ("CarePlan/c",)),
    ("Patient?general-practitioner:below=o", "below", Link("Organization", "partof"), ("Organization/o",)),
    ("Organization?_has:Task:owner:focus:below=Location/2", "below", Link("Location", "partof"), ("Location/2",)),
]  # fmt: skip


@pytest.mark.parametrize(("query", "lineage", "link", "starts"), FOLLOWED, ids=[row[0] for row in FOLLOWED])
def test_what_is_named_is_followed_by(query: str, lineage: str, link: Link, starts: tuple[str, ...]) -> None:
    assert (lineage, link, starts) in parse(query)[1]


def test_the_condition_is_one_on_each_reference_and_below_on_what_is_contained_too() -> None:
    above, _ = parse("HealthcareService?coverage-area:above=x")
    assert above == q.RefersTo("coverage-area", "Location/x")
    below, _ = parse("HealthcareService?coverage-area:below=x")
    inside = "coverage-area#Location.partof"
    assert below == q.Or(
        tuple(q.RefersTo(p, "Location/x") for p in ("coverage-area", inside, f"{inside}#Location.partof"))
    )


REFUSED = [
    ("Task?patient:below=1", "search-unsupported-modifier", ["'patient:below'", "(Patient)", "Location (by partof)"]),
    ("Procedure?part-of:below=1", "search-unsupported-modifier", ["'part-of:below'", "Procedure"]),
    ("Task?part-of:above=Task/1", "search-unsupported-modifier", ["'part-of:above'", "CarePlan (by part-of, based-on"]),
    ("CarePlan?instantiates-canonical:above=x", "search-unsupported-modifier", ["'instantiates-canonical:above'"]),
    ("Task?owner:below=Practitioner/1", "search-bad-reference", ["'owner:below'", "'Practitioner/1'", "Organization"]),
    ("Task?focus:below=1", "search-bad-reference", ["Type/id", "CarePlan, Encounter, Location, Organization"]),
    ("Account?subject:below=1", "search-bad-reference", ["Type/id", "Location, Organization"]),
    ("Location?partof:below=Location/1/_history/2", "search-bad-reference", ["without a version"]),
    ("Location?partof:below=a b", "search-bad-reference", ["Location/id"]),
    ("Location?partof:below=#a", "search-bad-reference", ["Location/id"]),
    ("Location?partof:below=urn:uuid:0", "search-bad-reference", ["Location/id"]),
    (r"Location?partof:below=a\b", "search-bad-escape", ["'partof:below'"]),
    ("Location?partof:below=" + ",".join(map(str, range(1001))), "search-limit", ["1000"]),
    ("Task?owner:Organisation=1", "search-unsupported-modifier", ["above, below"]),
]  # fmt: skip


@pytest.mark.parametrize(("query", "key", "told"), REFUSED, ids=[query[:60] for query, _, _ in REFUSED])
def test_a_refusal_names_the_parameter_and_what_is_allowed(query: str, key: str, told: list[str]) -> None:
    with pytest.raises(FhirError) as error:
        parse(query)
    (issue,) = error.value.issues
    assert issue.key == key
    assert all(text in issue.diagnostics for text in told), issue.diagnostics


def test_where_nothing_is_stored_no_hierarchy_is_followed() -> None:
    with pytest.raises(FhirError) as error:
        parse("Task?owner:below=1", follows=False)
    (issue,) = error.value.issues
    assert issue.key == "search-not-supported"
    assert "owner=Type/id,Type/id" in issue.diagnostics
