"""`fhir-server seal`: the keys that national numbers are encrypted with at rest."""

import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fhir_server.cli.configuration import settings_of, store_option, store_url
from fhir_server.settings import Settings

if TYPE_CHECKING:
    from fhir_server.store.sealed import SealedStore


@click.group()
def seal() -> None:
    """The keys that national numbers are encrypted with at rest (docs/data-protection.md).

    \b
    fhir-server seal status --count
    fhir-server seal rotate
    """  # noqa: D301  # click reads \b as "keep these lines"


@seal.command()
@click.option("--count", is_flag=True, help="Walk all versions and tell which key seals how many.")
@store_option
@click.pass_context
def status(context: click.Context, count: bool, store: str | None) -> None:
    """Tell which keys there are; no key itself is shown."""
    from fhir_server.model.clock import render_instant
    from fhir_server.store.sealed.rotation import status as look

    settings = settings_of(context, store=store_url(store)).settings
    opened = _open(settings)
    try:
        found = look(opened, count=count)
    finally:
        opened.close()
    for key in found.keys:
        sealed = f", seals {found.sealed.get(key.number, 0)} versions" if count and key.use == "data" else ""
        number = f" {key.number}" if key.use == "data" else ""
        click.echo(f"{key.use}{number}: made {render_instant(key.made)}, wrapped by master key {key.master}{sealed}")
    if count:
        click.echo(f"{found.in_clear} versions with a national number lie in clear")


@seal.command()
@click.option("--master", is_flag=True, help="Also make a new master key, in the file of the setting.")
@store_option
@click.pass_context
def rotate(context: click.Context, master: bool, store: str | None) -> None:
    """Make a new data key, and wrap all keys by the first master key; servers go on meanwhile.

    \b
    fhir-server seal rotate
    fhir-server seal rotate --master
    """  # noqa: D301  # click reads \b as "keep these lines"
    from fhir_server.model.errors import FhirError
    from fhir_server.store.sealed.rotation import rotate as run

    settings = settings_of(context, store=store_url(store)).settings
    if master and settings.master_key:
        raise click.UsageError(
            "the master key comes from the setting master_key: put a new key before the old one there, with a comma, and "
            "run `fhir-server seal rotate`; after that the old one can go"
        )
    opened = _open(settings)
    try:
        if master:
            _put(settings.master_key_path, (secrets.token_bytes(32), *settings.master_keys()))
        done = run(opened)
        if master:
            _put(settings.master_key_path, settings.master_keys()[:1])
    except FhirError as error:
        raise click.ClickException(str(error)) from error
    finally:
        opened.close()
    click.echo(f"data key {done.data_keys} seals from now on; all keys are wrapped by master key {done.master}")


def _open(settings: Settings) -> "SealedStore":
    from fhir_server.cli.engine import open_engine
    from fhir_server.store.sealed import SealedStore

    store = open_engine(settings).store
    if not isinstance(store, SealedStore):
        store.close()
        raise click.ClickException("this store is not sealed")
    return store


def _put(path: Path, keys: tuple[bytes, ...]) -> None:
    """Replace the file of the master keys, at once and readable by its owner only."""
    draft = path.with_name(f"{path.name}.new")
    with suppress(FileNotFoundError):
        draft.unlink()
    draft.touch(mode=0o600)
    draft.write_text("".join(f"{key.hex()}\n" for key in keys), encoding="ascii")
    draft.replace(path)
