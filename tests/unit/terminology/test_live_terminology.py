"""Bindings of profiles are judged by what is loaded at that moment, also when it is loaded by another process."""

from pathlib import Path

from fhir_server.cli.terminology_loading import load_release
from fhir_server.interactions.loaded_terminology import LiveTerminology
from fhir_server.model.clock import SystemClock
from fhir_server.store.sqlite import SqliteStore
from fhir_server.terminology.releases.gathering import About
from fhir_server.terminology.releases.read import choose
from fhir_server.terminology.service import TerminologyService
from tests.unit.terminology.release_files import rf2

SCT = "http://snomed.info/sct"
URL = "https://example.org/ValueSet/findings"
BELOW = {"property": "concept", "op": "is-a", "value": "200002"}
FINDINGS = {"url": URL, "compose": {"include": [{"system": SCT, "filter": [BELOW]}]}}


def test_a_binding_cannot_be_told_before_a_load_and_is_told_after_it(tmp_path: Path) -> None:
    store, loader = (SqliteStore(tmp_path / "s.db", SystemClock()) for _ in range(2))
    service = LiveTerminology(TerminologyService((), (FINDINGS,), ()), store)

    def has(code: str) -> bool | None:
        return service.validate_code(SCT, code, URL).result

    try:
        assert has("400004") is None
        release = choose([rf2(tmp_path / "r", {"100001": "", "200002": "100001", "400004": "200002"})])
        edition = load_release(loader, release, About(), lambda *_: None)
        assert [has(code) for code in ("400004", "200002", "100001", "9")] == [True, True, False, False]
        loader.remove_concepts(SCT, edition.version)
        assert has("400004") is None
    finally:
        store.close()
        loader.close()
