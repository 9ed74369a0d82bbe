"""`fhir-server access`: what an operator does once, before access is enforced on a store that has data."""

import time

import click

from fhir_server.cli.configuration import settings_of, store_option, store_url, stored


@click.group()
def access() -> None:
    """Prepare a store for access control.

    \b
    fhir-server access stamp
    """  # noqa: D301  # click reads \b as "keep these lines"


@access.command()
@click.option(
    "--organization",
    default="",
    metavar="Organization/ID",
    help="Who counts as the writer of what names none; without it such resources stay hidden unless a referral names them.",
)
@click.option(
    "--type", "types", multiple=True, metavar="TYPE", help="Only this resource type; may be given more than once."
)
@store_option
@click.pass_context
def stamp(context: click.Context, organization: str, types: tuple[str, ...], store: str | None) -> None:
    """Note on everything stored who wrote it and who may read it; the server may go on serving.

    Needed once for what was stored while access was not enforced. Run it for one organisation's data after another: a
    writer that is known stays. Each resource that gets a tag gets a version. Interrupted, it goes on where it stopped
    when it is started again.

    \b
    fhir-server access stamp --organization Organization/praktijk-bea --type Patient --type Condition
    fhir-server access stamp
    """  # noqa: D301  # click reads \b as "keep these lines"
    settings = stored(settings_of(context, store=store_url(store)).settings)
    from fhir_server.cli.engine import open_engine_for
    from fhir_server.interactions.stamping import stamp_all
    from fhir_server.model.errors import FhirError

    engine = open_engine_for(settings, types)
    began = time.monotonic()
    try:
        progress, resumed = stamp_all(engine, organization, types)
    except FhirError as error:
        raise click.ClickException(str(error)) from error
    finally:
        engine.store.close()
    where = " (went on where an earlier run stopped)" if resumed else ""
    click.echo(f"stamped {progress.stamped} resources in {time.monotonic() - began:.1f} s{where}")
