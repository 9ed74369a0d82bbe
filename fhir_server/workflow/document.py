"""The rules of the referral as a document: docs/referral.md is made from them, so that it cannot drift."""

from fhir_server.workflow.codes import STATUS_REASONS
from fhir_server.workflow.events import TOPICS
from fhir_server.workflow.keys import RULES
from fhir_server.workflow.lifecycle import render_markdown
from fhir_server.workflow.request_lifecycle import REQUEST_TABLE
from fhir_server.workflow.steps import STEPS
from fhir_server.workflow.task_lifecycle import TASK_TABLE

_INTRODUCTION = """\
# The referral: states, rules, reasons

Made by `make docs` from the tables that the server runs; do not edit.

These rules hold for a ServiceRequest, Task or Consent that claims one of our profiles in `meta.profile` (with the setting
`govern_all`: for every ServiceRequest and Task). A move that is not in a table is refused with 422 and the legal next
states; a move by somebody who may not make it with 403. `owner` is the organisation that owns the Task, `claimant` one
that takes a Task without owner, `requester` the organisation that referred, `person` the patient or a representative,
`platform` the server itself.
"""


def referral_document() -> str:
    """Render the state tables, the rule keys, the coded reasons and the event topics as Markdown."""
    parts = [
        _INTRODUCTION,
        "## A Task\n",
        render_markdown(TASK_TABLE),
        "## A ServiceRequest\n",
        render_markdown(REQUEST_TABLE),
        "## Steps of the work\n\nTask.businessStatus, system `https://w3id.org/social-referral/CodeSystem/business-status`.\n",
        _table("step", "may be set while the Task is", {step: ", ".join(states) for step, states in STEPS.items()}),
        "## Rules\n\nThe key stands in `OperationOutcome.issue.details.coding`.\n",
        _table("key", "rule", RULES),
        "## Coded reasons for Task.statusReason\n\nSystem `https://w3id.org/social-referral/CodeSystem/status-reason`.\n",
        _table("code", "meaning", STATUS_REASONS),
        "## Events in the outbox\n",
        _table("topic", "what happened", TOPICS),
    ]
    return "\n".join(parts)


def _table(left: str, right: str, rows: dict[str, str]) -> str:
    lines = [f"| {left} | {right} |", "|---|---|", *(f"| `{key}` | {text} |" for key, text in rows.items())]
    return "\n".join(lines) + "\n"
