"""`fhir-server demo`: a server on a fresh store with the example region, and one referral that goes round on it."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fhir_server.cli.configuration import settings_of

if TYPE_CHECKING:
    from fhir_server.cli.demo_server import ServerProcess

_PORT = 8080


@click.command()
@click.option("--once", is_flag=True, help="Stop the server when the referral has gone round, and exit.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=_PORT, show_default=True, help="If it is taken: another one."
)
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=Path("var/demo"), show_default=True,
    help="Where the demo's store and log are made; an earlier demo's store there is deleted.",
)  # fmt: skip
@click.pass_context
def demo(context: click.Context, once: bool, port: int, folder: Path) -> None:
    """See one referral go round over HTTP, step by step.

    Starts a server of its own on a fresh SQLite file (or on the MongoDB database that FHIR_STORE names), loads the example
    region, and plays Erdan's story between a general practice and two organisations: questions, needs, suggested services,
    referral, feedback, follow-up. Then the server stays, for you to look around, until Ctrl-C.
    Exit status 1 when any step is not answered as it must be.

    \b
    fhir-server demo
    fhir-server demo --once --port 9000
    """  # noqa: D301  # click reads \b as "keep these lines"
    settings = settings_of(context).settings
    artifacts, store = settings.artifacts, settings.store if settings.on_mongodb else ""
    click.echo("Starting a server ...")
    from fhir_server.cli.demo_server import ServerProcess, choose_port

    chosen = choose_port(port)
    if chosen != port:
        click.echo(f"Port {port} is taken; this demo uses {chosen}.")
    with _leaving_on_sigterm(), ServerProcess(folder, chosen, artifacts, store) as server:
        click.echo(f"{server.base} answers; store {server.store}, log {server.log}")
        _load_region(server.base, artifacts)
        place = _play(server.base, artifacts)
        if not once:
            _stay(server, place)


@contextmanager
def _leaving_on_sigterm() -> Iterator[None]:
    """End in good order when asked to, so that the server does not outlive the demo."""
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _load_region(base: str, artifacts: Path) -> None:
    from fhir_server.cli.inputs import find_files, read_inputs
    from fhir_server.cli.load import file_progress
    from fhir_server.cli.loaders import HttpLoader
    from fhir_server.cli.loading import load_all

    files = find_files([artifacts / "examples" / "region"])
    with HttpLoader(base, roles="operator") as loader, file_progress(len(files)) as progress:
        report = load_all(read_inputs(files), loader, progress=progress)
    for line in report.lines():
        click.echo(line)
    if report.refused:
        raise click.ClickException("the example region was not loaded whole")


def _play(base: str, artifacts: Path) -> str:
    from fhir_server.cli.demo_actor import UnexpectedAnswer
    from fhir_server.cli.demo_script import read_script
    from fhir_server.cli.demo_stage import Stage
    from fhir_server.cli.demo_story import number_of_steps, play

    script = read_script(artifacts / "examples" / "erdan", datetime.fromtimestamp(time.time(), UTC).date())
    stage = Stage(number_of_steps(script))
    try:
        with stage:
            place = play(base, script, stage)
            stage.finished()
    except (UnexpectedAnswer, LookupError) as error:
        raise click.ClickException(f"the referral did not go round: {error}") from error
    click.echo(f"\nThe referral went round in {stage.steps} steps; every answer was as it must be.")
    return place


def _stay(server: "ServerProcess", place: str) -> None:
    click.echo(
        "\n".join(
            (
                "",
                "The server stays until Ctrl-C. Look around:",
                f"  {server.base.removesuffix('fhir')}   pages for people: the inbox, refer, the region",
                f"  {server.base}   FHIR",
                f"  {server.base}/metadata",
                f"  {server.base}/{place}?_pretty=true",
                f"  {server.base}/{place}/_history?_pretty=true",
                f"  {server.base}/Task?focus={place}&_pretty=true",
            )
        )
    )
    with suppress(KeyboardInterrupt):
        server.wait()
    click.echo("\nstopped")
