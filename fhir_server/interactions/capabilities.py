"""GET metadata: the CapabilityStatement, folded from the interaction table and the search registry (R4 http.html#capabilities).

Nothing is written here by hand that the table, the registry or the catalogue could say, so it cannot promise more.
"""

from collections.abc import Iterable
from typing import Any, Final

from fhir_server.artifacts import r4
from fhir_server.artifacts.r4.compartments import compartments
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Answer, Operation
from fhir_server.interactions.patch import JSON_PATCH
from fhir_server.interactions.request import Kind, Place, Request, Result
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import encode
from fhir_server.model.errors import Malformed, NotSupported
from fhir_server.model.resource import Resource
from fhir_server.search import overdue
from fhir_server.search.fulltext import WITHOUT_TEXT

_NORMATIVE: Final = frozenset(
    {
        "Binary", "Bundle", "CapabilityStatement", "CodeSystem", "Observation", "OperationDefinition",
        "OperationOutcome", "Parameters", "Patient", "StructureDefinition", "ValueSet",
    }
)  # fmt: skip
"""Resource types that are normative in R4."""
_SERVICES: Final = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport"
_SUBSCRIPTION_SERVER: Final = f"{_BACKPORT}/CapabilityStatement/backport-subscription-server-r4"
_TOPIC_LIST: Final = f"{_BACKPORT}/StructureDefinition/capabilitystatement-subscriptiontopic-canonical"
_FULL_TEXT: Final = {
    "_content": "http://hl7.org/fhir/SearchParameter/Resource-content",
    "_text": "http://hl7.org/fhir/SearchParameter/DomainResource-text",
}


def capabilities(engine: Engine, request: Request, place: Place) -> Operation:  # noqa: ARG001  # the shape of every handler
    """Return the CapabilityStatement; `mode` may be full (default) or normative."""
    mode = "full"
    for name, value in request.query:
        if name != "mode":
            raise Malformed(f"The parameter {name!r} means nothing on metadata; mode does.", key="unknown-parameter")
        if value == "terminology":
            raise NotSupported("mode=terminology is not offered; use full or normative.", key="metadata-mode")
        if value not in ("full", "normative"):
            raise Malformed(f"mode={value!r} is not known; use full or normative.", key="metadata-mode")
        mode = value
    cached = engine.statements.get((mode, request.base))
    if cached is None:
        cached = encode(statement(engine, mode, request.base))
        engine.statements[mode, request.base] = cached
    return Answer(Result(Kind.OK, cached))


def statement(engine: Engine, mode: str, base: str) -> Resource:
    """Build the statement for one mode, as seen under one base URL."""
    types = sorted(r4.resource_types() & _NORMATIVE if mode == "normative" else r4.resource_types())
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": render_instant(engine.started),
        "kind": "instance",
        "instantiates": [_SUBSCRIPTION_SERVER],
        "software": {"name": "fhir-server", "version": engine.version},
        "implementation": {"description": "FHIR R4 interoperability server for social referrals", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json", "application/fhir+json"],
        "patchFormat": [JSON_PATCH, "application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                **_security(engine, base),
                "resource": [_resource(engine, name) for name in types],
                "interaction": _codes(engine, "system", {"transaction": ("transaction", "batch")}),
                "searchParam": _search_params(engine, "Resource"),
                "compartment": _compartments(engine),
            }
        ],
    }


def _security(engine: Engine, base: str) -> dict[str, Any]:
    """Say how to get in, where callers prove who they are (SMART App Launch 2, conformance: the rest is well known)."""
    if not engine.access.by_token:
        return {}
    coding = {"system": _SERVICES, "code": "SMART-on-FHIR", "display": "SMART-on-FHIR"}
    found = f"SMART Backend Services: {base}/.well-known/smart-configuration says where tokens are given, and to whom."
    return {"security": {"service": [{"coding": [coding]}], "description": found}}


def _compartments(engine: Engine) -> list[str]:
    offered = any(row.level == "compartment" for row in engine.routes.interactions)
    return [compartment.url for compartment in compartments().values() if offered]


def _own(engine: Engine, name: str) -> dict[str, Any]:
    """Describe a type that has interactions of its own: those, and no others."""
    rows = [row for row in engine.routes.interactions if name in row.types and not row.definition]
    codes = [parameter for row in rows for parameter in row.parameters]
    described = {
        "type": name,
        "interaction": [{"code": code} for code in dict.fromkeys(row.code for row in rows)],
        "versioning": "no-version",
        "readHistory": False,
        "updateCreate": False,
        "searchParam": [param for param in _search_params(engine, name) if param["name"] in codes],
        "operation": _operations(engine, ("type", "instance"), name),
    }
    return {member: value for member, value in described.items() if value != []}


def _resource(engine: Engine, name: str) -> dict[str, Any]:
    if name in engine.routes.own:
        return _own(engine, name)
    described: dict[str, Any] = {
        "extension": _topics(engine) if name == "Subscription" else [],
        "type": name,
        "supportedProfile": _profiles(engine, name),
        "interaction": [
            *_codes(engine, "instance"),
            *_codes(engine, "type"),
        ],
        "versioning": "versioned-update" if name == "Task" else "versioned",
        "readHistory": True,
        "updateCreate": not engine.access.enforced,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "multiple",
        "referencePolicy": ["literal", "logical", *(["enforced"] if engine.references == "enforce" else [])],
        "searchInclude": sorted(
            f"{name}:{code}" for code, parameter in engine.registry.of(name).items() if parameter.type == "reference"
        ),
        "searchRevInclude": _revincludes(engine, name),
        "searchParam": _search_params(engine, name),
        "operation": _operations(engine, ("type", "instance"), name),
    }
    return {member: value for member, value in described.items() if value != []}


def _topics(engine: Engine) -> list[dict[str, str]]:
    return [{"url": _TOPIC_LIST, "valueCanonical": url} for url in engine.subscriptions.topics.urls]


def _revincludes(engine: Engine, name: str) -> list[str]:
    return sorted(
        f"{source}:{code}"
        for source in r4.resource_types() - set(engine.routes.own)
        for code, parameter in engine.registry.of(source).items()
        if parameter.type == "reference" and name in engine.registry.targets(parameter)
    )


def _profiles(engine: Engine, name: str) -> list[str]:
    return sorted(
        definition["url"]
        for definition in engine.catalog.of_type("StructureDefinition")
        if definition.get("type") == name and definition.get("derivation") == "constraint"
    )


def _codes(engine: Engine, level: str, several: dict[str, Iterable[str]] | None = None) -> list[dict[str, str]]:
    codes: dict[str, None] = {}
    for row in engine.routes.interactions:
        if row.level == level and row.code != "capabilities" and not row.definition and not row.types:
            codes.update(dict.fromkeys((several or {}).get(row.code, (row.code,))))
    already_on_instances = ("update", "patch", "delete") if level == "type" else ()
    return [{"code": code} for code in codes if code not in already_on_instances]


def _operations(engine: Engine, levels: tuple[str, ...], name: str = "") -> list[dict[str, str]]:
    """List the operations at some levels; one is offered on the types that its OperationDefinition names."""
    found: dict[str, str] = {}
    for row in engine.routes.interactions:
        if row.definition and row.level in levels and (not name or row.on(name)):
            found[row.code] = row.definition
    return [{"name": code, "definition": definition} for code, definition in sorted(found.items())]


def _search_params(engine: Engine, name: str) -> list[dict[str, str]]:
    found = [
        {"name": code, "definition": parameter.url, "type": parameter.type}
        for code, parameter in engine.registry.of(name).items()
    ]
    if name not in WITHOUT_TEXT and name != "Resource":
        found += [{"name": code, "definition": url, "type": "string"} for code, url in _FULL_TEXT.items()]
    if name != "Resource":
        found += [{"name": code, "type": "special"} for code in ("_filter", "_list")]
    if name == overdue.TYPE:
        found.append({"name": overdue.CODE, "definition": overdue.URL, "type": "special"})
    return sorted(found, key=lambda claim: claim["name"])
