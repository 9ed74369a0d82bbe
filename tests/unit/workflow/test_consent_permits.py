"""Whom a Consent permits to receive, for what, and how long."""

from typing import Any

import pytest

from fhir_server.workflow.consent import permits
from fhir_server.workflow.links import Links
from tests.unit.workflow.consenting import RECIPIENT, to
from tests.unit.workflow.region import (
    FAMILY,
    NOW,
    WORK,
    Region,
    consent,
    ref,
)

PERIOD = {"start": "2026-11-20", "end": "2027-05-20"}


@pytest.mark.parametrize(
    ("changes", "family", "work", "reason"),
    [
        ({}, True, True, ""),
        ({"provision": None}, True, True, ""),
        ({"provision": {"period": PERIOD}}, True, True, ""),
        ({"provision": None, "policyRule": {"coding": [{"code": "OPTOUT"}]}}, False, False, "denies"),
        ({"status": "inactive"}, False, False, "status is inactive"),
        ({"status": "proposed"}, False, False, "status is proposed"),
        ({"scope": {"coding": [{"code": "research"}]}}, False, False, "scope"),
        ({"patient": ref("Patient/mila")}, False, False, "another person"),
        ({"patient": None}, False, False, "another person"),
        ({"provision": {"type": "permit", "period": {"end": "2026-11-22"}}}, False, False, "ended on 2026-11-22"),
        ({"provision": {"type": "permit", "period": {"start": "2026-11-24"}}}, False, False, "holds from 2026-11-24"),
        ({"provision": {"type": "permit", "period": {"start": "2026-11-23", "end": "2026-11-23"}}}, True, True, ""),
        ({"provision": {"type": "deny"}}, False, False, "denies"),
        ({"provision": {"type": "permit", "actor": to(FAMILY)}}, True, False, "does not name the recipient"),
        ({"provision": {"type": "permit", "actor": to(FAMILY, WORK)}}, True, True, ""),
        ({"provision": {"type": "permit", "actor": [{"role": RECIPIENT}]}}, False, False, "does not name"),
        (
            {"provision": {"type": "deny", "provision": [{"type": "permit", "actor": to(FAMILY)}]}},
            True,
            False,
            "denies",
        ),
        (
            {"provision": {"type": "permit", "provision": [{"type": "deny", "actor": to(WORK)}]}},
            True,
            False,
            "denies the recipient",
        ),
        (
            {"provision": {"type": "permit", "provision": [{"type": "deny", "class": [{"code": "Condition"}]}]}},
            True,
            True,
            "",
        ),
        (
            {
                "provision": {
                    "type": "permit",
                    "provision": [{"type": "deny", "actor": to(WORK), "period": {"end": "2026-11-01"}}],
                }
            },
            True,
            True,
            "",
        ),
        (
            {"provision": {"type": "deny", "actor": to(WORK)}, "policyRule": {"coding": [{"code": "OPTIN"}]}},
            True,
            False,
            "denies",
        ),
        ({"provision": {"type": "deny", "actor": to(WORK)}}, False, False, "denies"),
        (
            {"provision": {"type": "permit", "provision": [{"type": "deny", "period": {"start": "2026-11-23"}}]}},
            False,
            False,
            "denies the recipient",
        ),
    ],
)
def test_a_consent_permits_who_it_names_while_it_holds(
    changes: dict[str, Any], family: bool, work: bool, reason: str
) -> None:
    links = Links(Region(), "", bool)
    for recipient, expected in ((FAMILY, family), (WORK, work)):
        verdict = permits(consent(**changes), "Patient/erdan", frozenset({recipient}), NOW, links=links)
        assert verdict.permitted is expected
        if not expected:
            assert reason in verdict.reason


def test_a_consent_for_some_needs_covers_only_these() -> None:
    needs_food = {"type": "permit", "code": [{"coding": [{"system": "urn:needs", "code": "food"}]}]}
    links = Links(Region(), "", bool)
    for code, expected in (("food", True), ("work", False)):
        verdict = permits(
            consent(provision=needs_food),
            "Patient/erdan",
            frozenset({FAMILY}),
            NOW,
            needs=frozenset({("urn:needs", code), ("urn:other", "x")}),
            links=links,
        )
        assert verdict.permitted is expected
    unlimited = permits(consent(provision=needs_food), "Patient/erdan", None, NOW, links=links)
    assert unlimited.permitted, "needs in other systems cannot be compared"


def test_a_permission_inside_a_denial_holds_for_its_own_period_only() -> None:
    links = Links(Region(), "", bool)
    past = {"type": "permit", "actor": to(FAMILY), "period": {"end": "2026-10-01"}}
    verdict = permits(
        consent(provision={"type": "deny", "provision": [past, {"type": "permit", "actor": to(WORK)}]}),
        "Patient/erdan",
        frozenset({FAMILY}),
        NOW,
        links=links,
    )
    assert not verdict.permitted
