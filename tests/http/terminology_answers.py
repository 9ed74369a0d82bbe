"""What the terminology tests over HTTP share: an invented code system, value set and concept map, and readers of answers."""

from typing import Any

import httpx

BASE = "https://w3id.org/social-referral"
NEED = f"{BASE}/CodeSystem/social-need"
SERVICE = f"{BASE}/CodeSystem/service-type"
THEMES = f"{BASE}/ValueSet/wellbeing-theme"
TASK_STATUS = "http://hl7.org/fhir/task-status"
ICPC = "http://hl7.org/fhir/sid/icpc-2"
COLOURS = "https://example.org/CodeSystem/colour"

COLOUR_SYSTEM: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "id": "colour",
    "url": COLOURS,
    "version": "1",
    "status": "active",
    "content": "complete",
    "property": [
        {"code": "warm", "type": "boolean"},
        {"code": "paint", "type": "code"},
        {"code": "like", "type": "Coding"},
    ],
    "concept": [
        {
            "code": "any",
            "display": "Any colour",
            "property": [{"code": "notSelectable", "valueBoolean": True}],
            "concept": [
                {
                    "code": "red",
                    "display": "Red",
                    "definition": "As blood is.",
                    "designation": [
                        {"language": "nl", "value": "Rood"},
                        {"language": "fr", "value": "Rouge", "use": {"system": "http://snomed.info/sct", "code": "1"}},
                    ],
                    "property": [
                        {"code": "warm", "valueBoolean": True},
                        {"code": "paint", "valueCode": "PR1"},
                        {"code": "like", "valueCoding": {"system": NEED, "code": "debt"}},
                    ],
                    "concept": [{"code": "crimson", "display": "Crimson"}],
                },
                {
                    "code": "puce",
                    "display": "Puce",
                    "property": [{"code": "inactive", "valueBoolean": True}],
                },
            ],
        }
    ],
}
COLOUR_SET: dict[str, Any] = {
    "resourceType": "ValueSet",
    "id": "colours",
    "url": "https://example.org/ValueSet/colours",
    "version": "1",
    "status": "active",
    "compose": {"include": [{"system": COLOURS}]},
}
COLOUR_MAP: dict[str, Any] = {
    "resourceType": "ConceptMap",
    "id": "colour-to-need",
    "url": "https://example.org/ConceptMap/colour-to-need",
    "status": "active",
    "sourceUri": COLOUR_SET["url"],
    "group": [
        {
            "source": COLOURS,
            "target": NEED,
            "element": [
                {
                    "code": "red",
                    "target": [
                        {
                            "code": "debt",
                            "equivalence": "wider",
                            "product": [{"property": "urn:x:tone", "system": COLOURS, "value": "crimson"}],
                        },
                        {
                            "code": "family",
                            "equivalence": "equal",
                            "dependsOn": [{"property": "urn:x:tone", "value": "dark"}],
                        },
                    ],
                },
                {"code": "puce", "target": [{"equivalence": "unmatched"}]},
            ],
            "unmapped": {"mode": "fixed", "code": "parenting"},
        }
    ],
}


def store_colours(client: httpx.Client) -> httpx.Client:
    """Store them, whatever is there."""
    for resource in (COLOUR_SYSTEM, COLOUR_SET, COLOUR_MAP):
        response = client.put(f"/{resource['resourceType']}/{resource['id']}", json=resource)
        assert response.status_code in (200, 201), response.text
    return client


def parameters(*listed: tuple[str, Any]) -> dict[str, Any]:
    """Build a Parameters; a name is written `name:valueType` or `name:resource`."""
    made = []
    for name, value in listed:
        plain, _, member = name.partition(":")
        made.append({"name": plain, member: value})
    return {"resourceType": "Parameters", "parameter": made}


def outputs(response: httpx.Response) -> dict[str, Any]:
    """Read a Parameters as name → value, or list of these for what has parts; it must be valid R4."""
    assert response.status_code == 200, response.text
    return _read(response.json()["parameter"])


def _read(listed: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in listed:
        if "part" in one:
            found.setdefault(one["name"], []).append(_read(one["part"]))
        else:
            found[one["name"]] = next(value for name, value in one.items() if name.startswith("value"))
    return found


def codes(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [one["code"] for one in response.json()["expansion"].get("contains", ())]
