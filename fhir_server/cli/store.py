"""`fhir-server store`: make, check, measure and bring up to date the store itself, SQLite file or MongoDB database."""

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import click

from fhir_server.cli.configuration import settings_of, store_option, store_url, stored
from fhir_server.cli.reindex import reindex
from fhir_server.model.errors import FhirError
from fhir_server.settings import Settings

T = TypeVar("T")


@click.group()
def store() -> None:
    """Look after the store itself; every command works on a SQLite file and on a MongoDB database.

    \b
    fhir-server store init --store 'mongodb://db1,db2,db3/fhir?replicaSet=rs0'
    fhir-server store check
    """  # noqa: D301  # click reads \b as "keep these lines"


@store.command()
@store_option
@click.pass_context
def init(context: click.Context, store: str | None) -> None:
    """Make what is missing: the file, or the collections and indexes. What is there stays as it is."""
    settings = _settings(context, store)
    if settings.on_mongodb:
        from fhir_server.store.mongo.maintenance import initialise

        made = _told(settings, lambda its: initialise(its.store, its.busy_seconds))
        click.echo(f"made: {', '.join(made)}" if made else "nothing was missing")
        return
    absent = settings.store_is_absent
    _open(settings)
    click.echo(f"{'made' if absent else 'already there'}: {settings.store_name}")


@store.command()
@store_option
@click.pass_context
def migrate(context: click.Context, store: str | None) -> None:
    """Bring the store to the schema of this release. A server of an older release must not run on it meanwhile."""
    settings = _settings(context, store)
    if settings.on_mongodb:
        from fhir_server.store.mongo.maintenance import migrate as run

        before, after = _told(settings, lambda its: run(its.store, its.busy_seconds))
        click.echo(f"schema {after}" + (f", was {before}" if before != after else ", nothing to do"))
        return
    stored(settings)
    _open(settings)
    click.echo("the file has the schema of this release")


@store.command()
@click.option("--quick", is_flag=True, help="Only what the server asks at start, not every change.")
@store_option
@click.pass_context
def check(context: click.Context, quick: bool, store: str | None) -> None:
    """Check server, schema and indexes, then that no change is missing and the audit trail is unbroken. Status 1 if not."""
    from fhir_server.cli.soundness import faults
    from fhir_server.cli.stores import open_side
    from fhir_server.model.clock import SystemClock

    settings = stored(_settings(context, store))
    with open_side(settings, settings.store, SystemClock()) as side:
        found = [] if quick else faults(side.store)
    for fault in found:
        click.echo(fault, err=True)
    if found:
        raise click.exceptions.Exit(1)
    click.echo(f"{settings.store_name} is in order")


@store.command()
@store_option
@click.pass_context
def stats(context: click.Context, store: str | None) -> None:
    """Count what the store holds."""
    from fhir_server.artifacts import r4
    from fhir_server.cli.copying import reached
    from fhir_server.cli.stores import open_side
    from fhir_server.model.clock import SystemClock
    from fhir_server.search.query import Query
    from fhir_server.store.port import Snapshot

    def work(snapshot: Snapshot) -> Counter[str]:
        return Counter({name: snapshot.count(Query(name)) for name in r4.resource_types()})

    settings = stored(_settings(context, store))
    with open_side(settings, settings.store, SystemClock()) as side:
        counts, at, size = side.store.read(work), reached(side.store), side.inventory.bytes_used()
    rows = [(name, count) for name, count in counts.most_common() if count]
    rows += [("resources", counts.total()), ("versions", at.sequence), ("audit records", at.audit)]
    rows += [("events", at.outbox), ("bytes on disk", size)]
    for name, count in rows:
        click.echo(f"{name:<28}{count:>16,}")


@store.command()
@store_option
@click.pass_context
def purge(context: click.Context, store: str | None) -> None:
    """Take what was erased out of the file itself: words of full text, free pages, the log. Writers wait meanwhile.

    It needs room for a second file. MongoDB overwrites by itself what is free; docs/operations-mongodb.md tells how to
    hasten it.
    """
    from fhir_server.app import open_plain_store
    from fhir_server.model.clock import SystemClock
    from fhir_server.store.sqlite import SqliteStore

    settings = _settings(context, store)
    if settings.on_mongodb:
        raise click.UsageError("MongoDB keeps its files itself: see docs/operations-mongodb.md, Erasure.")
    stored(settings)
    before = settings.store_path.stat().st_size

    def work(its: Settings) -> None:
        file = open_plain_store(its, SystemClock())
        try:
            if isinstance(file, SqliteStore):
                file.purge()
        finally:
            file.close()

    _told(settings, work)
    click.echo(f"{settings.store_name}: {before:,} bytes before, {settings.store_path.stat().st_size:,} after")


def _settings(context: click.Context, store: str | None) -> Settings:
    return settings_of(context, store=store_url(store)).settings


def _open(settings: Settings) -> None:
    """Open and close: a SQLite file is brought up to date by that."""
    from fhir_server.cli.stores import open_side
    from fhir_server.model.clock import SystemClock

    with open_side(settings, settings.store, SystemClock()):
        return


def _told(settings: Settings, work: Callable[[Settings], T]) -> T:
    """Run work that connects by itself. Raises ClickException with what the server said."""
    try:
        return work(settings)
    except FhirError as error:
        raise click.ClickException(f"{settings.store_name}: {error}") from error


store.add_command(reindex)
