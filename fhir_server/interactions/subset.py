"""`_summary` and `_elements` (R4 search.html#summary, #elements): parts of a resource, marked as such."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from fhir_server.artifacts import r4
from fhir_server.interactions.request import Parameters
from fhir_server.model.codec import decode_stored, encode
from fhir_server.model.errors import Malformed
from fhir_server.model.resource import Resource

SummaryMode = Literal["true", "text", "data", "count", "false"]

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_MODES = ("true", "text", "data", "count", "false")
_ALWAYS = frozenset({"resourceType", "id", "meta"})


@dataclass(frozen=True, slots=True)
class Subset:
    """Which part of each resource to return."""

    summary: SummaryMode = "false"
    elements: tuple[str, ...] = ()

    def apply(self, body: bytes) -> bytes:
        """Return the part of a stored resource, tagged SUBSETTED."""
        resource = decode_stored(body)
        return encode(self.of(resource))

    def of(self, resource: Resource) -> Resource:
        """Return the part of a resource, tagged SUBSETTED; mandatory elements always stay."""
        keep = self._kept(resource["resourceType"])
        if keep is None:
            part = {name: value for name, value in resource.items() if name != "text"}
        else:
            part = {name: value for name, value in resource.items() if name.removeprefix("_") in keep}
        meta = dict(part.get("meta") or {})
        meta["tag"] = [*meta.get("tag", ()), SUBSETTED]
        part["meta"] = meta
        return part

    def _kept(self, resource_type: str) -> frozenset[str] | None:
        """Return the names of the members to keep, None for all but the narrative."""
        mandatory = _ALWAYS | r4.mandatory_elements(resource_type)
        if self.elements:
            wanted = [name for name in self.elements if "." not in name]
            return mandatory | _member_names(resource_type, wanted)
        if self.summary == "text":
            return mandatory | {"text"}
        if self.summary == "true":
            return mandatory | r4.summary_elements(resource_type)
        return None


def _member_names(resource_type: str, elements: Sequence[str]) -> frozenset[str]:
    """Return the members that elements have in JSON, choices (`value` → `valueQuantity` …) expanded."""
    names = set(elements)
    for element in elements:
        facts = r4.child(resource_type, element)
        if facts is not None:
            names.update(name for name, _ in facts.json_names)
    return frozenset(names)


def subset_of(summary: str, elements: tuple[str, ...]) -> Subset | None:
    """Return the subset for `_summary` and `_elements`, None when everything is asked for."""
    if not elements and summary in ("", "false"):
        return None
    return Subset(cast("SummaryMode", summary or "false"), elements)


def parse_subset(query: Parameters) -> Subset | None:
    """Read `_summary` and `_elements` of a read; any other parameter is refused.

    `_elements` may be qualified by the type (`Patient.name`); an element that R4 does not know is simply absent.
    """
    summary = ""
    elements: tuple[str, ...] = ()
    for name, value in query:
        if name == "_summary":
            if value not in _MODES or value == "count":
                raise Malformed(
                    f"_summary={value!r} is not known here; use true, text, data or false.", key="bad-summary"
                )
            summary = value
        elif name == "_elements":
            elements = tuple(part.strip().rpartition(".")[2] for part in value.split(",") if part.strip())
        else:
            raise Malformed(
                f"The parameter {name!r} means nothing on a read; _summary, _elements, _format and _pretty do.",
                key="unknown-parameter",
            )
    return subset_of(summary, elements)
