"""A FHIR request and its outcome as plain values: the same for an HTTP request and for an entry of a Bundle."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal, NamedTuple

from fhir_server.access.principal import ANONYMOUS, Principal
from fhir_server.model.issue import Issue
from fhir_server.store.port import Version

Parameters = tuple[tuple[str, str], ...]
"""Query parameters in the order they were sent, decoded."""

ReturnPreference = Literal["minimal", "representation", "OperationOutcome"]


class Preconditions(NamedTuple):
    """The conditional headers, or the members of Bundle.entry.request that stand for them, as they were sent."""

    if_match: str = ""
    if_none_match: str = ""
    if_modified_since: str = ""
    if_none_exist: str | None = None


NO_PRECONDITIONS = Preconditions()


class Request(NamedTuple):
    """One interaction that a caller asks for; `path` is relative to the base, without leading slash or query."""

    method: str
    path: str
    query: Parameters = ()
    body: bytes | None = None
    content_type: str = ""
    preconditions: Preconditions = NO_PRECONDITIONS
    returns: ReturnPreference | None = None
    strict: bool = True
    """False after `Prefer: handling=lenient`."""
    principal: Principal = ANONYMOUS
    base: str = ""
    """The base URL under which the caller sees the server."""
    languages: str = ""
    """`Accept-Language`, as it was sent."""
    request_id: str = ""
    """What both sides call this request in their logs."""


class Kind(StrEnum):
    """What became of a request that was not refused."""

    OK = "ok"
    CREATED = "created"
    NO_CONTENT = "no-content"
    NOT_MODIFIED = "not-modified"


class Result(NamedTuple):
    """An answer: a resource as bytes, or issues to tell as an OperationOutcome, or neither.

    `version` gives ETag and Last-Modified. `located` asks for a Location header that names the new version.
    """

    kind: Kind
    body: bytes | None = None
    version: Version | None = None
    located: bool = False
    issues: tuple[Issue, ...] = ()
    media_type: str = ""
    """What the body is, when it is no resource."""
    language: str = ""
    """The Content-Language of a body that was made in the language of the caller."""
    tag: str = ""
    """The entity tag of an answer that is no single version, without `W/` and quotes."""
    modified: int = 0
    """When such an answer last changed, milliseconds since the epoch; 0 when that is not known."""
    idle: int = -1
    """Nothing has happened up to this sequence number: who has patience may wait for more (`operation.Patience`)."""
    shown: Sequence[Version] = ()
    """The resources in a Bundle, where they are at hand: the audit trail need not look them up in its bytes."""


class Place(NamedTuple):
    """Where a request points: `""` for the parts it does not name."""

    type: str = ""
    id: str = ""
    version: str = ""
    member: str = ""
    """The resource type that is asked for within a compartment, whose identity `type` and `id` then are."""
