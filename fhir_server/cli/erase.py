"""`fhir-server erase` and `fhir-server retention`: personal data goes; counts and the audit trail stay."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fhir_server.cli.configuration import settings_of, store_option, store_url

if TYPE_CHECKING:
    from fhir_server.interactions.context import Engine
    from fhir_server.interactions.erasure import Plan
    from fhir_server.store.port import Record, Snapshot


@click.command()
@click.argument("person", metavar="Patient/ID")
@click.option("--reason", required=True, help="Why, for the audit trail: no names.")
@click.option("--yes", is_flag=True, help="Do it; without, only list what would go.")
@store_option
@click.pass_context
def erase(context: click.Context, person: str, reason: str, yes: bool, store: str | None) -> None:
    """Erase a person: every version of all that is about them alone. It cannot be undone.

    \b
    fhir-server erase Patient/42 --reason "asked by letter of 3 May"
    fhir-server erase Patient/42 --reason "asked by letter of 3 May" --yes
    """  # noqa: D301  # click reads \b as "keep these lines"
    from fhir_server.interactions.erasure import erase as carry_out
    from fhir_server.interactions.erasure import plan
    from fhir_server.interactions.retention import OPERATOR
    from fhir_server.model.errors import FhirError

    if not person.startswith("Patient/"):
        raise click.BadParameter(f"{person!r} is not Patient/ID", param_hint="Patient/ID")
    engine = _engine(context, store)
    try:
        wanted = engine.store.read(lambda snapshot: plan(engine, snapshot, person))
        _list(wanted)
        if yes:
            click.echo(
                f"erased {carry_out(engine, wanted, reason, OPERATOR)} versions of {len(wanted.erased)} resources"
            )
        else:
            click.echo(f"{len(wanted.erased)} resources would be erased; --yes does it")
    except FhirError as error:
        raise click.ClickException(str(error)) from error
    finally:
        engine.store.close()


@click.group()
def retention() -> None:
    """Take away what need not be kept any longer, by periods in a file.

    \b
    fhir-server retention run
    fhir-server retention statistics
    """  # noqa: D301  # click reads \b as "keep these lines"


@retention.command()
@click.option("--yes", is_flag=True, help="Do it; without, only list what would go.")
@click.option(
    "--policy",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON file with the periods; else the one that was shipped (docs/data-protection.md).",
)
@store_option
@click.pass_context
def run(context: click.Context, yes: bool, policy: Path | None, store: str | None) -> None:
    """Erase what is due: persons whom nothing open is about, resources in final states, the oldest of the audit trail.

    \b
    fhir-server retention run
    fhir-server retention run --policy periods.json --yes
    """  # noqa: D301  # idem
    from fhir_server.interactions.retention import due, load_policy
    from fhir_server.interactions.retention import run as carry_out
    from fhir_server.model.errors import FhirError

    engine = _engine(context, store)
    try:
        periods, now = load_policy(policy), time.time_ns() // 1_000_000
        wanted = due(engine, periods, now)
        for person in wanted.persons:
            _list(person)
        for what in wanted.resources:
            click.echo(f"  {what}")
        said = f"{len(wanted.persons)} persons, {len(wanted.resources)} resources, {wanted.audit} audit records"
        if yes:
            click.echo(f"erased {carry_out(engine, periods, wanted, now)} versions: {said}")
        else:
            click.echo(f"due: {said}; --yes erases them")
    except FhirError as error:
        raise click.ClickException(str(error)) from error
    finally:
        engine.store.close()


@retention.command()
@store_option
@click.pass_context
def statistics(context: click.Context, store: str | None) -> None:
    """Print what remains of erased Tasks, one JSON object on each line: states, categories, months, area; no person."""
    from fhir_server.interactions.erasure import SKELETON

    engine = _engine(context, store)
    try:
        after = ""

        def page(snapshot: "Snapshot") -> "list[Record]":
            return snapshot.records(SKELETON, after, 1000)

        while records := engine.store.read(page):
            for record in records:
                click.echo(record.body.decode())
            after = records[-1].key
    finally:
        engine.store.close()


def _list(wanted: "Plan") -> None:
    for what in wanted.erased:
        click.echo(f"  erase  {what}")
    for what in wanted.kept:
        click.echo(f"  keep   {what} (mentions others too, or is no record of a person: look at it)")


def _engine(context: click.Context, store: str | None) -> "Engine":
    from fhir_server.cli.engine import open_engine

    return open_engine(settings_of(context, store=store_url(store)).settings)
