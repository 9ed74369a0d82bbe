"""`fhir-server key`: the keys that sign access tokens."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fhir_server.cli.configuration import settings_of

if TYPE_CHECKING:
    from fhir_server.access.keys import KeyFolder


@click.group()
def key() -> None:
    """Make and list the keys that sign access tokens (setting `key_folder`).

    \b
    FHIR_KEY_FOLDER=var/keys fhir-server key rotate
    """  # noqa: D301  # click reads \b as "keep these lines"


@key.command()
@click.pass_context
def rotate(context: click.Context) -> None:
    """Make a key that signs from now on; the one before it is taken for an hour more. Running servers see it at once."""
    from fhir_server.access.keys import KeysUnusable

    folder = _folder(context)
    try:
        made = folder.rotate()
    except (KeysUnusable, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{made.kid} signs from now on ({folder.path})")


@key.command(name="list")
@click.pass_context
def list_keys(context: click.Context) -> None:
    """List the keys, newest first, and what each is for now."""
    from fhir_server.access.keys import KeysUnusable, in_use
    from fhir_server.model.clock import SystemClock, render_instant

    folder = _folder(context)
    try:
        keys = folder.every_key()
    except KeysUnusable as error:
        raise click.ClickException(str(error)) from error
    taken = {item.kid for item in in_use(keys, SystemClock().now_ms())}
    for at, item in enumerate(keys):
        use = "signs" if at == 0 else "checks" if item.kid in taken else "over"
        click.echo(f"{item.kid}  {render_instant(item.created)}  {use}")
    if not keys:
        raise click.ClickException(f"{folder.path} holds no key. `fhir-server key rotate` makes one.")


def _folder(context: click.Context) -> "KeyFolder":
    from fhir_server.access.keys import KeyFolder
    from fhir_server.model.clock import SystemClock

    settings = settings_of(context).settings
    if not settings.key_folder:
        raise click.UsageError("the setting key_folder names no folder: set FHIR_KEY_FOLDER, or key_folder in a file")
    return KeyFolder(Path(settings.key_folder), SystemClock())
