"""The parties of examples/erdan, each with a system of its own on one server."""

import json
from pathlib import Path
from typing import Any

import httpx

EXAMPLES = Path(__file__).parents[2] / "examples"
GP = "org-praktijk-bea"
PARENTING = "org-gezinskompas"
WORK = "org-werkspoor"
OUTSIDER = "org-taalhuis"
JSON_PATCH = "application/json-patch+json"
OPEN: list[httpx.Client] = []
"""The clients of actors; who starts the server hangs up."""


def example(name: str) -> Any:
    return json.loads((EXAMPLES / name).read_text())


class Actor:
    """One organisation's system."""

    def __init__(self, base: str, organization: str, roles: str = "") -> None:
        headers = {"Content-Type": "application/fhir+json", "X-Dev-Organization": f"Organization/{organization}"}
        if roles:
            headers["X-Dev-Roles"] = roles
        self.http = httpx.Client(base_url=base, headers=headers, timeout=30)
        OPEN.append(self.http)
        self.organization = organization

    def inbox(self, **params: str) -> list[dict[str, Any]]:
        query = {"owner": f"Organization/{self.organization}", "_sort": "_lastUpdated", **params}
        bundle = self.http.get("/Task", params=query).json()
        return [entry["resource"] for entry in bundle.get("entry", [])]

    def patch(self, task: dict[str, Any], operations: Any, if_match: str | None = None) -> httpx.Response:
        headers = {"Content-Type": JSON_PATCH, "If-Match": if_match or f'W/"{task["meta"]["versionId"]}"'}
        return self.http.patch(f"/Task/{task['id']}", json=operations, headers=headers)

    def move(self, task: dict[str, Any], status: str, **members: Any) -> httpx.Response:
        operations = [{"op": "replace", "path": "/status", "value": status}]
        operations += [{"op": "add", "path": f"/{name}", "value": value} for name, value in members.items()]
        return self.patch(task, operations)


def tasks_of(gp: Actor, focus: str = "ServiceRequest/erdan-referral") -> list[dict[str, Any]]:
    bundle = gp.http.get("/Task", params={"focus": focus}).json()
    return [entry["resource"] for entry in bundle.get("entry", [])]
