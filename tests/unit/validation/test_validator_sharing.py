"""A validator is shared by all threads, and judging costs no more than a few times what parsing costs."""

import threading

from fhir_server.artifacts.r4 import resource_types
from fhir_server.validation.pipeline import Validator

REFERRAL = {
    "resourceType": "ServiceRequest", "id": "r1", "status": "active", "intent": "order", "priority": "routine",
    "meta": {"profile": ["https://w3id.org/social-referral/StructureDefinition/social-referral"]},
    "identifier": [{"system": "urn:oid:1.2.3", "value": "7"}, {"system": "https://e.org/id", "value": "R-2026-0007"}],
    "category": [{"coding": [{"system": "http://snomed.info/sct", "code": "410606002", "display": "Social service procedure"}]}],
    "code": {"coding": [{"system": "http://snomed.info/sct", "code": "467771000124109", "display": "Assistance with application"}],
             "text": "Help with an application for a social tariff"},
    "subject": {"reference": "Patient/p1", "display": "An Peeters"},
    "requester": {"reference": "PractitionerRole/gp1", "display": "Dr. Jan Maes"},
    "performer": [{"reference": "Organization/caw", "display": "CAW"}],
    "authoredOn": "2026-11-21T10:00:00+01:00", "occurrencePeriod": {"start": "2026-11-21", "end": "2026-12-21"},
    "reasonReference": [{"reference": "Condition/c1"}], "supportingInfo": [{"reference": "Consent/s1"}],
    "reasonCode": [{"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "Z59.6", "display": "Low income"}]}],
    "note": [{"text": "Prefers to be called after six in the evening.", "time": "2026-11-21T10:00:00Z"}],
}  # fmt: skip


def test_threads_that_meet_an_uncompiled_type_get_the_same_verdict() -> None:
    validator = Validator.load()
    start, verdicts = threading.Barrier(8), []

    def judge() -> None:
        start.wait()
        found = [
            validator.validate({"resourceType": kind, "nonsense": 1, "id": "a"}) for kind in sorted(resource_types())
        ]
        verdicts.append([[issue.key for issue in issues if issue.key == "unknown-element"] for issues in found])

    threads = [threading.Thread(target=judge) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == [[["unknown-element"]] * len(resource_types())] * 8
