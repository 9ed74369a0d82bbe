"""What `$refer` is asked, with the place of each parameter in what was sent, so that a refusal can point at it."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from fhir_server.interactions.context import Engine
from fhir_server.interactions.operations.parameters import read_inputs
from fhir_server.interactions.request import Request
from fhir_server.model.codec import decode_resource
from fhir_server.model.errors import Invalid
from fhir_server.model.issue import Issue, IssueCode
from fhir_server.model.resource import Resource
from fhir_server.model.temporal import parse_temporal
from fhir_server.workflow.deadlines import has_passed

DEFINITION: Final = "https://w3id.org/social-referral/OperationDefinition/refer"
MOST_NEEDS: Final = 20
MOST_RECIPIENTS: Final = 10
MOST_RESPONSES: Final = 5
LINE: Final = 250
"""Characters of a reason: as profile social-referral has it (ssr-3)."""
_NAME: Final = 200
_CONTACT: Final = 100
_LENGTHS: Final = {
    "reason": LINE,
    "name": _NAME,
    "phone": _CONTACT,
    "email": _CONTACT,
    "postal-code": 20,
    "city": _NAME,
}
_MOST: Final = {"need": MOST_NEEDS, "recipient": MOST_RECIPIENTS, "plan": MOST_RECIPIENTS, "response": MOST_RESPONSES}
_PRIORITIES: Final = ("routine", "urgent", "asap", "stat")
_PERSON: Final = ("patient", "subject", "name")
_CONSENT: Final = ("consent", "consent-reference", "consent-way", "consent-pending")


class Asked(NamedTuple):
    """The parameters by name (each with all its values) and their places in the body, "" for the URL."""

    values: Mapping[str, tuple[Any, ...]]
    places: Mapping[str, tuple[str, ...]]

    def one(self, name: str) -> Any:
        """Return the value of a parameter, None when it was not sent."""
        found = self.values.get(name, ())
        return found[0] if found else None

    def text(self, name: str) -> str:
        """Return a text without blanks around it, "" when it was not sent."""
        return str(self.one(name) or "").strip()

    def all(self, name: str) -> tuple[Any, ...]:
        """Return all values of a parameter."""
        return self.values.get(name, ())

    def place(self, name: str, index: int = 0, within: str = "") -> str:
        """Return where a value stands: `Parameters.parameter[3].valueString`; the body itself for what was not sent."""
        found = self.places.get(name, ())
        place = found[index] if index < len(found) else ""
        if not place:
            return "Parameters"
        return f"{place}.{within}" if within and "[" in place else place


def read_asked(engine: Engine, request: Request, definition: str = DEFINITION) -> Asked:
    """Read the parameters. Raises Malformed or Invalid for what the operation does not take."""
    inputs = read_inputs(engine, request, definition)
    described = engine.catalog.get("OperationDefinition", definition) or {}
    names = [one["name"] for one in described.get("parameter", ()) if one["use"] == "in"]
    return Asked(
        {name: inputs.values(name) for name in names if inputs.given(name)}, _places(request, inputs.where, names)
    )


def check(asked: Asked) -> None:
    """Raise Invalid with everything that is missing, too long or contradictory in the short form."""
    issues = [*_lengths(asked), *_parties(asked), *_counts(asked), *_values(asked)]
    if issues:
        raise Invalid(issues=issues)


def require_time_left(asked: Asked, now: str) -> None:
    """Raise Invalid when the person is to be contacted by a moment that has passed: it would be overdue at birth."""
    until = asked.text("contact-by")
    if until and has_passed(until, now):
        text = (
            f"The person is to be contacted by {until}, which has passed. Name a day to come, or leave contact-by out."
        )
        raise Invalid(issues=[issue(text, asked.place("contact-by"), "value")])


def issue(text: str, expression: str, code: IssueCode = "required", key: str = "refer-input") -> Issue:
    """Return an issue of `$refer`."""
    return Issue(key, code, text, expression)


def _places(request: Request, where: Any, names: list[str]) -> dict[str, tuple[str, ...]]:
    body = decode_resource(request.body) if request.method == "POST" and request.body else {}
    if body.get("resourceType") != "Parameters":
        return {name: (where(name),) for name in names if where(name)}
    found: dict[str, list[str]] = {}
    for index, parameter in enumerate(body.get("parameter", ())):
        member = next((name for name in parameter if name == "resource" or name.startswith("value")), "")
        found.setdefault(parameter["name"], []).append(f"Parameters.parameter[{index}].{member}".rstrip("."))
    return {name: tuple(places) for name, places in found.items()}


def _lengths(asked: Asked) -> list[Issue]:
    return [
        issue(
            f"{name} has {len(asked.text(name))} characters; {most} at most are taken. A receiver needs no more.",
            asked.place(name),
            "too-long",
        )
        for name, most in _LENGTHS.items()
        if len(asked.text(name)) > most
    ]


def _parties(asked: Asked) -> list[Issue]:
    issues = []
    if len(persons := [name for name in _PERSON if name in asked.values]) != 1:
        text = f"Say who the person is in one way: {', '.join(_PERSON)}. Found {' and '.join(persons) or 'none'}."
        issues.append(issue(text, asked.place(persons[1]) if persons else "Parameters"))
    if "name" in asked.values and not asked.text("name"):
        issues.append(issue("The name is blank.", asked.place("name")))
    if "name" in asked.values and not (asked.text("phone") or asked.text("email")):
        issues.append(issue("With a name comes a way to reach the person: phone or email.", asked.place("name")))
    given = [name for name in _CONSENT if name in asked.values and asked.one(name) is not False]
    if len(given) != 1:
        text = (
            f"Say in one way whether the person consents: {', '.join(_CONSENT)}. Found {' and '.join(given) or 'none'}."
        )
        issues.append(issue(text, asked.place(given[1]) if given else "Parameters"))
    if "response" in asked.values and asked.one("consent-pending") is True:
        text = (
            "Answers are given by the person, who can then be asked for consent too. Leave the response out of a signal "
            "(consent-pending), or send it with the consent."
        )
        issues.append(issue(text, asked.place("response"), "business-rule"))
    if not asked.text("reason"):
        text = f"Say in one line why the person is referred: reason, 1 to {LINE} characters."
        issues.append(issue(text, asked.place("reason")))
    return issues


def _counts(asked: Asked) -> list[Issue]:
    return [
        issue(
            f"{len(asked.all(name))} values of {name} were sent; {most} at most are taken.",
            asked.place(name, most),
            "too-long",
        )
        for name, most in _MOST.items()
        if len(asked.all(name)) > most
    ]


def _values(asked: Asked) -> list[Issue]:
    issues = []
    if asked.text("priority") and asked.text("priority") not in _PRIORITIES:
        issues.append(issue(f"The priority is one of {', '.join(_PRIORITIES)}.", asked.place("priority"), "value"))
    for name in ("contact-by", "consent-until", "birth-date"):
        if name not in asked.values:
            continue
        try:
            parse_temporal(asked.text(name))
        except ValueError:
            issues.append(
                issue(
                    f"{name} is {asked.text(name)[:40]!r}; send a date such as 2026-12-01.", asked.place(name), "value"
                )
            )
    issues += _postal(asked)
    for name in ("subject", "consent-reference", "requester", "based-on", "recipient"):
        for index, reference in enumerate(asked.all(name)):
            if not isinstance(reference.get("reference"), str):
                text = f"{name} is a reference to a resource here, such as {_SUCH[name]}."
                issues.append(issue(text, asked.place(name, index), "value"))
    own: Resource = asked.one("identifier") or {}
    if "identifier" in asked.values and not (own.get("system") and own.get("value")):
        issues.append(issue("An identifier has a system and a value.", asked.place("identifier"), "value"))
    return issues


def _postal(asked: Asked) -> list[Issue]:
    """Return an issue for a postal code that is none in any country, or not in the one that the address names."""
    address: Resource = asked.one("address") or {}
    country = str(address.get("country", "")).upper()[:2]
    given = (
        ("postal-code", "", asked.text("postal-code")),
        ("address", "postalCode", str(address.get("postalCode", ""))),
    )
    form = _POSTAL.get(country if country in _POSTAL else "", _POSTAL[""])
    return [
        issue(
            f"{text[:40]!r} is no postal code. Send one as 1800 (Belgium) or 1811 AB (Netherlands), or the municipality.",
            asked.place(name, 0, member),
            "value",
        )
        for name, member, text in given
        if text and not form.fullmatch(text.strip().upper())
    ]


_POSTAL: Final = {
    "BE": re.compile(r"(?:BE?-?)?[1-9]\d{3}", re.ASCII),
    "NL": re.compile(r"(?:NL-?)?[1-9]\d{3}(?: ?[A-Z]{2})?", re.ASCII),
    "": re.compile(r"(?=.*[1-9])[A-Z0-9](?:[A-Z0-9 -]{1,10})", re.ASCII),
}
"""Country → what its postal codes look like; "" is anywhere: letters and digits, of which one is no zero."""
_SUCH: Final = {
    "subject": "Patient/7",
    "consent-reference": "Consent/7",
    "requester": "Organization/7",
    "based-on": "ServiceRequest/7",
    "recipient": "HealthcareService/7",
}
