"""Plays a scenario of examples/scenarios/: a TestScript whose fixtures lie beside it, over real HTTP.

Of TestScript these are understood: operation (method, url, requestHeader, sourceId, responseId) and assert (responseCode, or
expression with value). `${name}` in a URL or value, and `var.name` in a fixture, stand for a variable: an expression on an
earlier answer.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

import httpx

from fhir_server.artifacts.r4.types import R4Types
from fhir_server.fhirpath import compile_expression

SCENARIOS: Final = Path(__file__).parents[2] / "examples" / "scenarios"
_IN_TEXT: Final = re.compile(r"\$\{([a-z0-9-]+)\}")
_IN_FIXTURE: Final = re.compile(r"var\.([a-z0-9-]+)")
_PATCH: Final = {"contentType": "application/fhir+json"}


class Player:
    """One playing of one scenario against a server."""

    def __init__(self, name: str, http: httpx.Client) -> None:
        self.folder = SCENARIOS / name
        self.script = json.loads((self.folder / "scenario.json").read_text())
        self.http = http
        self.answers: dict[str, httpx.Response] = {}
        self.statuses: list[int] = []
        """The status of each answer that was asserted."""
        self.compared = 0
        self._variables = {one["name"]: one for one in self.script.get("variable", ())}

    def play(self) -> None:
        """Do all actions; an assertion that does not hold fails with the label of its step and the answer."""
        last = ""
        for test in self.script["test"]:
            for action in test["action"]:
                if "operation" in action:
                    last = self._operate(action["operation"])
                else:
                    self._assert(action["assert"], last)

    def _operate(self, operation: dict[str, Any]) -> str:
        headers = {one["field"]: self._filled(one["value"], _IN_TEXT) for one in operation["requestHeader"]}
        body = self._fixture(operation["sourceId"]) if "sourceId" in operation else None
        headers["Content-Type"] = _PATCH["contentType"]
        url = self._filled(operation["url"], _IN_TEXT)
        answer = self.http.request(operation["method"].upper(), url, content=body, headers=headers)
        self.answers[operation["responseId"]] = answer
        return str(operation["responseId"])

    def _assert(self, wanted: dict[str, Any], last: str) -> None:
        answer = self.answers[wanted.get("sourceId", last)]
        told = (
            f"{self.folder.name} {wanted['label']}: {answer.request.method} {answer.request.url}\n{answer.text[:3000]}"
        )
        if "responseCode" in wanted:
            expected = int(wanted["responseCode"])
            assert answer.status_code == expected, told
            self.statuses.append(expected)
            return
        expression = self._filled(wanted["expression"], _IN_TEXT)
        found = [str(one) for one in evaluated(expression, answer.json())]
        assert found == [self._filled(wanted["value"], _IN_TEXT)], f"{expression} is {found}; {told}"
        self.compared += 1

    def _fixture(self, name: str) -> str:
        return self._filled((self.folder / f"{name}.json").read_text(), _IN_FIXTURE)

    def _filled(self, text: str, pattern: re.Pattern[str]) -> str:
        return pattern.sub(lambda match: self._value(match[1]), text)

    def _value(self, name: str) -> str:
        variable = self._variables[name]
        found = evaluated(variable["expression"], self.answers[variable["sourceId"]].json())
        assert found, f"{self.folder.name}: {name} has no value in {variable['sourceId']}"
        return str(found[0])


def evaluated(expression: str, resource: dict[str, Any]) -> list[Any]:
    """Return the values of a FHIRPath on a resource."""
    compiled = compile_expression(expression, types=R4Types())
    return list(compiled.evaluate(resource))
