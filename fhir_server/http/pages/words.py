"""From FHIR elements to what people read: names, places, codes in their language."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fhir_server.http.pages.fhir import Choice
from fhir_server.model.resource import Resource

OWN: Final = "https://w3id.org/social-referral"
PROFILE: Final = f"{OWN}/StructureDefinition"
CODES: Final = f"{OWN}/CodeSystem"
NEED: Final = f"{CODES}/social-need"
BUSINESS: Final = f"{CODES}/business-status"
REASON: Final = f"{CODES}/status-reason"
PARAMETER: Final = f"{CODES}/task-parameter"
FEEDBACK: Final = f"{CODES}/feedback-type"
_CAPACITY: Final = (
    "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-ExtensionHealthcareServiceCapacityStatus"
)

Labels = Mapping[str, str]
"""Code to display, in the language of the visit."""


def labels(choices: Iterable[Choice]) -> dict[str, str]:
    """Return the displays of codes, at every depth."""
    found: dict[str, str] = {}
    for choice in choices:
        found[choice.code] = choice.display
        found |= labels(choice.choices)
    return found


def code_of(concept: Resource | None, system: str = "") -> str:
    """Return the first code of a concept, of one system when it is named; "" for none."""
    codings: Iterable[Resource] = (concept or {}).get("coding", ())
    return next((str(one["code"]) for one in codings if "code" in one and system in ("", one.get("system"))), "")


def said(concept: Resource | None, known: Labels = {}) -> str:  # noqa: B006  # it is only read
    """Return a concept as people read it: our display of its code, else its text, else the display that came with it."""
    concept = concept or {}
    for coding in concept.get("coding", ()):
        if coding.get("code") in known and str(coding.get("system", "")).startswith(OWN):
            return known[coding["code"]]
    displays = (coding.get("display") or coding.get("code") for coding in concept.get("coding", ()))
    return str(concept.get("text") or next((one for one in displays if one), ""))


def concept(system: str, code: str, display: str) -> Resource:
    """Return a concept of one code."""
    return {"coding": [{"system": system, "code": code, "display": display}]}


def extension(resource: Resource, name: str) -> Any:
    """Return the value of an extension of ours, None when it is not there."""
    for one in resource.get("extension", ()):
        if one.get("url") == f"{PROFILE}/{name}":
            return next((value for key, value in one.items() if key.startswith("value")), None)
    return None


def person_name(patient: Resource | None) -> str:
    """Return how a person is called, "" when that is not known."""
    for name in (patient or {}).get("name", ()):
        parts = (*name.get("prefix", ()), *name.get("given", ()), name.get("family", ""))
        whole = " ".join(part for part in parts if part)
        if whole or name.get("text"):
            return str(name.get("text") or whole)
    return ""


def addresses(patient: Resource) -> list[str]:
    """Return the addresses of a person or place, each in one line."""
    found = []
    for one in patient.get("address", ()):
        town = " ".join(part for part in (one.get("postalCode", ""), one.get("city", "")) if part)
        found.append(one.get("text") or ", ".join(part for part in (*one.get("line", ()), town) if part))
    return found


def inputs(task: Resource, code: str) -> list[Resource]:
    """Return the inputs of a Task of one kind."""
    return [one for one in task.get("input", ()) if code_of(one.get("type"), PARAMETER) == code]


def input_text(task: Resource, code: str) -> str:
    """Return a text that stands as an input of a Task, such as the municipality."""
    return next((str(one.get("valueString", "")) for one in inputs(task, code)), "")


def starts_of(task: Resource) -> str:
    """Return from when on something is to be done, "" where that is not said."""
    return str(((task.get("restriction") or {}).get("period") or {}).get("start", ""))


def due_of(task: Resource) -> str:
    """Return until when the person is to be contacted, "" for no term."""
    return str(((task.get("restriction") or {}).get("period") or {}).get("end", ""))


def reference_of(element: Resource | None) -> str:
    """Return the relative reference of a Reference, "" for none."""
    return str((element or {}).get("reference", ""))


def capacity_of(service: Resource) -> str:
    """Return the code of the capacity of a service, "" when it says none."""
    for one in service.get("extension", ()):
        if one.get("url") == _CAPACITY:
            for part in one.get("extension", ()):
                if part.get("url") == "capacityStatus":
                    return code_of(part.get("valueCodeableConcept"))
    return ""
