"""`fhir-server reindex`: make the search index again, while the server serves."""

import time

import click

from fhir_server.cli.configuration import settings_of, store_option, store_url, stored


@click.command()
@click.option(
    "--type", "types", multiple=True, metavar="TYPE", help="Only this resource type; may be given more than once."
)
@store_option
@click.pass_context
def reindex(context: click.Context, types: tuple[str, ...], store: str | None) -> None:
    """Index every resource again, after a release or a new search parameter says so; the server may go on serving.

    To add a search parameter: put its file in profiles/search-parameters, restart the server, which then indexes what is
    written from now on, and run this command for what was there before. Interrupted, it goes on where it stopped when it
    is started again.

    \b
    fhir-server reindex
    fhir-server reindex --type Task --type ServiceRequest
    """  # noqa: D301  # click reads \b as "keep these lines"
    settings = stored(settings_of(context, store=store_url(store)).settings)
    from fhir_server.cli.engine import open_engine_for
    from fhir_server.interactions.reindexing import Progress
    from fhir_server.interactions.reindexing import reindex as run

    engine = open_engine_for(settings, types)
    began = time.monotonic()
    try:
        with click.progressbar(length=1, label="indexing", show_pos=True) as bar:

            def told(progress: Progress) -> None:
                bar.length = max(1, progress.until)
                bar.update(progress.after - bar.pos)

            progress, resumed = run(engine, types, told)
    finally:
        engine.store.close()
    where = " (went on where an earlier run stopped)" if resumed else ""
    click.echo(f"indexed {progress.done} resources in {time.monotonic() - began:.1f} s{where}")
