"""The moment at which a Consent begins is within it, the moment after its end is not."""

from typing import Any

import pytest

from fhir_server.workflow.consent import permits
from fhir_server.workflow.links import Links
from tests.unit.workflow.region import FAMILY, NOW, Region, consent


@pytest.mark.parametrize(
    ("period", "permitted"),
    [
        ({"start": NOW}, True),
        ({"start": "2026-11-23T09:30:00.001Z"}, False),
        ({"start": "2026-11-23T10:30:00+01:00"}, True),
        ({"end": "2026-11-23T09:29:59.999Z"}, False),
        ({"end": NOW}, True),
        ({"start": "2026-11-23"}, True),
        ({"end": "2026-11-22"}, False),
    ],
)
def test_a_consent_holds_from_its_first_moment_to_its_last(period: dict[str, Any], permitted: bool) -> None:
    region = Region()
    links = Links(region, "", region.rulebook.governs)
    given = consent(provision={"type": "permit", "period": period})
    assert permits(given, "Patient/erdan", frozenset({FAMILY}), NOW, links=links).permitted is permitted
