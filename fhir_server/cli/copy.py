"""`fhir-server copy`: bring everything from one store to another, of whatever make."""

from dataclasses import replace
from typing import Self

import click

from fhir_server.cli.configuration import settings_of, store_url, stored
from fhir_server.settings import Settings


@click.command()
@click.option("--from", "source", required=True, metavar="URL", help="The store that is copied; it may go on serving.")
@click.option("--to", "target", required=True, metavar="URL", help="An empty store, or an earlier copy.")
@click.option("--verify-only", is_flag=True, help="Copy nothing; compare what is there.")
@click.option("--index/--no-index", default=True, show_default=True, help="Make the search index of the copy.")
@click.pass_context
def copy(context: click.Context, source: str, target: str, verify_only: bool, index: bool) -> None:
    """Copy a store: every version, feed, audit trail, outbox, records and loaded code systems; then compare all of it.

    Sequence numbers, times, bytes and audit digests stay as they are. Interrupted, it goes on where it stopped when it is
    started again; started again after the source has changed, it copies what is new. Before the last run, stop what writes
    to the source.

    \b
    fhir-server copy --from sqlite:///var/fhir.sqlite --to 'mongodb://db1,db2,db3/fhir?replicaSet=rs0'
    fhir-server copy --from mongodb://db1/fhir --to sqlite:///backup.sqlite
    """  # noqa: D301  # click reads \b as "keep these lines"
    from fhir_server.cli.comparing import verify
    from fhir_server.cli.copying import Differs, ReplayClock
    from fhir_server.cli.copying import copy as run
    from fhir_server.cli.copying_concepts import copy_editions, verify_editions
    from fhir_server.cli.stores import open_side
    from fhir_server.model.clock import SystemClock

    settings = settings_of(context).settings
    came = stored(replace(settings, store=str(store_url(source))))
    went = replace(settings, store=str(store_url(target)))
    clock = ReplayClock()
    with open_side(came, came.store, SystemClock()) as first, open_side(went, went.store, clock) as second:
        try:
            if not verify_only:
                with _Bar("copying") as bar:
                    copied = run(first, second, clock, bar.told)
                loaded = copy_editions(first, second, clock)
                click.echo(f"copied {copied} versions" + (f" and {loaded} code systems" if loaded else ""))
            with _Bar("comparing") as bar:
                same = verify(first, second, bar.told)
            systems = verify_editions(first, second)
        except Differs as difference:
            raise click.ClickException(str(difference)) from difference
    click.echo(
        f"the same: {same.sequence} versions, {same.audit} audit records, {same.outbox} events, {systems} code systems"
    )
    if index and not verify_only:
        _index(went)


class _Bar:
    """A progress bar that is told how far and of how many."""

    def __init__(self, label: str) -> None:
        self._bar = click.progressbar(length=1, label=label, show_pos=True)

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.render_finish()

    def told(self, done: int, until: int) -> None:
        """Show how far it is."""
        self._bar.length = max(1, until)
        self._bar.update(done - self._bar.pos)


def _index(settings: Settings) -> None:
    from fhir_server.cli.engine import open_engine
    from fhir_server.interactions.reindexing import reindex

    engine = open_engine(settings)
    try:
        with _Bar("indexing") as bar:
            progress, _ = reindex(engine, (), lambda reached: bar.told(reached.after, reached.until))
    finally:
        engine.store.close()
    click.echo(f"indexed {progress.done} resources")
