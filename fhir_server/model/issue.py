"""Issues and the OperationOutcome that carries them (R4 operationoutcome.html)."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from fhir_server.model.resource import Resource

Severity = Literal["fatal", "error", "warning", "information"]
IssueCode = Literal[
    "invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired", "forbidden",
    "suppressed", "processing", "not-supported", "duplicate", "multiple-matches", "not-found", "deleted", "too-long",
    "code-invalid", "extension", "too-costly", "business-rule", "conflict", "transient", "lock-error", "no-store",
    "exception", "timeout", "incomplete", "throttled", "informational",
]  # fmt: skip
"""https://hl7.org/fhir/R4/valueset-issue-type.html"""

KEY_SYSTEM = "https://w3id.org/social-referral/CodeSystem/issue-key"
"""CodeSystem of the stable keys in `issue.details.coding`."""


class Issue(NamedTuple):
    """One finding: what is wrong, where, and what to do about it.

    `key` is stable: clients may branch on it, tests and documentation name it. `expression` is a FHIRPath
    on the body as it was sent (`Patient.name[0].given[1]`), or empty where no element is at fault.
    `diagnostics` says what was found and what to do, in a sentence for a person.
    """

    key: str
    code: IssueCode
    diagnostics: str
    expression: str = ""
    severity: Severity = "error"

    def to_json(self) -> Resource:
        """Render as an element of OperationOutcome.issue."""
        text = str(self.diagnostics)  # it may be of a class that knows other languages
        rendered: Resource = {
            "severity": self.severity,
            "code": self.code,
            "details": {"coding": [{"system": KEY_SYSTEM, "code": self.key}], "text": text},
            "diagnostics": text,
        }
        if self.expression:
            rendered["expression"] = [self.expression]
        return rendered


def operation_outcome(issues: Iterable[Issue]) -> Resource:
    """Build an OperationOutcome; R4 asks at least one issue, so an empty list says that all is well."""
    rendered = [issue.to_json() for issue in issues]
    if not rendered:
        rendered = [Issue("all-ok", "informational", "All OK", severity="information").to_json()]
    return {"resourceType": "OperationOutcome", "issue": rendered}


def has_errors(issues: Iterable[Issue]) -> bool:
    """Tell whether any issue is an error or fatal."""
    return any(issue.severity in ("error", "fatal") for issue in issues)
