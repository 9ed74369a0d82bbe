"""The demo is a real one: a server process, a store in a file, and every answer checked."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from click import ClickException
from click.testing import CliRunner, Result

from fhir_server.artifacts.source import default_root
from fhir_server.cli import main
from fhir_server.cli.demo_script import moved, read_script
from fhir_server.cli.demo_server import ServerProcess
from tests.conftest import said_until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


HEEDING = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from fhir_server.cli import main; main()"
)
"""A shell starts what runs in its background deaf to Ctrl-C, and that is inherited: these tests may run so."""


def command(folder: Path, port: int, *options: str) -> list[str]:
    return [sys.executable, "-c", HEEDING, "demo", "--folder", str(folder), "--port", str(port), *options]


def play(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_one_referral_goes_round_and_every_step_is_shown(tmp_path: Path) -> None:
    port = free_port()
    done = play("demo", "--folder", tmp_path, "--port", port, "--once")
    assert done.exit_code == 0, done.output
    for shown in (
        f"http://127.0.0.1:{port}/fhir answers",
        "Questionnaire/psychosocial-needs: Hoe gaat het met u?",
        "POST /fhir/QuestionnaireResponse/$extract?store=true\n",
        ": parenting, in his words: ",
        "POST /fhir/HealthcareService/$suggest?postal-code=1800&age=22&language=nl\n",
        "  Opvoedingsondersteuning aan huis (Gezinskompas Vilvoorde), 0.3 km",
        "Answers this need: parenting; Speaks the language: nl  <- chosen",
        "POST /fhir/$refer\n",
        "the number that Erdan can name when he is called: ",
        "GET /fhir/Task?owner=Organization/",
        "422 Unprocessable",
        "412 Precondition Failed",
        'If-Match: W/"1"',
        "is accepted (Wacht op eerste contact), version 2",
        "is in-progress (Contact gelegd), version 3",
        "is completed (Ondersteuning afgerond), version 4",
        "sees when somebody asks him again",
        "every answer was as it must be",
    ):
        assert shown in done.stdout
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/fhir/metadata", timeout=5)


def test_a_taken_port_is_said_and_another_one_used(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        done = subprocess.run(
            command(tmp_path, port, "--once"), capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Port {port} is taken; this demo uses " in done.stdout


def test_without_once_the_server_stays_until_it_is_interrupted(tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen(command(tmp_path, port), stdout=subprocess.PIPE, text=True) as demo:
        said_until(demo, "stays until Ctrl-C")
        for shown in (f"http://127.0.0.1:{port}/fhir/metadata", f"http://127.0.0.1:{port}/"):
            assert requests.get(shown, timeout=10).status_code == 200
        demo.send_signal(signal.SIGINT)
        try:
            rest, _ = demo.communicate(timeout=30)
        finally:
            demo.kill()  # one that does not heed must not hold up the tests
    assert demo.returncode == 0
    assert "stopped" in rest
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return
    pytest.fail("the server outlived the demo")


def consent_rejected(referral: Any) -> None:
    _the(referral, "Consent")["status"] = "rejected"


def another_service(referral: Any) -> None:
    _the(referral, "ServiceRequest")["performer"][0]["reference"] = "HealthcareService/svc-taalles"


def no_plan(referral: Any) -> None:
    del _the(referral, "ServiceRequest")["instantiatesCanonical"]


def another_need(referral: Any) -> None:
    del _the(referral, "ServiceRequest")["category"][0]


def _the(bundle: Any, resource_type: str) -> Any:
    return next(entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == resource_type)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (consent_rejected, "consent-missing"),
        (another_service, "HealthcareService/svc-taalles is suggested"),
        (no_plan, "the end of the referral made one follow-up Task"),
        (another_need, "the needs are employment"),
    ],
)
def test_the_demo_fails_when_an_answer_is_not_as_it_must_be(
    tmp_path: Path, edit: Callable[[Any], None], said: str
) -> None:
    """Erdan says no, or the region does not suggest what was chosen: the demo must notice."""
    shipped = default_root()
    for folder in ("profiles", "terminology", "mappings", "examples"):
        shutil.copytree(shipped / folder, tmp_path / "root" / folder)
    file = tmp_path / "root" / "examples" / "erdan" / "01-refer.json"
    referral = json.loads(file.read_text(encoding="utf-8"))
    edit(referral)
    file.write_text(json.dumps(referral), encoding="utf-8")
    settings = tmp_path / "fhir.toml"
    settings.write_text(f'artifact_root = "{tmp_path / "root"}"\n', encoding="utf-8")
    done = play("--settings", settings, "demo", "--folder", tmp_path / "demo", "--port", free_port(), "--once")
    assert done.exit_code == 1
    assert said in done.output
    assert "the referral did not go round" in done.stderr


def test_the_demo_says_what_is_wrong_when_the_example_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ClickException, match="does not hold the example"):
        read_script(tmp_path, date(2026, 11, 23))


def test_a_server_that_does_not_start_is_told_with_its_log(tmp_path: Path) -> None:
    """The port is taken between the choice and the start."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        with (
            pytest.raises(ClickException, match="the server did not start") as refused,
            ServerProcess(tmp_path, port, default_root()),
        ):
            pytest.fail("it must not start")
    assert "is not free" in refused.value.message


def test_the_dates_of_a_document_move_together_and_birth_dates_stay() -> None:
    document = {
        "birthDate": "2004-05-17",
        "period": {"start": "2026-11-23", "end": "2027-11-23"},
        "sent": "2026-11-24T09:00:00+01:00",
        "text": "sinds 2026-11-23",
        "value": 3,
    }
    assert moved(document, timedelta(days=8)) == {
        "birthDate": "2004-05-17",
        "period": {"start": "2026-12-01", "end": "2027-12-01"},
        "sent": "2026-12-02T09:00:00+01:00",
        "text": "sinds 2026-11-23",
        "value": 3,
    }


def test_the_referral_of_the_script_is_written_today() -> None:
    today = date(2031, 2, 28)
    script = read_script(default_root() / "examples" / "erdan", today)
    assert script.request["authoredOn"].startswith("2031-02-28T")
    assert script.answers["authored"].startswith("2031-02-28T")
    assert len(script.parts) == len(script.request["performer"])


def test_a_message_is_about_the_needs_that_were_made_of_the_answers() -> None:
    script = read_script(default_root() / "examples" / "erdan", date(2026, 11, 23))
    told = script.about({"parenting": "Condition/a", "employment": "Condition/b"})
    abouts = {owner: part.feedback["about"] for owner, part in told.parts.items()}
    assert abouts == {
        "Organization/org-gezinskompas": [{"reference": "Condition/a"}],
        "Organization/org-werkspoor": [{"reference": "Condition/b"}],
    }
