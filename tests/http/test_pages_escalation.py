"""Where a region tells its contact point of what is late, the page asks whether the person agrees; elsewhere it does not."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import RunningServer
from tests.http.page_checks import check_page
from tests.http.page_reader import PRACTICE, Browser, fhir, region_in, signed_in


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with region_in(tmp_path_factory.mktemp("late"), escalate_overdue=True) as running:
        yield running


@pytest.fixture
def practice(region: RunningServer) -> Iterator[Browser]:
    with signed_in(region, PRACTICE, "referrer") as browser:
        yield browser


def actors(practice: Browser, family: str, **more: str) -> list[Any]:
    """Refer somebody and return whom the nested provisions of the Consent name, with their type."""
    practice.open("/refer")
    practice.submit("/refer/services", need=["debt"], place="1800")
    form = practice.submit("/refer/person", service=["svc-schuldhulp"])
    assert [one.get("type") for one in form.all("input", name="escalation")] == ["checkbox"]
    check_page(form, "en")
    person = {"family": family, "phone": "+32 470 00 00 78", "reason": "Letters unopened", "consented": "yes"}
    french = practice.speak("fr", **person, way="spoken", **more)
    assert [one.get("checked") is not None for one in french.all("input", name="escalation")] == [bool(more)]
    sent = practice.submit("/refer/person", button="send")
    made = fhir(practice, f"ServiceRequest/{str(sent.answer.url.path).rpartition('/')[2]}", PRACTICE, "referrer")
    consent = fhir(practice, made["supportingInfo"][0]["reference"], PRACTICE, "referrer")
    return [
        (one["type"], actor["reference"]["reference"])
        for one in consent["provision"].get("provision", [])
        for actor in one["actor"]
    ]


@pytest.mark.parametrize("said", [{}, {"escalation": "yes"}], ids=["silent", "agreed"])
def test_the_contact_point_is_in_the_consent_only_when_the_person_agrees_to_that(
    practice: Browser, said: dict[str, str]
) -> None:
    covered = [("permit", "Organization/org-aanmeldpunt")] if said else []
    assert actors(practice, f"Late{len(said)}", **said) == covered
