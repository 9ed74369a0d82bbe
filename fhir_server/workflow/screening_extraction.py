"""What an extraction yields: resources with a lasting identity, so that extracting twice doubles nothing.

The identity of what is extracted is a UUID made of the response and of the place of the answer in it. It is the identifier of the
resource (system urn:ietf:rfc:3986) and, in the Bundle, the fullUrl by which the others refer to it.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from fhir_server.model.resource import Resource
from fhir_server.workflow.codes import CANONICAL
from fhir_server.workflow.screening_flow import Flow, Given, everywhere, value_of
from fhir_server.workflow.screening_form import Form
from fhir_server.workflow.wording import PLAIN, Wording

URI_SYSTEM: Final = "urn:ietf:rfc:3986"
_INSTANT_LENGTH: Final = 20
"""The least characters of a dateTime with seconds and zone."""


class Update(NamedTuple):
    """What a definition says of writing a resource.

    `decides` are the elements (of a choice without type) that the answers decide; all others belong to who works with the resource.
    `if_none_exist` is the condition of its creation and `if_match` the version that it updates, "" where not said; `place` is where the
    questionnaire says so.
    """

    decides: frozenset[str]
    if_none_exist: str
    if_match: str
    place: str


class Extracted(NamedTuple):
    """A resource that answers give rise to; `urn` is its identity, `link_id` and `answer` tell which answer it is made of."""

    urn: str
    resource: Resource
    link_id: str
    answer: str = ""
    update: "Update | None" = None
    """How it is written where a definition says so; None where its type decides."""


class Source(NamedTuple):
    """The response that is extracted from: with its calculated values, its identity, and how others refer to it."""

    form: Form
    root: Given
    flow: Flow
    response: Resource
    basis: str
    reference: str
    wording: Wording = PLAIN
    """In whose language what is made speaks."""

    def urn(self, key: str) -> str:
        """Return the identity of what is made at a place of this response."""
        return lasting_urn(f"{self.basis}/{key}")

    def answered(self) -> Iterator[Given]:
        """Yield the items of known, enabled questions and groups, in the order of the response."""
        for given in everywhere(self.root):
            if given.question is not None and given.over is not None and self.flow.enabled(given.question, given.over):
                yield given

    @property
    def author(self) -> Resource | None:
        """Who wrote the answers down, or else gave them."""
        found: Resource | None = self.response.get("author") or self.response.get("source")
        return found

    @property
    def authored(self) -> str:
        """When the answers were given."""
        return str(self.response["authored"])


def lasting_urn(text: str) -> str:
    """Return the UUID that a text always gives, as a URN."""
    return f"urn:uuid:{uuid5(NAMESPACE_URL, f'{CANONICAL}/extraction/{text}')}"


def identified(source: Source, urn: str) -> Resource:
    """Return the members that everything extracted begins with, the type aside: its identifier and the person."""
    return {"identifier": [{"system": URI_SYSTEM, "value": urn}], "subject": source.response["subject"]}


def place_key(given: Given) -> str:
    """Return the linkIds that lead to an item, with its number where a group around it repeats."""
    steps: list[str] = []
    one = given
    while one.over is not None:
        name = one.raw["linkId"]
        same = [each for each in one.over.below if each.raw["linkId"] == name]
        steps.append(f"{name}:{same.index(one)}" if len(same) > 1 and same[0] is not one else name)
        one = one.over
    return "/".join(reversed(steps))


def answer_key(given: Given, answer: Resource) -> str:
    """Return what tells one of several answers from the others, "" for a question that takes one only."""
    if given.question is None or not given.question.repeats:
        return ""
    name, value = value_of(answer)
    if name == "valueCoding":
        return f"{value.get('system', '')}|{value.get('code', '')}"
    return digest(value)


def digest(value: Any) -> str:
    """Return a short text that stands for a value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def is_instant(text: str) -> bool:
    """Tell whether a dateTime has seconds and a zone, as an instant must."""
    return "T" in text and len(text) >= _INSTANT_LENGTH


def refers_to(reference: Resource | None, *kinds: str) -> bool:
    """Tell whether a reference names a resource of one of the types, as far as it says."""
    if reference is None:
        return False
    text = str(reference.get("reference", ""))
    kind = reference.get("type") or (text.split("/")[-2] if "/" in text else "")
    return kind in kinds
