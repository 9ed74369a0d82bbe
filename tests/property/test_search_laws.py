"""Laws that hold for any text and any resource, not only for those someone thought of."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.model.errors import FhirError
from fhir_server.model.temporal import _at_any_precision, parse_temporal
from fhir_server.search.escaping import escape, split, unescape
from fhir_server.search.extract import Extractor
from fhir_server.search.match import Alone, matches
from fhir_server.search.page import CursorCodec
from fhir_server.search.parameters import Registry
from fhir_server.search.parse import parse_search
from fhir_server.search.query import Not
from fhir_server.search.text import normalise, phonetic
from fhir_server.search.values import (
    DateEntry,
    NumberEntry,
    ReferenceEntry,
    StringEntry,
    TextEntry,
    TokenEntry,
    UriEntry,
)

REGISTRY = Registry.load()
EXTRACTOR = Extractor(REGISTRY)
TYPES = (
    "Task",
    "Patient",
    "Observation",
    "ServiceRequest",
    "Location",
    "RiskAssessment",
    "ValueSet",
    "Bundle",
    "Group",
)
MEMBERS = (
    "resourceType", "id", "meta", "name", "family", "given", "text", "telecom", "system", "value", "code", "coding", "display",
    "identifier", "type", "reference", "subject", "for", "owner", "start", "end", "effectivePeriod", "effectiveDateTime",
    "valueQuantity", "component", "prediction", "probabilityRange", "low", "high", "position", "latitude", "longitude", "url",
    "entry", "resource", "characteristic", "valueCodeableConcept", "repeat", "event", "effectiveTiming", "deceasedBoolean",
    "contained", "instantiatesCanonical", "profile",
)  # fmt: skip

json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.decimals(),
        st.text(max_size=12),
        st.sampled_from(
            (
                "Patient/1",
                "2026",
                "2026-02-30",
                "http://x|1",
                "#a",
                "#b",
                "a",
                "b",
                "urn:x",
                "Task",
                "Patient",
                "|",
                "a,b",
                "Van Den B",
            )
        ),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=6)),
    max_leaves=25,
)
resources = st.builds(
    lambda kind, members: {**members, "resourceType": kind},
    st.sampled_from(TYPES),
    st.dictionaries(st.sampled_from(MEMBERS), json_values, max_size=10),
)


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)
    assert normalise(text.upper()) == normalise(normalise(text.upper()))
    assert isinstance(phonetic(text), str)


@given(st.lists(st.text(), min_size=1, max_size=4), st.sampled_from(",|$"))
def test_escaped_values_come_back_from_any_list(values: list[str], separator: str) -> None:
    assert [unescape(part) for part in split(separator.join(map(escape, values)), separator)] == values


@given(
    st.from_regex(
        r"\d{4}-[01]\d-[0-3]\d(T[0-2]\d:[0-6]\d:[0-6]\d(\.\d{1,3})?(Z|[+-][01]\d:[0-6]\d)?)?",
        fullmatch=True,
        alphabet=st.characters(codec="ascii"),
    )
)
def test_the_quick_reading_of_a_date_is_the_reading(text: str) -> None:
    try:
        expected = tuple(_at_any_precision(text))
    except ValueError:
        expected = None
    try:
        found = tuple(parse_temporal(text))
    except ValueError:
        found = None
    assert found == expected


@given(resources)
def test_extraction_takes_anything_and_gives_clean_entries_once(resource: dict[str, Any]) -> None:
    entries = EXTRACTOR.extract(resource)
    assert len(set(entries)) == len(entries)
    known = REGISTRY.of(resource["resourceType"])
    for entry in entries:
        code, beside, _ = entry.param.replace("#", ":").partition(":")
        assert code in known or isinstance(entry, TextEntry)
        assert not beside or entry.param not in known
        match entry:
            case TokenEntry():
                assert all(isinstance(value, str) for value in (entry.system or "", *entry[2:]))
            case ReferenceEntry() | StringEntry() | UriEntry():
                assert all(isinstance(value, str) for value in entry)
            case DateEntry(_, lo, hi):
                assert isinstance(lo, int)
                assert isinstance(hi, int)
            case NumberEntry(_, value):
                assert isinstance(value, float)
                assert value == value  # noqa: PLR0124  # not NaN
            case _:
                pass


def _queries() -> st.SearchStrategy[tuple[str, str, str]]:
    def of(kind: str) -> st.SearchStrategy[tuple[str, str, str]]:
        codes = sorted(REGISTRY.of(kind))
        names = st.builds(
            lambda code, modifier: code + modifier,
            st.sampled_from(
                [*codes, "_list", "_sort", "_count", "_has:Task:focus:status", "nope", "_include", "_text", "_filter"]
            ),
            st.sampled_from(
                ["", "", "", ":missing", ":not", ":exact", ":text", ":identifier", ".name", ":Patient.name", ":x"]
            ),
        )
        values = st.one_of(
            st.text(min_size=1, max_size=20),
            st.sampled_from(
                (
                    "true",
                    "2026",
                    "ge2026-01",
                    "5.4",
                    "gt5||kg",
                    "a|b",
                    "a$b",
                    "50|4|1",
                    "Patient/1",
                    "a,b",
                    "a OR (b NOT c)",
                    "name pr true",
                )
            ),
        )
        return st.tuples(st.just(kind), names, values)

    return st.sampled_from(TYPES).flatmap(of)


@given(_queries(), resources)
def test_any_query_is_answered_or_refused_and_not_is_the_opposite(
    query: tuple[str, str, str], resource: dict[str, Any]
) -> None:
    kind, name, value = query
    try:
        where = parse_search(REGISTRY, kind, [(name, value)], strict=True, now_us=0).where
    except FhirError as error:
        refusal = error.issues
    else:
        refusal = ()
    if refusal:
        assert all(issue.key and issue.diagnostics for issue in refusal)
        return
    entries = EXTRACTOR.extract({**resource, "resourceType": kind})
    found = matches(where, kind, "x", 0, entries, Alone())
    assert matches(Not(where), kind, "x", 0, entries, Alone()) is not found


contained_people = st.fixed_dictionaries(
    {"family": st.sampled_from(("van den Berg", "Peeters")), "gender": st.sampled_from(("male", "female", None))}
)


@given(
    st.lists(contained_people, min_size=1, max_size=1),
    st.sampled_from(
        ("family=berg", "family:exact=Peeters", "gender:not=male", "gender:missing=true", "gender=male,female")
    ),
)
def test_a_chain_finds_a_person_inside_as_it_finds_the_person_outside(people: list[dict[str, Any]], asked: str) -> None:
    """Whether the patient is contained or stored, the same chain holds."""
    person = people[0]
    patient = {"resourceType": "Patient", "id": "p", "name": [{"family": person["family"]}]}
    patient |= {"gender": person["gender"]} if person["gender"] else {}
    name, _, value = asked.partition("=")
    where = parse_search(REGISTRY, "ServiceRequest", [(f"patient.{name}", value)], strict=True).where
    itself = parse_search(REGISTRY, "Patient", [(name, value)], strict=True).where
    body = {"resourceType": "ServiceRequest", "subject": {"reference": "#p"}, "contained": [patient]}
    holds = matches(itself, "Patient", "p", 0, EXTRACTOR.extract(patient), Alone())
    assert matches(where, "ServiceRequest", "s", 0, EXTRACTOR.extract(body), Alone()) is holds


@given(st.text(min_size=1, max_size=15), st.sampled_from(("family", "given")))
def test_what_was_stored_is_found_by_itself(text: str, member: str) -> None:
    entries = EXTRACTOR.extract({"resourceType": "Patient", "name": [{member: [text] if member == "given" else text}]})
    for name in (member, f"{member}:exact", f"{member}:contains", "name"):
        where = parse_search(REGISTRY, "Patient", [(name, escape(text))], strict=True).where
        assert matches(where, "Patient", "x", 0, entries, Alone())


@given(
    st.binary(),
    st.lists(
        st.one_of(st.none(), st.text(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False, allow_infinity=False))
    ),
)
def test_a_cursor_keeps_any_position(fingerprint: bytes, values: list[str | int | float | None]) -> None:
    codec = CursorCodec(b"key")
    assert codec.decode(codec.encode(fingerprint, tuple(values)), fingerprint) == tuple(values)
