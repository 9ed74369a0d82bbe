"""A load stores what it can, tries again what came too early, and tells the rest."""

from fhir_server.cli.inputs import Input
from fhir_server.cli.loaders import EntryRefusal, outcome_issues, refused_entries
from fhir_server.cli.loading import Report, load_all
from fhir_server.model.codec import encode
from fhir_server.model.errors import Invalid, Malformed
from fhir_server.model.issue import Issue, operation_outcome
from fhir_server.model.resource import Resource


class Shelf:
    """A loader that keeps resources in memory and enforces that a Task's focus is there."""

    def __init__(self) -> None:
        self.kept: dict[str, Resource] = {}
        self.bundles: list[Resource] = []
        self.attempts = 0

    def put(self, resource: Resource) -> None:
        self.attempts += 1
        focus = resource.get("focus", {}).get("reference")
        if focus and focus not in self.kept:
            raise Invalid(f"{focus} is not here", key="reference-not-found", expression="Task.focus")
        self.kept[f"{resource['resourceType']}/{resource.get('id', self.attempts)}"] = resource

    def bundle(self, bundle: Resource) -> list[EntryRefusal]:
        if not bundle.get("entry"):
            raise Invalid("an empty transaction", key="empty")
        self.bundles.append(bundle)
        return [EntryRefusal(1, [Issue("wrong", "invalid", "no")])] if bundle["type"] == "batch" else []


def load(*resources: Resource, open_bundles: bool = False) -> tuple[Shelf, Report]:
    shelf = Shelf()
    seen: list[str] = []
    inputs = [Input(f"file-{index}", resource) for index, resource in enumerate(resources)]
    report = load_all(inputs, shelf, open_bundles=open_bundles, progress=seen.append)
    assert seen == [item.origin for item in inputs]
    return shelf, report


def patient(number: int) -> Resource:
    return {"resourceType": "Patient", "id": f"p{number}"}


def task(number: int, focus: str) -> Resource:
    return {"resourceType": "Task", "id": f"t{number}", "focus": {"reference": focus}}


def bundle(kind: str, *resources: Resource) -> Resource:
    return {"resourceType": "Bundle", "type": kind, "id": kind, "entry": [{"resource": item} for item in resources]}


def test_resources_may_refer_to_what_comes_later() -> None:
    shelf, report = load(task(1, "Task/t2"), task(2, "Task/t3"), task(3, "Patient/p1"), patient(1))
    assert set(shelf.kept) == {"Task/t1", "Task/t2", "Task/t3", "Patient/p1"}
    assert report.refused == []
    assert report.lines() == ["loaded 4 resources: 1 Patient, 3 Task"]


def test_what_stays_refused_is_told_once_and_does_not_go_on_for_ever() -> None:
    shelf, report = load(task(1, "Patient/absent"), patient(1))
    assert shelf.attempts == 3
    assert report.lines() == [
        "loaded 1 resources: 1 Patient",
        "refused Task/t1 from file-0",
        "    reference-not-found: Patient/absent is not here (Task.focus)",
        "refused 1 in all",
    ]


def test_an_unreadable_input_is_told() -> None:
    wrong = Input("x.json", None, Malformed("no JSON", key="not-json"))
    report = load_all([wrong], Shelf(), progress=lambda _: None)
    assert "    not-json: no JSON" in report.lines()


def test_collections_and_searchsets_are_taken_apart_others_kept_whole() -> None:
    shelf, _ = load(bundle("collection", patient(1)), bundle("searchset", patient(2)), bundle("document", patient(3)))
    assert set(shelf.kept) == {"Patient/p1", "Patient/p2", "Bundle/document"}


def test_open_takes_documents_and_messages_apart_too() -> None:
    shelf, _ = load(bundle("document", patient(3)), bundle("message", patient(4)), open_bundles=True)
    assert set(shelf.kept) == {"Patient/p3", "Patient/p4"}


def test_transactions_and_batches_are_carried_out_and_counted_by_entry() -> None:
    shelf, report = load(bundle("transaction", patient(1)), bundle("batch", patient(2), patient(3)))
    assert [item["type"] for item in shelf.bundles] == ["transaction", "batch"]
    assert shelf.kept == {}
    assert report.stored == {"Patient": 2}
    assert report.bundles == 2
    assert report.lines()[1:] == [
        "carried out 2 batches and transactions",
        "refused Bundle.entry[1] from file-1",
        "    wrong: no",
        "refused 1 in all",
    ]


def test_a_refused_transaction_is_told_as_a_whole() -> None:
    _, report = load(bundle("transaction"))
    assert "refused the transaction from file-0" in report.lines()
    assert report.bundles == 0


def test_the_refusals_in_a_batch_response_are_found_by_their_status() -> None:
    outcome = operation_outcome([Issue("bad-date", "value", "no date", "Patient.birthDate")])
    answer = {
        "entry": [
            {"response": {"status": "201 Created"}},
            {"response": {"status": "422", "outcome": outcome}},
            {"response": {"status": "304"}},
            {"response": {}},
        ]
    }
    refused = refused_entries(answer)
    assert [item.entry for item in refused] == [1, 3]
    assert refused[0].issues == [Issue("bad-date", "value", "no date", "Patient.birthDate")]
    assert refused_entries(None) == []


def test_the_issues_of_any_answer_are_readable() -> None:
    raw = encode({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid"}]})
    assert outcome_issues(raw, "x") == [Issue("http-error", "invalid", "no reason given")]
    assert outcome_issues(b"<html>", "502") == [Issue("http-error", "processing", "502")]
    assert outcome_issues(b"{}", "502") == [Issue("http-error", "processing", "502")]
