"""The tree of domain errors. It knows nothing of HTTP: `interactions.status` holds the only table to status codes.

FhirError
├── Malformed             the bytes, the URL or a header cannot be understood
├── Invalid               understood, but not a valid R4 resource
├── RuleViolated          valid, but a profile or a rule of the workflow forbids it
├── NotFound · Gone       absent · deleted
├── NotSupported          R4 has it, this server does not
├── MethodNotAllowed      the interaction does not exist at this place
├── VersionConflict       another version is current
├── PreconditionFailed    a conditional interaction matched more than one resource
├── Conflict              the state of other resources forbids it
├── Unauthenticated · Forbidden
├── NotAcceptable · UnsupportedMediaType · TooLarge · TooCostly · Throttled · TimedOut
└── Unavailable           the store cannot take it now; try again after `retry_after` seconds
"""

from collections.abc import Iterable

from fhir_server.model.issue import Issue, IssueCode


class FhirError(Exception):
    """A refusal with one or more issues; `code` is the issue code when only a text is given."""

    code: IssueCode = "processing"
    key: str = "error"

    def __init__(
        self,
        diagnostics: str = "",
        *,
        expression: str = "",
        key: str = "",
        code: IssueCode | None = None,
        issues: Iterable[Issue] = (),
    ) -> None:
        given = tuple(issues)
        self.issues: tuple[Issue, ...] = given or (Issue(key or self.key, code or self.code, diagnostics, expression),)
        super().__init__(self.issues[0].diagnostics)


class Malformed(FhirError):
    """The bytes, the URL or a header cannot be understood."""

    code = "structure"
    key = "malformed"


class Invalid(FhirError):
    """The content is understood but is not a valid R4 resource."""

    code = "invalid"
    key = "invalid"


class RuleViolated(FhirError):
    """A profile or a rule of the workflow forbids a valid resource."""

    code = "business-rule"
    key = "rule"


class NotFound(FhirError):
    """Nothing is, or ever was, at this place."""

    code = "not-found"
    key = "not-found"


class Gone(FhirError):
    """The resource was deleted; its history remains."""

    code = "deleted"
    key = "deleted"


class NotSupported(FhirError):
    """R4 defines it, this server does not offer it."""

    code = "not-supported"
    key = "not-supported"


class MethodNotAllowed(FhirError):
    """The interaction does not exist at this place."""

    code = "not-supported"
    key = "method-not-allowed"

    def __init__(self, diagnostics: str, allowed: tuple[str, ...] = ()) -> None:
        super().__init__(diagnostics)
        self.allowed = allowed


class VersionConflict(FhirError):
    """Another version than the expected one is current."""

    code = "conflict"
    key = "version-conflict"


class PreconditionFailed(FhirError):
    """A condition matched several resources, or not the one that was meant."""

    code = "multiple-matches"
    key = "multiple-matches"


class Conflict(FhirError):
    """The state of other resources forbids it."""

    code = "conflict"
    key = "conflict"


class Unauthenticated(FhirError):
    """The caller did not say, or could not prove, who it is."""

    code = "login"
    key = "login-required"


class Forbidden(FhirError):
    """The caller is known and may not do this."""

    code = "forbidden"
    key = "forbidden"


class NotAcceptable(FhirError):
    """None of the media types that the client accepts can be produced."""

    code = "not-supported"
    key = "not-acceptable"


class UnsupportedMediaType(FhirError):
    """The body is of a media type that this interaction does not take."""

    code = "not-supported"
    key = "unsupported-media-type"


class TooLarge(FhirError):
    """The body exceeds a limit that is a setting."""

    code = "too-long"
    key = "too-large"


class TooCostly(FhirError):
    """The request would take more work than a limit that is a setting."""

    code = "too-costly"
    key = "too-costly"


class Throttled(FhirError):
    """The caller asks more often than a limit that is a setting; try again after `retry_after` seconds."""

    code = "throttled"
    key = "too-many-requests"

    def __init__(self, diagnostics: str, retry_after: int = 1) -> None:
        super().__init__(diagnostics)
        self.retry_after = retry_after


class TimedOut(FhirError):
    """The body did not arrive within a time that is a setting."""

    code = "timeout"
    key = "body-too-slow"


class Unavailable(FhirError):
    """The store cannot take the request now and lost nothing; try again after `retry_after` seconds."""

    code = "transient"
    key = "store-unavailable"

    def __init__(self, diagnostics: str, retry_after: int = 1) -> None:
        super().__init__(diagnostics)
        self.retry_after = retry_after
