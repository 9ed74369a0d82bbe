"""Who sees what, by every way of asking: a world of two regions, fourteen callers, and for each of its resources the callers
that are to see it, written down by hand. Each way of asking must show exactly those, and nothing of the others.

Every resource carries a marker of its own in `meta.source`, so that an answer that holds it anywhere is found out.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fhir_server.access.principal import ANONYMOUS, Principal
from fhir_server.app import build_engine
from fhir_server.http.endpoint import FhirEndpoint
from fhir_server.interactions.context import Engine
from fhir_server.model.codec import encode
from fhir_server.settings import Settings
from fhir_server.store.port import UnitOfWork

BASE = "http://127.0.0.1:8080/fhir"
PROFILE = "https://w3id.org/social-referral/StructureDefinition/"
TAG = "https://w3id.org/social-referral/access/"
CODES = "http://terminology.hl7.org/CodeSystem/"
CALLERS = {
    "gp": Principal("Organization/gp"),
    "gp2": Principal("Organization/gp2"),
    "cbo": Principal("Organization/cbo", frozenset({"recipient"})),
    "cbo2": Principal("Organization/cbo2", frozenset({"recipient"})),
    "late": Principal("Organization/late", frozenset({"recipient"})),
    "worker": Principal("Organization/worker", frozenset({"link-worker"}), areas=frozenset({"Location/north"})),
    "worker2": Principal("Organization/worker2", frozenset({"link-worker"})),
    "adrift": Principal("Organization/adrift", frozenset({"link-worker"})),
    "ann": Principal(roles=frozenset({"person"}), person="Patient/ann"),
    "ben": Principal(roles=frozenset({"person"}), person="Patient/ben"),
    "tester": Principal("Organization/lab", frozenset({"tester"})),
    "operator": Principal(roles=frozenset({"operator"})),
    "auditor": Principal(roles=frozenset({"auditor"})),
    "nobody": ANONYMOUS,
}
PUBLIC = frozenset(
    """ActivityDefinition CapabilityStatement ChargeItemDefinition CodeSystem CompartmentDefinition ConceptMap Endpoint
    EventDefinition ExampleScenario GraphDefinition HealthcareService ImplementationGuide InsurancePlan Library Measure
    MessageDefinition NamingSystem ObservationDefinition OperationDefinition Organization OrganizationAffiliation
    PlanDefinition Questionnaire Schedule SearchParameter Slot SpecimenDefinition StructureDefinition StructureMap
    TerminologyCapabilities TestScript ValueSet""".split()  # noqa: SIM905  # a list of lines reads no better
)
"""What everybody may read."""
CONFIGURED = frozenset({"Location", "Practitioner", "PractitionerRole", "Subscription"})
"""What an operator reads besides."""


class Thing(NamedTuple):
    """A resource of the world, and who is to see it."""

    type: str
    id: str
    seen_by: frozenset[str]

    @property
    def marker(self) -> str:
        return f"urn:marker:{self.type}.{self.id}"

    @property
    def key(self) -> str:
        return f"{self.type}/{self.id}"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def total(self) -> int:
        return int(json.loads(self.body).get("total", -1))


class Header:
    """Believes a header that names one of the callers."""

    def known(self, headers: dict[bytes, bytes]) -> Principal:
        return CALLERS[headers.get(b"x-caller", b"nobody").decode()]

    async def identify(self, headers: dict[bytes, bytes], scope: Any) -> Principal:  # noqa: ARG002  # the shape of every identity
        return self.known(headers)


class World:
    """The application, and what is in it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.things: dict[str, Thing] = {}
        self.edges: list[tuple[Thing, str, Thing]] = []
        self._app = FhirEndpoint(
            engine,
            base=BASE,
            base_path="/fhir",
            max_body_bytes=1 << 22,
            identity=Header(),  # type: ignore[arg-type]  # it identifies callers in its own way
        )
        self._loop = asyncio.new_event_loop()

    def ask(self, caller: str, method: str, url: str, body: Any = None, **headers: str) -> Answer:
        path, _, query = url.partition("?")
        sent = {"accept": "application/fhir+json", "content-type": "application/fhir+json", "x-caller": caller}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http", "method": method, "path": f"/fhir/{path}", "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        }  # fmt: skip
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        found: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": raw}

        async def send(message: Any) -> None:
            found.append(message)

        self._loop.run_until_complete(self._app(scope, receive, send))
        told = {name.decode(): value.decode() for name, value in found[0]["headers"]}
        return Answer(int(found[0]["status"]), told, found[1]["body"])

    def close(self) -> None:
        self._loop.run_until_complete(self.engine.auditor.close())
        self._loop.run_until_complete(_stop_others())
        self._loop.close()
        self.engine.store.close()

    def put(self, resource: dict[str, Any], seen_by: str, *, writer: str = "") -> None:
        """Store a resource as if it had been written by an organisation, with the tags that it then has."""
        kind, identity = resource["resourceType"], resource["id"]
        meta = resource.setdefault("meta", {})
        meta["source"] = f"urn:marker:{kind}.{identity}"
        if writer:
            meta["tag"] = [*meta.get("tag", ()), {"system": TAG + "writer", "code": f"Organization/{writer}"}]
        entries = self.engine.extractor.extract(resource)

        def work(uow: UnitOfWork) -> None:
            current = uow.current(kind, identity)
            uow.put(kind, identity, current.version + 1 if current else 1, encode(resource), entries, "PUT")

        self.engine.store.write(work)
        everybody = set(CALLERS) if kind in PUBLIC else {"operator"} if kind in CONFIGURED else set()
        self.things[f"{kind}/{identity}"] = Thing(kind, identity, frozenset(everybody | set(seen_by.split())))

    def link(self) -> None:
        """Find every reference between two things of the world."""
        for thing in self.things.values():
            version = self.engine.store.read(lambda snapshot, thing=thing: snapshot.current(thing.type, thing.id))
            resource = json.loads(version.body)  # type: ignore[union-attr]  # it is stored, and its links are local
            for entry in self.engine.extractor.references(resource, "*"):
                target = self.things.get(entry.target)  # type: ignore[union-attr]  # it is stored, and its links are local
                if target is not None:
                    self.edges.append((thing, entry.param, target))


async def _stop_others() -> None:
    """End what the server left running on the loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def reference(key: str) -> dict[str, str]:
    return {"reference": key}


def tags(**codes: str) -> dict[str, Any]:
    return {"tag": [{"system": TAG + kind, "code": code} for kind, each in codes.items() for code in each.split()]}


AREAS = {"Patient/ann": "Location/north", "Patient/ben": "Location/south"}


def consent(identity: str, patient: str, who: str) -> dict[str, Any]:
    return {
        "resourceType": "Consent", "id": identity, "status": "active", "patient": reference(patient),
        "meta": tags(permits=who),
    }  # fmt: skip


def request(identity: str, patient: str, by: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest", "id": identity, "status": "active", "subject": reference(patient),
        "requester": reference(f"Organization/{by}"),
        "meta": tags(reader=f"Organization/{by}", area=AREAS.get(patient, "unknown")), **more,
    }  # fmt: skip


def task(identity: str, focus: str, patient: str, by: str, owner: str, status: str) -> dict[str, Any]:
    readers = f"Organization/{by} " + (f"Organization/{owner}" if owner else "pool")
    told = {"asker": f"Organization/{by}", "area": AREAS.get(patient, "unknown")}
    takers = f"Organization/{owner}" if status == "accepted" else ""
    made = {
        "resourceType": "Task", "id": identity, "status": status, "focus": reference(focus), "for": reference(patient),
        "requester": reference(f"Organization/{by}"), "meta": tags(reader=readers, taker=takers, **told),
    }  # fmt: skip
    return {**made, "owner": reference(f"Organization/{owner}")} if owner else made


def about(kind: str, identity: str, patient: str) -> dict[str, Any]:
    member = "patient" if kind in ("RelatedPerson", "Consent", "AllergyIntolerance") else "subject"
    return {"resourceType": kind, "id": identity, member: reference(patient)}


@contextmanager
def opened(folder: Path, **settings: Any) -> Iterator[World]:
    """An empty world on a fresh file in a folder, with access enforced, closed at the end."""
    store = f"sqlite:///{folder / 'fhir.sqlite'}"
    world = World(build_engine(Settings(store=store, enforce_access=True, publish_artifacts=False, **settings)))
    try:
        yield world
    finally:
        world.close()


def furnish(world: World) -> None:
    """Ann: referred by gp, accepted by cbo, and a second time to cbo2, who has not answered. Ben: the same in the other
    region, with late who rejected. Both are also referred to the pool, and to worker, who answers for the region of ann.
    One patient (eve) is referred by both regions, and nobody knows where she lives.
    """
    put = world.put
    for name in ("gp", "gp2", "cbo", "cbo2", "late", "worker", "worker2", "adrift", "lab"):
        put({"resourceType": "Organization", "id": name, "name": name}, "")
    serving = {"resourceType": "PractitionerRole", "id": "serving", "meta": tags(serves="Location/south")}
    put({**serving, "organization": reference("Organization/worker2")}, "worker2")
    for person, by, taker, asked in (("ann", "gp", "cbo", "cbo2"), ("ben", "gp2", "cbo2", "cbo")):
        patient = f"Patient/{person}"
        nearby = "worker" if person == "ann" else ""
        put({"resourceType": "Patient", "id": person}, f"{by} {taker} {person} {nearby}", writer=by)
        put(
            consent(f"c-{person}", patient, f"Organization/{taker} Organization/{asked}"),
            f"{by} {taker} {person}",
            writer=by,
        )
        put(about("Condition", f"named-{person}", patient), f"{by} {taker} {person}", writer=by)
        put(about("Observation", f"info-{person}", patient), f"{by} {taker} {person}", writer=by)
        put(about("Observation", f"apart-{person}", patient), f"{by} {person}", writer=by)
        put(about("QuestionnaireResponse", f"answers-{person}", patient), f"{by} {person}", writer=by)
        put(about("Goal", f"goal-{person}", patient), f"{by} {person}", writer=by)
        put(about("RelatedPerson", f"kin-{person}", patient), f"{by} {person}", writer=by)
        put(about("Procedure", f"done-{person}", patient), f"{by} {taker} {person}", writer=taker)
        put(about("Observation", f"own-{person}", patient), f"{taker} {person}", writer=taker)
        named = {
            "reasonReference": [reference(f"Condition/named-{person}")],
            "supportingInfo": [reference(f"Consent/c-{person}"), reference(f"Observation/info-{person}")],
        }
        put(request(f"r-{person}", patient, by, **named), f"{by} {taker} {person}")
        taken = task(f"t-{person}", f"ServiceRequest/r-{person}", patient, by, taker, "accepted")
        kind = {"text": "feedback"}
        taken["output"] = [{"type": kind, "valueReference": reference(f"Procedure/done-{person}")}]
        put(taken, f"{by} {taker} {person}")
        put(request(f"s-{person}", patient, by, supportingInfo=[reference(f"Consent/c-{person}")]), f"{by} {person}")
        put(
            task(f"u-{person}", f"ServiceRequest/s-{person}", patient, by, asked, "requested"), f"{by} {asked} {person}"
        )
        put(consent(f"k-{person}", patient, "Organization/worker"), f"{by} {person} {nearby}", writer=by)
        put(
            request(f"g-{person}", patient, by, supportingInfo=[reference(f"Consent/k-{person}")]),
            f"{by} {person} {nearby}",
        )
        put(
            task(f"w-{person}", f"ServiceRequest/g-{person}", patient, by, "worker", "accepted"),
            f"{by} {person} {nearby}",
        )
        put(task(f"v-{person}", f"ServiceRequest/s-{person}", patient, by, "late", "rejected"), f"{by} late {person}")
        put(
            task(f"p-{person}", f"ServiceRequest/s-{person}", patient, by, "", "requested"),
            _pool(by, f"{person} {'worker' if nearby else 'worker2'}"),
        )
        put({**about("Communication", f"m-{person}", patient), "status": "completed"}, f"{by} {person}", writer=by)
        plain = {"resourceType": "Task", "id": f"plain-{person}", "for": reference(patient)}
        put({**plain, "owner": reference(f"Organization/{taker}")}, f"{by} {person}", writer=by)
    put({"resourceType": "Patient", "id": "eve"}, "gp gp2")
    put(
        task("p-eve", "ServiceRequest/e-gp", "Patient/eve", "gp", "", "requested"), _pool("gp", "worker worker2 adrift")
    )
    for by in ("gp", "gp2"):
        put(request(f"e-{by}", "Patient/eve", by), by)
        put(about("Condition", f"e-{by}", "Patient/eve"), by, writer=by)
    put(about("Observation", "sand", "Patient/x"), "tester", writer="lab")


def _pool(by: str, others: str) -> str:
    """A Task without owner is seen by whoever may claim it: organisations that take referrals, and link workers there."""
    return f"{by} {others} gp gp2 cbo cbo2 late"


def furnish_all_types(world: World, types: frozenset[str]) -> None:
    """Add one resource of every type, written by gp, which alone of the organisations is to see what is not public."""
    for kind in sorted(types):
        world.put({"resourceType": kind, "id": f"any-{kind.lower()}"[:64]}, "gp", writer="gp")
