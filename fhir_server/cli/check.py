"""`fhir-server check`: every artefact must load, and every example must be what it says it is."""

from pathlib import Path

import click

from fhir_server.cli.configuration import settings_of


@click.command()
@click.argument("root", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.pass_context
def check(context: click.Context, root: Path | None) -> None:
    """Check profiles, terminology, mappings and examples, with the code that the server uses.

    ROOT is the folder that holds profiles/, terminology/, mappings/ and examples/; else the setting `artifact_root`.
    Exit status 1 when anything is wrong.

    \b
    fhir-server check
    fhir-server check ../our-region
    """  # noqa: D301  # click reads \b as "keep these lines"
    folder = root or settings_of(context).settings.artifacts
    from fhir_server.check import run_check

    findings = run_check(folder)
    for finding in findings:
        click.echo(str(finding))
    if findings:
        raise click.ClickException(f"{len(findings)} findings in {folder}")
    click.echo(f"every artefact in {folder} is in order")
