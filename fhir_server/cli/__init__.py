"""The command line `fhir-server`: one module per command. Each imports what it needs when it runs, so help is instant."""

from pathlib import Path

import click

from fhir_server import __version__
from fhir_server.cli.access import access
from fhir_server.cli.account import account
from fhir_server.cli.audit import audit
from fhir_server.cli.check import check
from fhir_server.cli.client import client
from fhir_server.cli.config import config
from fhir_server.cli.copy import copy
from fhir_server.cli.demo import demo
from fhir_server.cli.directory import directory
from fhir_server.cli.erase import erase, retention
from fhir_server.cli.export import export
from fhir_server.cli.key import key
from fhir_server.cli.load import load
from fhir_server.cli.reindex import reindex
from fhir_server.cli.seal import seal
from fhir_server.cli.serve import serve
from fhir_server.cli.store import store
from fhir_server.cli.subscription import subscription
from fhir_server.cli.terminology import terminology

_EPILOG = """\b
Start here:
  fhir-server demo                        see one referral go round
  fhir-server serve                       serve http://127.0.0.1:8080/fhir
  fhir-server load examples/region        fill the store that serve uses
  fhir-server load data.ndjson --url http://127.0.0.1:8080/fhir
  fhir-server directory import FILE ...   bring the social map in
  fhir-server export --out backup         write everything as NDJSON
  fhir-server reindex                     index again, after a new search parameter
  fhir-server store check                 is the store in order
  fhir-server copy --from URL --to URL    from SQLite to MongoDB, or back
  fhir-server terminology load FILE       answer from a whole code system
  fhir-server key rotate                  make a key that signs tokens
  fhir-server client add ...              let a system in
  fhir-server account add ...             let a person in
  fhir-server access stamp                who wrote what was stored before
  fhir-server audit verify                has anyone touched the audit trail
  fhir-server seal status                 are national numbers encrypted
  fhir-server erase Patient/x ...         forget a person
  fhir-server retention run               forget what is past its period
  fhir-server config                      see every setting and where it came from

Every command has its own --help. All settings: docs/settings.md.
"""


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--settings",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A TOML file with settings; else the one that FHIR_SETTINGS names.",
)
@click.version_option(__version__, prog_name="fhir-server")
@click.pass_context
def main(context: click.Context, settings: Path | None) -> None:
    """A FHIR R4 server for social referrals.

    Settings come from a TOML file, from environment variables such as FHIR_PORT, and from the options of a command; the
    last one given counts.
    """
    context.obj = settings


for _command in (
    serve,
    load,
    directory,
    export,
    reindex,
    store,
    copy,
    check,
    config,
    demo,
    client,
    key,
    account,
    access,
    terminology,
    audit,
    erase,
    retention,
    seal,
    subscription,
):
    main.add_command(_command)
