"""`fhir-server client`: the systems that may ask for access tokens."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fhir_server.access.principal import Principal
from fhir_server.cli.configuration import settings_of, store_option, store_url
from fhir_server.model.errors import FhirError

if TYPE_CHECKING:
    from fhir_server.access.clients import Client
    from fhir_server.store.port import Store, UnitOfWork

OPERATOR = Principal(roles=frozenset({"operator"}), agent="fhir-server")

_jwks = click.option(
    "--jwks", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File with a JWK Set."
)
_jwks_url = click.option("--jwks-url", metavar="URL", help="Where the client publishes its JWK Set (https).")


@click.group()
def client() -> None:
    """Register the systems that may ask for access tokens (SMART Backend Services).

    \b
    fhir-server client add --name "Praktijk Bea" --organization Organization/praktijk-bea --role referrer \\
        --scope "system/ServiceRequest.cruds" --scope "system/Task.rs" --jwks public.jwks.json
    fhir-server client list
    """  # noqa: D301  # click reads \b as "keep these lines"


@client.command()
@click.option("--id", "identity", help="The id that the client states; else a random one.")
@click.option("--name", required=True, help="Its name, for people.")
@click.option("--organization", required=True, metavar="Organization/ID", help="Whom it acts for; must be stored.")
@click.option("--role", "roles", multiple=True, required=True, help="A role; may be given more than once.")
@click.option("--scope", "scopes", multiple=True, required=True, help="A system scope; may be given more than once.")
@click.option("--area", "areas", multiple=True, metavar="Location/ID", help="An area of a link worker; idem.")
@click.option("--break-glass", is_flag=True, help="It may state the purpose BTG, with a reason.")
@_jwks
@_jwks_url
@store_option
@click.pass_context
def add(context: click.Context, /, identity: str | None, jwks: Path | None, store: str | None, **given: Any) -> None:
    """Register a client and print it."""
    from fhir_server.access.clients import add_client, new_client

    stated = {
        **given,
        "id": identity,
        "roles": list(given["roles"]),
        "areas": list(given["areas"]),
        "scopes": " ".join(given["scopes"]),
        "jwks": read_json(jwks),
    }
    with refusals(), opened(context, store) as kept:
        made = new_client(stated)
        kept.write(lambda uow: add_client(uow, made, OPERATOR))
    _print(made)


@client.command(name="list")
@store_option
@click.pass_context
def list_all(context: click.Context, store: str | None) -> None:
    """List the clients: id, state, organisation, name."""
    from fhir_server.access.clients import list_clients

    with refusals(), opened(context, store) as kept:
        for item in kept.read(list_clients):
            state = "active" if item.active else "disabled"
            click.echo(f"{item.id}  {state}  {item.organization}  {item.name}")


@client.command()
@click.argument("identity")
@store_option
@click.pass_context
def show(context: click.Context, identity: str, store: str | None) -> None:
    """Print one client as JSON."""
    from fhir_server.access.clients import find_client

    with refusals(), opened(context, store) as kept:
        found = kept.read(lambda snapshot: find_client(snapshot, identity))
    if found is None:
        raise click.ClickException(f"there is no client {identity}")
    _print(found)


@client.command()
@click.argument("identity")
@store_option
@click.pass_context
def disable(context: click.Context, identity: str, store: str | None) -> None:
    """Refuse a client from now on; running servers drop its tokens within a second."""
    _change(context, store, identity, "disable", lambda found: replace(found, active=False))
    click.echo(f"{identity} is disabled")


@client.command()
@click.argument("identity")
@store_option
@click.pass_context
def enable(context: click.Context, identity: str, store: str | None) -> None:
    """Admit a client again."""
    _change(context, store, identity, "enable", lambda found: replace(found, active=True))
    click.echo(f"{identity} is active")


@client.command(name="rotate-keys")
@click.argument("identity")
@_jwks
@_jwks_url
@store_option
@click.pass_context
def rotate_keys(
    context: click.Context, identity: str, jwks: Path | None, jwks_url: str | None, store: str | None
) -> None:
    """Put other keys in place of those of a client; a set may hold old and new ones side by side."""
    from fhir_server.access.clients import with_keys

    keys = read_json(jwks)
    _change(context, store, identity, "rotate-keys", lambda found: with_keys(found, keys, jwks_url))
    click.echo(f"{identity} has new keys")


@contextmanager
def opened(context: click.Context, store: str | None) -> "Iterator[Store]":
    """Open the store that the settings name."""
    from fhir_server.cli.engine import open_store

    with open_store(settings_of(context, store=store_url(store)).settings) as kept:
        yield kept


@contextmanager
def refusals() -> Iterator[None]:
    """Tell a refusal as a command line does."""
    try:
        yield
    except FhirError as error:
        raise click.ClickException(str(error)) from error


def read_json(path: Path | None) -> Any:
    """Read a JSON file; None for none. Raises ClickException."""
    if path is None:
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{path} is no JSON file: {error}") from error


def _change(
    context: click.Context, store: str | None, identity: str, action: str, change: "Callable[[Client], Client]"
) -> None:
    from fhir_server.access.clients import change_client, find_client

    def work(uow: "UnitOfWork") -> None:
        found = find_client(uow, identity)
        if found is None:
            raise click.ClickException(f"there is no client {identity}")
        change_client(uow, change(found), OPERATOR, action)

    with refusals(), opened(context, store) as kept:
        kept.write(work)


def _print(found: "Client") -> None:
    click.echo(json.dumps(found.described(), indent=2))
