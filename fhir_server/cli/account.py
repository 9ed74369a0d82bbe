"""`fhir-server account`: people who sign in to the pages with a password, because their organisation has no provider."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fhir_server.cli.client import OPERATOR, opened, refusals
from fhir_server.cli.configuration import settings_of, store_option

if TYPE_CHECKING:
    from fhir_server.access.accounts import Accounts, Credentials
    from fhir_server.store.port import UnitOfWork


@click.group()
def account() -> None:
    """Make accounts for people who sign in to the pages with a password and a code of their phone.

    \b
    fhir-server account add an@caw.example --organization Organization/caw-halle --role recipient
    fhir-server account list
    """  # noqa: D301  # click reads \b as "keep these lines"


@account.command()
@click.argument("name")
@click.option("--organization", required=True, metavar="Organization/ID", help="Whom the person works for.")
@click.option("--role", "roles", multiple=True, required=True, help="A role; may be given more than once.")
@click.option("--area", "areas", multiple=True, metavar="Location/ID", help="An area of a link worker; idem.")
@store_option
@click.pass_context
def add(
    context: click.Context,
    name: str,
    organization: str,
    roles: tuple[str, ...],
    areas: tuple[str, ...],
    store: str | None,
) -> None:
    """Make an account; prints its first password and the address for the authenticator app, once."""
    given = {"name": name, "organization": organization, "roles": roles, "areas": areas}
    _equip(context, store, lambda accounts, uow: accounts.add(uow, given, OPERATOR))


@account.command()
@click.argument("name")
@store_option
@click.pass_context
def reset(context: click.Context, name: str, store: str | None) -> None:
    """Give an account a new password and device; ends its sessions, and its wait."""
    _equip(context, store, lambda accounts, uow: accounts.reset(uow, name, OPERATOR))


@account.command()
@click.argument("name")
@store_option
@click.pass_context
def disable(context: click.Context, name: str, store: str | None) -> None:
    """Refuse an account from now on, and end its sessions."""
    from fhir_server.access.accounts import disable_account

    with refusals(), opened(context, store) as kept:
        kept.write(lambda uow: disable_account(uow, name, OPERATOR))
    click.echo(f"{name} is disabled")


@account.command(name="list")
@store_option
@click.pass_context
def list_all(context: click.Context, store: str | None) -> None:
    """List the accounts: name, state, organisation, roles."""
    from fhir_server.access.accounts import list_accounts

    with refusals(), opened(context, store) as kept:
        for item in kept.read(list_accounts):
            state = "active" if item.active else "disabled"
            click.echo(f"{item.name}  {state}  {item.organization}  {', '.join(sorted(item.roles))}")


def _equip(context: click.Context, store: str | None, work: "Callable[[Accounts, UnitOfWork], Credentials]") -> None:
    from fhir_server.access.accounts import Accounts
    from fhir_server.access.keys import KeyFolder, KeysUnusable
    from fhir_server.model.clock import SystemClock

    folder = settings_of(context).settings.key_folder
    if not folder:
        raise click.UsageError("the setting key_folder names no folder: accounts are sealed with its secret")
    try:
        secret = KeyFolder(Path(folder), SystemClock()).secret()
    except KeysUnusable as error:
        raise click.ClickException(str(error)) from error
    with refusals(), opened(context, store) as kept:
        accounts = Accounts(kept, SystemClock(), secret)
        made = kept.write(lambda uow: work(accounts, uow))
    click.echo(f"password  {made.password}\ndevice    {made.totp_uri}")
