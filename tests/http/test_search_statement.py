"""The CapabilityStatement is walked: each parameter it claims finds a resource that is composed to have it.

In process, because there are thousands of claims: the requests are those that the HTTP adapter makes.
"""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import pytest

from fhir_server.app import build_engine
from fhir_server.interactions.context import Engine
from fhir_server.interactions.perform import perform
from fhir_server.interactions.request import Parameters, Request
from fhir_server.model.errors import FhirError
from fhir_server.search.hierarchies import MODIFIERS, followed
from fhir_server.settings import Settings
from fhir_server.store.port import UnitOfWork
from tests.http.composed import HERE, Composed, composed

BASE = "https://fhir.example.org/r4"
OWN_VALUES = {
    "_filter": "_id eq x and not(_lastUpdated gt 2020)",
    "_list": "none",
    "_content": "x",
    "_text": "x",
    "overdue": "true",
}
"""Values for claims that no composed resource can have by itself; the truth tables say what they find."""


class World(NamedTuple):
    """A server with what is composed, and its statement."""

    engine: Engine
    made: dict[str, list[Composed]]
    claims: dict[str, dict[str, Any]]

    def get(self, path: str, query: Parameters) -> dict[str, Any]:
        result = perform(self.engine, Request("GET", path, query, base=BASE))
        return dict(json.loads(result.body or b""))

    def refusal(self, path: str, query: Parameters) -> str:
        """Return why a search is refused, "" when it is answered with a searchset."""
        try:
            return "" if self.get(path, query)["type"] == "searchset" else "no searchset"
        except FhirError as error:
            return f"{path}?{query[0][0]}={query[0][1]}: {error.issues[0].diagnostics}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    store = f"sqlite:///{tmp_path_factory.mktemp('statement') / 'x.sqlite'}"
    engine = build_engine(Settings(store=store, base_url=BASE, audit_reads="off"))
    searched = [name for name in engine.registry.types if name not in engine.routes.own]
    made = {name: list(composed(engine.registry, name)) for name in searched}

    def work(unit: UnitOfWork) -> None:
        for name, all_of_type in made.items():
            for resource in ({"resourceType": name, "id": HERE}, *(one.resource for one in all_of_type)):
                body = json.dumps(resource).encode()
                unit.put(name, resource["id"], 1, body, engine.extractor.extract(resource), "PUT")

    engine.store.write(work)
    statement = json.loads(perform(engine, Request("GET", "metadata", base=BASE)).body or b"")
    claims = {resource["type"]: resource for resource in statement["rest"][0]["resource"]}
    claims = {name: claims[name] for name in searched}  # a type with a search of its own is tried by its own tests
    yield World(engine, made, claims)
    engine.store.close()


def ids_of(bundle: dict[str, Any], mode: str = "match") -> set[str]:
    found = (entry["resource"] for entry in bundle.get("entry", ()) if entry["search"]["mode"] == mode)
    return {f"{resource['resourceType']}/{resource['id']}" for resource in found}


def test_every_claimed_parameter_finds_what_is_composed_to_have_it(world: World) -> None:
    failures, tried = [], set()
    for name, all_of_type in world.made.items():
        for one in all_of_type:
            wanted = f"{name}/{one.resource['id']}"
            value = "gt2000" if one.param == "_lastUpdated" else one.value
            query = ((one.param, value), (f"{one.param}:missing", "false"), ("_id", one.resource["id"]))
            found = world.get(name, query)
            if ids_of(found) != {wanted}:
                failures.append(f"{wanted}: {one.param}={value} in {json.dumps(one.resource)}")
            tried.add((name, one.param))
    claimed = {(name, claim["name"]) for name, resource in world.claims.items() for claim in resource["searchParam"]}
    untried = {code for _, code in claimed - tried}
    assert failures == []
    assert untried == set(OWN_VALUES), "each claim is tried on a composed resource, or below"
    assert len(tried) == len(claimed) - sum(code in OWN_VALUES for _, code in claimed)
    assert len(tried) > 2_500


def test_every_claim_without_an_element_of_its_own_is_answered(world: World) -> None:
    refusals = [
        world.refusal(name, ((claim["name"], OWN_VALUES[claim["name"]]),))
        for name, resource in world.claims.items()
        for claim in resource["searchParam"]
        if claim["name"] in OWN_VALUES
    ]
    assert [why for why in refusals if why] == []


def test_every_claimed_include_brings_what_is_referred_to(world: World) -> None:
    failures, tried = [], set()
    for name, all_of_type in world.made.items():
        for one in all_of_type:
            claim = f"{name}:{one.param}"
            if one.target and claim not in tried:
                query = (("_id", one.resource["id"]), ("_include", claim))
                if one.target not in ids_of(world.get(name, query), "include") and one.target != f"{name}/{HERE}":
                    failures.append(f"{claim} does not bring {one.target}")
                tried.add(claim)
    claimed = {claim for resource in world.claims.values() for claim in resource.get("searchInclude", ())}
    canonicals = {claim for claim in claimed - tried if not _refers(world, claim)}
    assert failures == []
    assert claimed - tried == canonicals, "the others are canonicals, which name no resource by its id"
    refusals = [world.refusal(claim.partition(":")[0], (("_include", claim),)) for claim in sorted(canonicals)]
    assert [why for why in refusals if why] == []


def test_every_claimed_reference_to_a_type_with_a_hierarchy_is_followed_above_and_below(world: World) -> None:
    failures, found, answered = [], 0, 0
    for name, all_of_type in world.made.items():
        for one in all_of_type:
            links = followed(world.engine.registry, world.engine.registry.of(name)[one.param])
            for lineage, kind in product(MODIFIERS, links):
                query = ((f"{one.param}:{lineage}", f"{kind}/{HERE}"), ("_id", one.resource["id"]))
                wanted = {f"{name}/{one.resource['id']}"} if one.target == f"{kind}/{HERE}" else set()
                if ids_of(world.get(name, query)) != wanted:
                    failures.append(f"{name}?{one.param}:{lineage}={kind}/{HERE}")
                found, answered = found + len(wanted), answered + 1
    assert failures == []
    assert found > 100
    assert answered > 500


def _refers(world: World, claim: str) -> bool:
    name, _, code = claim.partition(":")
    return not world.engine.registry.of(name)[code].element_types.isdisjoint({"Reference", "Resource"})


def test_every_claimed_reverse_include_is_answered_and_brings_what_refers(world: World) -> None:
    sources = {
        (one.target, f"{name}:{one.param}"): f"{name}/{one.resource['id']}"
        for name, all_of_type in world.made.items()
        for one in all_of_type
        if one.target
    }
    failures, tried = [], 0
    for name, resource in world.claims.items():
        claimed = resource["searchRevInclude"]
        for start in range(0, len(claimed), 90):
            part = claimed[start : start + 90]
            found = ids_of(world.get(name, (("_id", HERE), *(("_revinclude", claim) for claim in part))), "include")
            wanted = {sources[f"{name}/{HERE}", claim] for claim in part if (f"{name}/{HERE}", claim) in sources}
            failures += sorted(wanted - found)
            tried += len(part)
    assert failures == []
    assert tried > 10_000
