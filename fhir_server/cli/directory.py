"""`fhir-server directory`: bring the social map in, and keep it up to date."""

from pathlib import Path
from typing import Any

import click

from fhir_server.cli.configuration import settings_of, store_url

_SHOWN = 200


@click.group()
def directory() -> None:
    """Import organisations, services and sites from the files that a region has.

    \b
    fhir-server directory mappings
    fhir-server directory template spreadsheet > offer.csv
    fhir-server directory import offer.csv --mapping spreadsheet --source zone
    """  # noqa: D301  # click reads \b as "keep these lines"


@directory.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--mapping", "mapping_id", required=True, help="How the source is read; `directory mappings` lists them.")
@click.option(
    "--source",
    required=True,
    metavar="NAME",
    help="Name of the source, a-z, 0-9 and hyphens: it stands in every id, and what a source no longer has is found by it.",
)
@click.option("--to", "target", metavar="STORE", help="The store to import into; else the setting `store`.")
@click.option("--encoding", default="utf-8", show_default=True, help="Encoding of CSV files.")
@click.option("--dry-run", is_flag=True, help="Read, convert and judge everything, and store nothing.")
@click.option("--keep-vanished", is_flag=True, help="Leave active what the source no longer has (for a partial file).")
@click.pass_context
def import_command(
    context: click.Context,
    path: Path,
    mapping_id: str,
    source: str,
    target: str | None,
    encoding: str,
    dry_run: bool,
    keep_vanished: bool,
) -> None:
    """Import a file, folder or ZIP of a source.

    Importing again updates what changed, keeps every id, doubles nothing, and marks inactive what the source no longer
    has. Each record that is refused is listed with its row and the reason; the exit status is then 1.

    \b
    fhir-server directory import areas.csv --mapping areas --source zone
    fhir-server directory import offer.xlsx --mapping spreadsheet --source zone --dry-run
    fhir-server directory import hsds.zip --mapping hsds-3 --source openreferral
    fhir-server directory import bundle.json --mapping fhir --source hub
    """  # noqa: D301  # click reads \b as "keep these lines"
    from fhir_server.cli.engine import open_engine
    from fhir_server.mapping.sources import SourceBroken

    if not source.replace("-", "").isalnum() or not source.islower() or not source.isascii():
        raise click.BadParameter("use a-z, 0-9 and hyphens, with at least one letter", param_hint="--source")
    settings = settings_of(context, store=store_url(target)).settings
    definition = _definition(settings.artifacts, mapping_id)
    engine = open_engine(settings)
    try:
        report = _run(engine, definition, path, source, encoding, dry_run=dry_run, mark_vanished=not keep_vanished)
    except SourceBroken as error:
        raise click.ClickException(f"{error} Nothing after that was read.") from error
    finally:
        engine.store.close()
    for line in _lines(report, dry_run=dry_run):
        click.echo(line)
    if report.refused:
        context.exit(1)


@directory.command()
@click.pass_context
def mappings(context: click.Context) -> None:
    """List the mappings that are there; adding one is adding a file in mappings/."""
    from fhir_server.mapping.definition import load_mapping, mapping_files

    root = settings_of(context).settings.artifacts
    for mapping_id in mapping_files(root):
        definition = load_mapping(root, mapping_id)
        click.echo(f"{mapping_id}: {definition.title} ({definition.format} to {', '.join(definition.types())})")


@directory.command()
@click.argument("mapping_id", metavar="MAPPING")
@click.option(
    "--language", type=click.IntRange(0, 3), default=0, help="Which of the headers of each column: 0 is the first."
)
@click.pass_context
def template(context: click.Context, mapping_id: str, language: int) -> None:
    """Print the CSV header of a table mapping with one example row, to start a spreadsheet from."""
    from fhir_server.mapping.documents import to_csv

    definition = _definition(settings_of(context).settings.artifacts, mapping_id)
    if not definition.columns:
        raise click.BadParameter(f"{mapping_id} reads no table")
    header = [column.headers[min(language, len(column.headers) - 1)] for column in definition.columns]
    click.echo(to_csv(header, [[column.example for column in definition.columns]]), nl=False)


def _definition(root: Path, mapping_id: str) -> Any:
    from fhir_server.mapping.definition import MappingBroken, load_mapping

    try:
        return load_mapping(root, mapping_id)
    except MappingBroken as error:
        raise click.BadParameter(str(error), param_hint="the mapping") from error


def _run(
    engine: Any, definition: Any, path: Path, source: str, encoding: str, *, dry_run: bool, mark_vanished: bool
) -> Any:
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from fhir_server.access.principal import Principal
    from fhir_server.interactions.directory_import import DirectoryImport
    from fhir_server.interactions.directory_vocabulary import StoredVocabulary
    from fhir_server.mapping.documents import read_source
    from fhir_server.mapping.fhir_engine import converter_of

    operator = Principal(roles=frozenset({"operator"}), agent="fhir-server directory import")
    converter = converter_of(definition, source, StoredVocabulary(engine))
    run = DirectoryImport(engine, converter, f"{source}.{definition.id}", operator, dry_run=dry_run)
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("importing"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        rows = read_source(path, definition, encoding)
        return run.run(rows, lambda done: bar.update(task, completed=done), mark_vanished=mark_vanished)


def _lines(report: Any, *, dry_run: bool) -> list[str]:
    shown = report.lines
    if len(shown) > _SHOWN:  # what was refused is not to be lost among the warnings
        shown = sorted(shown, key=lambda line: line.remark.severity != "error")
    lines = [line.text() for line in shown[:_SHOWN]]
    if len(report.lines) > _SHOWN:
        lines.append(f"… and {len(report.lines) - _SHOWN} more remarks")
    lines += [f"inactive {name}: the source no longer has it" for name in report.vanished[:_SHOWN]]
    verb = "would be " if dry_run else ""
    for what in ("created", "updated", "unchanged"):
        counts = getattr(report, what)
        if counts:
            lines.append(f"{verb}{what} " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items())))
    lines.append(f"read {report.records} records, refused {report.refused}, marked {len(report.vanished)} inactive")
    if report.vanishing_skipped:
        lines.append("nothing was marked inactive, because refused records may be why something is missing")
    return lines
