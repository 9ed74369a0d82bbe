"""A running server answers from code systems that another process loads, and no longer when they are removed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from fhir_server.cli import main
from tests.unit.terminology.release_files import rf2

SCT = "http://snomed.info/sct"
RELEASE = f"{SCT}/900000000000207008/version/20260101"
LINKS = {"100001": "", "200002": "100001", "300003": "100001", "400004": "200002 300003", "500005": ""} | {
    str(600_000 + n): "300003" for n in range(40)
}


def flat(contains: Any) -> list[str]:
    """The codes of an expansion, nested or not."""
    return [code for one in contains for code in (one["code"], *flat(one.get("contains", ())))]


class Loaded:
    """A server, and the command line on its store."""

    def __init__(self, server: Any, folder: Path) -> None:
        self.folder = folder
        self.store = server.settings.store
        self.http = httpx.Client(base_url=server.base, timeout=30)

    def run(self, *words: str, status: int = 0) -> str:
        result = CliRunner().invoke(main, ["terminology", *words, "--store", self.store])
        assert result.exit_code == status, result.output
        return result.output

    def get(self, path: str, **params: Any) -> Any:
        response = self.http.get(path, params=params or None)  # {} would take the query of the path away
        assert response.status_code == 200, response.text
        return response.json()

    def codes(self, url: str, **params: Any) -> list[str]:
        expansion = self.get("/ValueSet/$expand", url=url, **params)["expansion"]
        return flat(expansion.get("contains", ()))

    def verdict(self, **params: Any) -> bool:
        listed = self.get("/ValueSet/$validate-code", **params)["parameter"]
        return bool(next(one["valueBoolean"] for one in listed if one["name"] == "result"))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    from tests.conftest import RunningServer  # one server for the module, with a store of its own

    folder = tmp_path_factory.mktemp("loaded")
    server = RunningServer({"store": f"sqlite:///{folder / 'fhir.sqlite'}"})
    made = Loaded(server, folder)
    assert made.http.get("/CodeSystem/$lookup", params={"system": SCT, "code": "100001"}).status_code == 404
    said = made.run("load", str(rf2(folder / "release", LINKS, retired=("500005",))))
    assert f"loaded 45 concepts of {SCT}|{RELEASE}" in said
    yield made
    made.http.close()
    server.stop()


def test_lookup_tells_names_parents_and_children_in_the_language_asked(loaded: Loaded) -> None:
    body = loaded.get("/CodeSystem/$lookup", system=SCT, code="400004", displayLanguage="nl")
    told = {one["name"]: one for one in body["parameter"]}
    assert told["display"]["valueString"] == "begrip 400004 énig"
    assert told["version"]["valueString"] == RELEASE
    above = [
        one["part"][1]["valueCode"]
        for one in body["parameter"]
        if one["name"] == "property" and one["part"][0]["valueCode"] == "parent"
    ]
    assert sorted(above) == ["200002", "300003"]
    assert loaded.get("/CodeSystem/$lookup", system=SCT, version=RELEASE, code="400004")
    assert loaded.http.get("/CodeSystem/$lookup", params={"system": SCT, "code": "1"}).status_code == 404


def test_subsumption_follows_every_parent(loaded: Loaded) -> None:
    def outcome(a: str, b: str) -> str:
        return str(loaded.get("/CodeSystem/$subsumes", system=SCT, codeA=a, codeB=b)["parameter"][0]["valueCode"])

    assert outcome("300003", "400004") == outcome("200002", "400004") == outcome("100001", "400004") == "subsumes"
    assert outcome("400004", "100001") == "subsumed-by"
    assert outcome("200002", "300003") == "not-subsumed"
    assert outcome("200002", "200002") == "equivalent"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("?fhir_vs=isa/200002", {"200002", "400004"}),
        ("?fhir_vs=ecl/<<200002", {"200002", "400004"}),
        ("?fhir_vs=ecl/%3C 200002 |a term|", {"400004"}),
        ("?fhir_vs=ecl/200002", {"200002"}),
        ("?fhir_vs", set(LINKS)),
        ("?fhir_vs=ecl/*", set(LINKS)),
        ("/900000000000207008?fhir_vs=isa/200002", {"200002", "400004"}),
    ],
)
def test_implicit_value_sets_of_snomed_are_listed(loaded: Loaded, asked: str, found: set[str]) -> None:
    assert set(loaded.codes(SCT + asked)) == found


@pytest.mark.parametrize(
    "asked", ["?fhir_vs=refset", "?fhir_vs=ecl/<<1 AND <<2", "?fhir_vs=refset/12345678", "?fhir_vs=isa/x"]
)
def test_what_of_snomed_is_not_evaluated_is_said(loaded: Loaded, refused: Any, asked: str) -> None:
    response = loaded.http.get("/ValueSet/$expand", params={"url": SCT + asked})
    issue = refused(response, response.status_code, "value-set-unsupported")
    assert 400 <= response.status_code < 500
    assert issue["code"] == "not-supported"
    assert "Supported are" in issue["diagnostics"]


def test_an_expansion_is_filtered_and_paged(loaded: Loaded) -> None:
    whole = loaded.get("/ValueSet/$expand", url=f"{SCT}?fhir_vs", count=50)["expansion"]
    assert whole["total"] == 45
    pages = [loaded.codes(f"{SCT}?fhir_vs", count=20, offset=at) for at in (0, 20, 40)]
    assert [len(page) for page in pages] == [20, 20, 5]
    assert [code for page in pages for code in page] == [one["code"] for one in whole["contains"]]
    assert loaded.codes(f"{SCT}?fhir_vs", filter="begr 4000 enig") == ["400004"]
    assert loaded.codes(f"{SCT}?fhir_vs", filter="legrip") == []
    assert "500005" not in loaded.codes(f"{SCT}?fhir_vs", activeOnly="true", count=50)
    assert len(loaded.codes(f"{SCT}?fhir_vs=isa/300003", filter="term", count=100)) == 42


def test_a_stored_value_set_reckons_with_filters_and_exclusions(loaded: Loaded) -> None:
    def expand(include: list[dict[str, Any]], exclude: list[dict[str, Any]] | None = None) -> set[str]:
        compose = {"include": include} | ({"exclude": exclude} if exclude else {})
        value_set = {"resourceType": "ValueSet", "status": "active", "compose": compose}
        sent = {"resourceType": "Parameters", "parameter": [{"name": "valueSet", "resource": value_set}]}
        response = loaded.http.post("/ValueSet/$expand", json=sent)
        assert response.status_code == 200, response.text
        return set(flat(response.json()["expansion"].get("contains", ())))

    def rule(op: str, value: str, name: str = "concept") -> dict[str, Any]:
        return {"system": SCT, "filter": [{"property": name, "op": op, "value": value}]}

    assert expand([rule("generalizes", "400004")]) == {"100001", "200002", "300003", "400004"}
    assert expand([rule("=", "300003", "parent")], [rule("is-a", "600000")]) == set(LINKS) - {
        "100001", "200002", "300003", "500005", "600000",
    }  # fmt: skip
    assert expand([rule("is-not-a", "100001")]) == {"500005"}
    assert expand([rule("=", "400004", "child")]) == {"200002", "300003"}
    assert expand([rule("descendent-of", "200002"), rule("in", "500005,100001")]) == {"400004", "500005", "100001"}
    assert expand([{"system": SCT, "concept": [{"code": "400004"}, {"code": "500005"}]}]) == {"400004", "500005"}
    assert expand([rule("is-a", "200002")], [{"system": SCT, "concept": [{"code": "400004"}]}]) == {"200002"}
    assert expand([rule("=", "false", "inactive")]) == set(LINKS) - {"500005"}
    mixed = expand([rule("is-a", "200002"), {"system": "http://hl7.org/fhir/task-intent"}])
    assert mixed >= {"200002", "400004", "unknown"}


def test_membership_is_told_with_and_without_a_system(loaded: Loaded) -> None:
    assert loaded.verdict(url=f"{SCT}?fhir_vs=isa/200002", system=SCT, code="400004")
    assert not loaded.verdict(url=f"{SCT}?fhir_vs=isa/200002", system=SCT, code="300003")
    assert loaded.verdict(url=f"{SCT}?fhir_vs=isa/200002", code="400004")
    assert not loaded.verdict(url=f"{SCT}?fhir_vs", system=SCT, code="999")
    assert not loaded.verdict(url=f"{SCT}?fhir_vs", system=SCT, code="400004", display="wrong")
    assert loaded.verdict(url=f"{SCT}?fhir_vs", system=SCT, code="400004", display="Begrip 400004 enig")


def test_searches_by_hierarchy_and_value_set_find_resources(loaded: Loaded) -> None:
    for code in ("400004", "500005"):
        condition = {
            "resourceType": "Condition",
            "subject": {"display": "Somebody"},
            "code": {"coding": [{"system": SCT, "code": code}]},
        }
        assert loaded.http.post("/Condition", json=condition).status_code == 201

    def total(query: str) -> int:
        return int(loaded.get(f"/Condition?{query}")["total"])

    assert total(f"code:below={SCT}|100001") == 1
    assert total(f"code:above={SCT}|400004") == 1
    assert total(f"code:in={SCT}?fhir_vs=isa/300003") == 1
    assert total(f"code:not-in={SCT}?fhir_vs=isa/300003") == 1


def test_versions_live_beside_each_other_until_they_are_removed(loaded: Loaded, tmp_path: Path) -> None:
    system = "https://example.org/CodeSystem/fruit"
    for version, text in (("1", "Apple"), ("2", "Appel"), ("2", "Pomme")):
        file = tmp_path / "fruit.csv"
        file.write_text(f"code,display\na,{text}\n", "utf-8")
        loaded.run("load", str(file), "--system", system, "--version", version, "--name", "Fruit")

    def display(**params: str) -> str:
        body = loaded.get("/CodeSystem/$lookup", system=system, code="a", **params)
        return str(next(one["valueString"] for one in body["parameter"] if one["name"] == "display"))

    assert (display(), display(version="1")) == ("Pomme", "Apple")
    assert "several versions" in loaded.run("remove", system, status=2)
    loaded.run("remove", system, "--version", "2")
    assert display() == "Apple"
    assert system in loaded.run("list")
    loaded.run("remove", system)
    assert loaded.http.get("/CodeSystem/$lookup", params={"system": system, "code": "a"}).status_code == 404
    assert "is not loaded" in loaded.run("remove", system, status=1)


def test_a_release_that_fails_leaves_what_was_there(loaded: Loaded, tmp_path: Path) -> None:
    broken = rf2(tmp_path / "r", {"100001": "200002", "200002": "100001"})
    said = loaded.run("load", str(broken), status=1)
    assert "nothing was loaded" in said
    assert "goes round in a circle" in said
    assert loaded.codes(f"{SCT}?fhir_vs=isa/200002") == ["200002", "400004"]


def test_a_kept_listing_is_made_again_when_a_code_system_changes(
    fresh_server: Callable[..., Any], tmp_path: Path
) -> None:
    made = Loaded(fresh_server(), tmp_path)
    system, url = "https://example.org/CodeSystem/tree", "https://example.org/ValueSet/trees"
    include = [{"system": system}, {"system": "http://hl7.org/fhir/task-intent"}]
    value_set = {"resourceType": "ValueSet", "id": "t", "url": url, "status": "active", "compose": {"include": include}}
    assert made.http.put("/ValueSet/t", json=value_set).status_code == 201
    for rows, expected in (("a,A", {"a"}), ("b,B\nc,C", {"b", "c"})):
        (tmp_path / "t.csv").write_text(f"code,display\n{rows}\n", "utf-8")
        made.run("load", str(tmp_path / "t.csv"), "--system", system)
        found = {one for one in made.codes(url) if len(one) == 1}
        assert found == expected
    made.http.close()
