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

    person: Resource
    answers: Resource
    """What he answers to a questionnaire, completed."""
    referral: Resource
    """The Bundle of the general practice for `$refer`: the Consent, and the ServiceRequest with the services it chose."""
    request: Resource
    """The ServiceRequest in it."""
    accept: list[Resource]
    start: list[Resource]
    parts: dict[str, Part]
    """By the reference of the organisation."""
    needs: dict[str, str]
    """The code of each need that a message is about, by the reference there."""

    def about(self, needs: dict[str, str]) -> "Script":
        """Return the same script with messages about the needs that are there: their references by code."""
        parts = {
            owner: part._replace(feedback={**part.feedback, "about": self._found(part.feedback, needs)})
            for owner, part in self.parts.items()
        }
        return self._replace(parts=parts)

    def _found(self, message: Resource, needs: dict[str, str]) -> list[Resource]:
        return [{"reference": needs[self.needs[one["reference"]]]} for one in message["about"]]


def read_script(folder: Path, today: date) -> Script:
    """Read the example. Raises ClickException when it is not there or tells no such story."""
    try:
        record = _read(folder / "00-record.json", today)
        answers = _read(folder / "00-answers.json", today)
        referral = _read(folder / "01-refer.json", today)
        parts = [
            Part(feedback["sender"]["reference"], feedback, _read(_completion(file), today))
            for file in sorted(folder.glob("04-feedback-*.json"))
            for feedback in [_read(file, today)]
        ]
        accept, start = (_read(folder / name, today) for name in ("02-accept.json", "03-start.json"))
        person, request = _resource(record, "Patient"), _resource(referral, "ServiceRequest")
        by_organization = {part.organization: part for part in parts}
        return Script(person, answers, referral, request, accept, start, by_organization, _needs(record))
    except (OSError, FhirError, LookupError, TypeError) as error:
        raise click.ClickException(f"{folder} does not hold the example that the demo plays: {error!r}") from error


def _resource(bundle: Resource, resource_type: str) -> Resource:
    """Return the first resource of a type in a Bundle. Raises LookupError when it has none."""
    found = [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == resource_type]
    first: Resource = found[0]
    return first


def _needs(record: Resource) -> dict[str, str]:
    conditions = [one["resource"] for one in record["entry"] if one["resource"]["resourceType"] == "Condition"]
    return {f"Condition/{one['id']}": one["code"]["coding"][0]["code"] for one in conditions}


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
