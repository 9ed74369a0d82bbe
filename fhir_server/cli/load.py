"""`fhir-server load`: bring resources in from files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from fhir_server.cli.configuration import settings_of, store_url
from fhir_server.cli.inputs import find_files, read_inputs
from fhir_server.cli.loaders import HttpLoader, Loader
from fhir_server.cli.loading import load_all


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--to", "target", metavar="FILE", help="A SQLite file (or store URL) to load into; else the setting `store`."
)
@click.option("--url", help="A running FHIR server to load into over HTTP, by its base URL.")
@click.option(
    "--organization", default="", help="Over HTTP: load on behalf of this organisation, e.g. Organization/elz."
)
@click.option("--open", "open_bundles", is_flag=True, help="Take document, message and history Bundles apart as well.")
@click.pass_context
def load(
    context: click.Context,
    paths: tuple[Path, ...],
    target: str | None,
    url: str | None,
    organization: str,
    open_bundles: bool,
) -> None:
    """Load resources from files and folders, in any order.

    A PATH is a JSON file with one resource, an NDJSON file, or a folder whose .json and .ndjson files are loaded in
    sorted order. A resource is stored under its id; one without id gets a new one each time.

    \b
    Of Bundles,
      a transaction or batch       is carried out
      a collection or searchset    is taken apart; each entry is stored by itself
      any other Bundle             is stored as one resource, or taken apart with --open

    What is refused is listed with the reason at the end; the rest is loaded, and the exit status is then 1.

    \b
    fhir-server load examples/region
    fhir-server load patients.ndjson --to var/fhir.sqlite
    fhir-server load export/ --url http://127.0.0.1:8080/fhir
    """  # noqa: D301  # click reads \b as "keep these lines"
    if target and url:
        raise click.UsageError("Give --to or --url, not both.")
    files = find_files(paths)
    with _loader(context, target, url, organization) as loader, file_progress(len(files)) as progress:
        report = load_all(read_inputs(files), loader, open_bundles=open_bundles, progress=progress)
    for line in report.lines():
        click.echo(line)
    if report.refused:
        context.exit(1)


@contextmanager
def _loader(context: click.Context, target: str | None, url: str | None, organization: str) -> Iterator[Loader]:
    if url:
        with HttpLoader(url, organization, roles="operator") as loader:
            yield loader
        return
    settings = settings_of(context, store=store_url(target)).settings
    from fhir_server.cli.engine import open_engine_loader

    with open_engine_loader(settings) as loader:
        yield loader


class FileProgress:
    """Moves a bar on by one for each file; lines of an NDJSON file move it on once."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        columns = (
            TextColumn("loading"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        self.bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self.bar.add_task("", total=total)
        self._file = ""

    def __call__(self, origin: str) -> None:
        """Take note that what has this origin is done."""
        file = origin.rsplit(":", 1)[0] if ".ndjson:" in origin else origin
        if file != self._file:
            self._file = file
            self.bar.update(self._task, advance=1, description=Path(file).name)


@contextmanager
def file_progress(total: int) -> Iterator[FileProgress]:
    """Show a bar for that many files while the context lasts; nothing where there is no terminal."""
    progress = FileProgress(total)
    with progress.bar:
        yield progress
