"""`fhir-server export`: write every current resource as NDJSON."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from fhir_server.cli.configuration import settings_of, store_option, store_url, stored

if TYPE_CHECKING:
    from fhir_server.store.port import Snapshot, Version

_BATCH = 1000


@click.command()
@click.option(
    "--type", "types", multiple=True, metavar="TYPE", help="Only this resource type; may be given more than once."
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="A folder: one TYPE.ndjson file per type."
)
@store_option
@click.pass_context
def export(context: click.Context, types: tuple[str, ...], out: Path | None, store: str | None) -> None:
    """Write every current resource of the store as NDJSON, as of one moment, also while the server runs.

    Each line is one resource, byte for byte as it was stored, ordered by its last change. Without --out it goes to
    standard output.

    \b
    fhir-server export --out backup
    fhir-server export --type Task --type ServiceRequest > referrals.ndjson
    """  # noqa: D301  # click reads \b as "keep these lines"
    settings = stored(settings_of(context, store=store_url(store)).settings)
    from fhir_server.cli.engine import open_store

    with open_store(settings) as opened:
        counts = opened.read(lambda snapshot: write_ndjson(current_versions(snapshot, types), out))
    total = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "nothing"
    click.echo(f"exported {total}", err=True)


def current_versions(snapshot: "Snapshot", types: tuple[str, ...]) -> "Iterator[Version]":
    """Walk the change feed and keep what is still current, so that any size takes little memory."""
    after = 0
    while changes := snapshot.changes(after, _BATCH, types):
        for version in changes:
            if version.body is not None and snapshot.current(version.type, version.id) == version:
                yield version
        after = changes[-1].sequence


def write_ndjson(versions: "Iterator[Version]", out: Path | None) -> dict[str, int]:
    """Write one line per version to standard output, or to one file per type in `out`; return how many of each type."""
    counts: dict[str, int] = {}
    files: dict[str, IO[bytes]] = {}
    with ExitStack() as stack:
        for version in versions:
            if version.type not in files:
                files[version.type] = _open(out, version.type, stack)
            files[version.type].write(version.body or b"")
            files[version.type].write(b"\n")
            counts[version.type] = counts.get(version.type, 0) + 1
    return counts


def _open(out: Path | None, resource_type: str, stack: ExitStack) -> IO[bytes]:
    if out is None:
        return sys.stdout.buffer
    out.mkdir(parents=True, exist_ok=True)
    return stack.enter_context((out / f"{resource_type}.ndjson").open("wb"))
