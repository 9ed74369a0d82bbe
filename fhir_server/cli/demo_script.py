"""What the demo's systems send: the files of examples/erdan, with their dates moved to today.

A consent holds for a while and a message is written on a day; so that the demo works on any day, the first day that a
document names becomes today and its other dates keep their distance. Birth dates stay.
"""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click

from fhir_server.model.codec import decode
from fhir_server.model.errors import FhirError
from fhir_server.model.resource import Resource

_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(T.*)?")
_NOT_MOVED = "birthDate"


class Part(NamedTuple):
    """What one organisation does with its Task: the message that it writes, and the patch that completes the Task."""

    organization: str
    feedback: Resource
    complete: list[Resource]


class Script(NamedTuple):
    """All that is sent in the demo."""

    referral: Resource
    """The transaction of the general practice."""
    request: Resource
    """The ServiceRequest in it."""
    accept: list[Resource]
    start: list[Resource]
    parts: dict[str, Part]
    """By the reference of the organisation."""


def read_script(folder: Path, today: date) -> Script:
    """Read the example. Raises ClickException when it is not there or tells no such story."""
    try:
        referral = _read(folder / "01-referral-bundle.json", today)
        requests = [
            entry["resource"] for entry in referral["entry"] if entry["resource"]["resourceType"] == "ServiceRequest"
        ]
        parts = [
            Part(feedback["sender"]["reference"], feedback, _read(_completion(file), today))
            for file in sorted(folder.glob("04-feedback-*.json"))
            for feedback in [_read(file, today)]
        ]
        accept, start = (_read(folder / name, today) for name in ("02-accept.json", "03-start.json"))
        return Script(referral, requests[0], accept, start, {part.organization: part for part in parts})
    except (OSError, FhirError, LookupError, TypeError) as error:
        raise click.ClickException(f"{folder} does not hold the example that the demo plays: {error!r}") from error


def moved(document: Any, days: timedelta) -> Any:
    """Return a copy of a JSON document with every date and dateTime moved by whole days, birth dates excepted."""
    if isinstance(document, dict):
        return {name: value if name == _NOT_MOVED else moved(value, days) for name, value in document.items()}
    if isinstance(document, list):
        return [moved(item, days) for item in document]
    if isinstance(document, str) and (match := _DAY.fullmatch(document)):
        return f"{date.fromisoformat(match[1]) + days}{match[2] or ''}"
    return document


def _read(file: Path, today: date) -> Any:
    document = decode(file.read_bytes())
    first = min(_days(document), default=today)
    return moved(document, today - first)


def _days(document: Any) -> Iterator[date]:
    if isinstance(document, dict):
        for name, value in document.items():
            if name != _NOT_MOVED:
                yield from _days(value)
    elif isinstance(document, list):
        for item in document:
            yield from _days(item)
    elif isinstance(document, str) and (match := _DAY.fullmatch(document)):
        yield date.fromisoformat(match[1])


def _completion(feedback: Path) -> Path:
    return feedback.with_name(feedback.name.replace("04-feedback-", "05-complete-"))
