"""The connection to the server: how it is set up, a limit on time, and what its errors mean to a client."""

import time
from dataclasses import dataclass, field
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import (
    ClientBulkWriteException,
    ConnectionFailure,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from fhir_server.model.errors import FhirError, TooCostly, TooLarge, Unavailable

Document = dict[str, Any]

DEFAULT_DATABASE = "fhir"
MAJORITY = WriteConcern("majority", j=True)
SNAPSHOT = ReadConcern("snapshot")
_DUPLICATE, _TOO_LARGE = 11000, (10334, 17280, 17419, 17420)
_ANSWER_SECONDS = 30.0
"""How long an answer may take beyond the limit of a search before the connection counts as lost."""
_AWAY = "a member of the cluster does not answer"
_MEANINGS = {
    6: _AWAY,
    7: _AWAY,
    13: "the user may not do this on the database",
    18: "the server does not accept the user or the password",
    24: "the server waited too long for a lock",
    50: "the server took too long",
    79: "the write concern of the server is not known to it",
    89: _AWAY,
    91: "the server is being stopped",
    112: "others wrote at the same time, again and again",
    133: "the replica set has no primary",
    134: "the replica set has just chosen its primary",
    189: "the primary has stepped down",
    225: "a transaction of the server is full",
    246: "the state that was being read is too old by now",
    251: "the server has ended the transaction",
    262: "the server took too long",
    384: "the connection to the server broke",
    8000: "the server does not accept the user or the password",
    9001: "the connection to the server broke",
    14031: "the disk of the server is full",
}
_TRANSIENT = ("TransientTransactionError", "RetryableWriteError")


@dataclass(frozen=True, slots=True)
class Settings:
    """How the server is used. `url` names the members and the database (`fhir` when it names none)."""

    url: str = field(repr=False)
    query_seconds: float = 5.0
    busy_seconds: float = 5.0


class Link:
    """A client with its pool of connections; safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        """Set the connection up; nothing is sent yet. Raises pymongo's ConfigurationError for a URL that is wrong."""
        milliseconds = round(1000 * settings.busy_seconds)
        self.client: MongoClient[Document] = MongoClient(
            settings.url,
            appname="fhir-server",
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
            socketTimeoutMS=round(1000 * (settings.query_seconds + _ANSWER_SECONDS)),
            waitQueueTimeoutMS=milliseconds,
            tz_aware=True,
        )
        self.stated = self.client.write_concern
        self.db: Database[Document] = self.client.get_default_database(DEFAULT_DATABASE).with_options(
            read_concern=ReadConcern("majority"), write_concern=MAJORITY, read_preference=ReadPreference.PRIMARY
        )
        self.settings = settings

    def namespace(self, collection: str) -> str:
        """Return the full name of a collection."""
        return f"{self.db.name}.{collection}"

    def close(self) -> None:
        """Release every connection."""
        self.client.close()


class Bound:
    """The time that one search may take."""

    __slots__ = ("_seconds", "_until")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def left_ms(self) -> int:
        """Return the milliseconds that are left, at least 1. Raises TooCostly when there are none."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise self.refusal()
        return max(1, round(1000 * left))

    def refusal(self) -> TooCostly:
        """Return the refusal of a search that took too long."""
        return TooCostly(
            f"The search took more than {self._seconds:g} seconds and was stopped. Add a parameter that narrows it "
            "(an identifier, a patient, an owner, a status), or ask for a shorter range.",
            key="search-too-costly",
        )


def inner(error: PyMongoError) -> PyMongoError:
    """Return the error that stopped a bulk write, or the error itself."""
    if isinstance(error, ClientBulkWriteException) and isinstance(error.error, PyMongoError):
        return error.error
    return error


def is_transient(error: PyMongoError) -> bool:
    """Whether a transaction that met this error may simply be run again."""
    found = inner(error)
    return (
        any(found.has_error_label(label) or error.has_error_label(label) for label in _TRANSIENT)
        or isinstance(found, ConnectionFailure)
        or 112 in _codes(error)  # noqa: PLR2004  # WriteConflict, which a bulk write may report without its label
    )


def is_duplicate(error: PyMongoError) -> bool:
    """Whether a unique key was there already."""
    return isinstance(inner(error), DuplicateKeyError) or _DUPLICATE in _codes(error)


def _codes(error: PyMongoError) -> set[int]:
    codes: set[int] = set()
    if isinstance(error, ClientBulkWriteException):
        codes.update(one["code"] for one in error.details.get("writeErrors", ()) if "code" in one)
    found = inner(error)
    if isinstance(found, OperationFailure) and found.code is not None:
        codes.add(found.code)
    return codes


def explained(error: PyMongoError, retry_after: int = 1) -> FhirError | None:
    """Return what an error of the driver means to a client; None when it is a mistake of this program."""
    found, codes = inner(error), _codes(error)
    if isinstance(found, DocumentTooLarge) or codes.intersection(_TOO_LARGE):
        return TooLarge("The resource is larger than MongoDB can keep in one document (16 MB). Split it up.")
    if isinstance(found, ConnectionFailure):
        meaning = f"no answer came from the MongoDB server ({_first_line(found)})"
        return _unavailable(meaning, max(retry_after, 2))
    if isinstance(found, WTimeoutError):
        return _unavailable("too few members of the replica set confirmed the write in time", retry_after)
    for code in codes:
        if code in _MEANINGS:
            return _unavailable(f"{_MEANINGS[code]} ({_first_line(found)})", retry_after)
    if isinstance(found, ExecutionTimeout):
        return _unavailable("the server took too long", retry_after)
    if is_transient(error):
        return _unavailable(_first_line(found), retry_after)
    return None


def _unavailable(meaning: str, retry_after: int) -> Unavailable:
    return Unavailable(
        f"The store cannot take the request now: {meaning}. Nothing was changed; try again later.", retry_after
    )


def _first_line(error: PyMongoError) -> str:
    return str(error).split(", full error", 1)[0].split(", Timeout:", 1)[0].splitlines()[0][:300]


def translated(error: BaseException) -> BaseException:
    """Return the domain error for an error of the driver; any other error as it is."""
    return (explained(error) or error) if isinstance(error, PyMongoError) else error
