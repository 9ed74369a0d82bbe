"""`fhir-server terminology`: load, list and remove whole code systems, also while the server serves."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from fhir_server.cli.configuration import settings_of, store_option, store_url

if TYPE_CHECKING:
    from rich.progress import TaskID

    from fhir_server.store.port import Store
    from fhir_server.terminology.releases.read import Format


@click.group()
def terminology() -> None:
    """Keep large code systems, such as a licensed release of SNOMED CT, ICPC or ICD, in the store.

    A server that runs answers from them at once. docs/terminology.md says which files are read.

    \b
    fhir-server terminology load SnomedCT_Release.zip
    fhir-server terminology list
    """  # noqa: D301  # click reads \b as "keep these lines"


@terminology.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(exists=True, path_type=Path))
@click.option("--system", default="", metavar="URL", help="The code system; else what the files say.")
@click.option("--version", "version", default="", help="Its version; else what the files say.")
@click.option("--name", default="", help="What people call it; else what the files say.")
@click.option("--language", default="", metavar="TAG", help="The language of the displays, such as nl.")
@click.option(
    "--format",
    "wanted",
    type=click.Choice(["rf2", "codesystem", "csv", "claml"]),
    help="Else by the names of the files.",
)
@click.option("--encoding", default="utf-8", type=click.Choice(["utf-8", "latin-1", "cp1252"]), help="Of a CSV file.")
@store_option
@click.pass_context
def load(
    context: click.Context,
    paths: tuple[Path, ...],
    system: str,
    version: str,
    name: str,
    language: str,
    wanted: "Format | None",
    encoding: str,
    store: str | None,
) -> None:
    """Load one code system from files, folders or zip files.

    It becomes visible as a whole when all of it is there, in place of the same version; other versions stay beside it.
    When anything is wrong, nothing is loaded.

    \b
    fhir-server terminology load SnomedCT_Release.zip
    fhir-server terminology load icpc-2.xml --system http://hl7.org/fhir/sid/icpc-2
    fhir-server terminology load codes.csv --system https://example.org/CodeSystem/codes --version 2026
    """  # noqa: D301  # click reads \b as "keep these lines"
    from fhir_server.cli.terminology_loading import load_release
    from fhir_server.model.errors import FhirError
    from fhir_server.terminology.releases.gathering import About
    from fhir_server.terminology.releases.read import choose

    began = time.monotonic()
    try:
        release = choose(paths, wanted)
        stated = About(system, version, name, language=language)
        with _store(context, store, must_exist=False) as opened, _Bar() as bar:
            loaded = load_release(opened, release, stated, bar, encoding)
    except FhirError as error:
        raise click.ClickException(f"nothing was loaded. {error}") from error
    seconds = time.monotonic() - began
    click.echo(f"loaded {loaded.concepts} concepts of {_named(loaded.system, loaded.version)} in {seconds:.1f} s")


@terminology.command("list")
@store_option
@click.pass_context
def list_(context: click.Context, store: str | None) -> None:
    """List the code systems that are loaded."""
    from fhir_server.model.clock import render_instant

    with _store(context, store) as opened:
        editions = opened.read(lambda snapshot: snapshot.editions())
    for one in editions:
        click.echo(f"{_named(one.system, one.version)}  {one.concepts} concepts  loaded {render_instant(one.loaded)}")
    if not editions:
        click.echo("no code system is loaded", err=True)


@terminology.command()
@click.argument("system")
@click.option("--version", "version", default=None, help="Which version; needed when several are loaded.")
@store_option
@click.pass_context
def remove(context: click.Context, system: str, version: str | None, store: str | None) -> None:
    """Remove a loaded code system. What depends on it cannot be told from then on."""
    with _store(context, store) as opened:
        known = [one.version for one in opened.read(lambda snapshot: snapshot.editions(system))]
        if version is None and len(known) > 1:
            raise click.UsageError(
                f"several versions of {system} are loaded; name one with --version: {', '.join(known)}"
            )
        wanted = version if version is not None else next(iter(known), "")
        if not opened.remove_concepts(system, wanted):
            raise click.ClickException(f"{_named(system, wanted)} is not loaded; see `fhir-server terminology list`.")
    click.echo(f"removed {_named(system, wanted)}")


def _named(system: str, version: str) -> str:
    return f"{system}|{version}" if version else system


@contextmanager
def _store(context: click.Context, store: str | None, *, must_exist: bool = True) -> "Iterator[Store]":
    settings = settings_of(context, store=store_url(store)).settings
    if must_exist and settings.store.startswith("sqlite:") and not settings.store_path.is_file():
        raise click.ClickException(f"there is no store at {settings.store_path}")
    from fhir_server.cli.engine import open_store

    with open_store(settings) as opened:
        yield opened


class _Bar:
    """A progress bar for each thing that is done; nothing where there is no terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._tasks: dict[str, tuple[TaskID, int]] = {}

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, doing: str, more: int, total: int) -> None:
        """Take note that more was done."""
        task, done = self._tasks.get(doing) or (self._bar.add_task(doing, total=total or None), 0)
        self._tasks[doing] = task, done + more
        if (done + more) >> 16 != done >> 16 or doing != "reading":  # lines by the million would draw too often
            self._bar.update(task, completed=done + more)
