"""`fhir-server subscription`: what an operator does about subscriptions: see those that were given up, and redrive them."""

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from fhir_server.cli.client import refusals
from fhir_server.cli.configuration import settings_of, store_option, store_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fhir_server.interactions.context import Engine
    from fhir_server.store.port import Snapshot, UnitOfWork, Version


@click.group()
def subscription() -> None:
    """See subscriptions and their deliveries, and try again what was given up (docs/subscriptions.md).

    \b
    fhir-server subscription list --dead
    fhir-server subscription redrive 42
    """  # noqa: D301  # click reads \b as "keep these lines"


@subscription.command(name="list")
@click.option("--dead", is_flag=True, help="Only those that were given up: the dead letters.")
@store_option
@click.pass_context
def list_all(context: click.Context, dead: bool, store: str | None) -> None:
    """List subscriptions: id, state, events told of events in all, failed attempts, fault.

    \b
    fhir-server subscription list --dead
    """  # noqa: D301  # click reads \b as "keep these lines"
    with refusals(), _engine(context, store) as engine:
        for line in engine.store.read(lambda snapshot: _lines(snapshot, dead=dead)):
            click.echo(line)


@subscription.command()
@click.argument("identity")
@store_option
@click.pass_context
def redrive(context: click.Context, identity: str, store: str | None) -> None:
    """Tell a subscriber again from where it was given up; a running server does it within a second."""
    from fhir_server.access.principal import PLATFORM
    from fhir_server.interactions.subscriptions_lanes import Lane, keep_lane, lane_of
    from fhir_server.interactions.unit import Unit
    from fhir_server.model.codec import decode_stored

    with refusals(), _engine(context, store) as engine:

        def work(uow: "UnitOfWork") -> int:
            current = _current(uow, identity)
            resource = decode_stored(current.body or b"{}")
            if resource.get("status") == "off":
                raise click.ClickException(f"Subscription/{identity} is off; its subscriber asks for it anew")
            keep_lane(uow, identity, Lane(sent=lane_of(uow, identity).sent))
            unit = Unit(engine, uow, PLATFORM)
            kept = {name: value for name, value in resource.items() if name != "error"}
            unit.write({**kept, "status": "requested"}, identity, "PUT", current)
            unit.settle()
            return lane_of(uow, identity).sent

        sent = engine.store.write(work)
    click.echo(f"Subscription/{identity} is told again from event {sent + 1}")


@subscription.command()
@click.argument("identity")
@click.option("--forget", is_flag=True, help="Sign no longer.")
@store_option
@click.pass_context
def secret(context: click.Context, identity: str, forget: bool, store: str | None) -> None:
    """Make the secret that notifications of a subscription are signed with, and print it once.

    Give it to the subscriber by another way. It signs from the next notification on, as standard-webhooks.com says.
    """
    from fhir_server.access.principal import Principal
    from fhir_server.access.trail import append_event
    from fhir_server.interactions.subscriptions_lanes import SECRET

    made = secrets.token_hex(32)
    operator = Principal(roles=frozenset({"operator"}), agent="fhir-server command")
    with refusals(), _engine(context, store) as engine:

        def work(uow: "UnitOfWork") -> None:
            _current(uow, identity)
            if forget:
                uow.remove_record(SECRET, identity)
            else:
                uow.set_record(SECRET, identity, made.encode())
            event = "subscription-secret-forget" if forget else "subscription-secret"
            append_event(uow, operator, event, f"Subscription/{identity}")

        engine.store.write(work)
    click.echo("forgotten" if forget else made)


def _lines(snapshot: "Snapshot", *, dead: bool) -> list[str]:
    from fhir_server.interactions.subscriptions import read_subscription
    from fhir_server.interactions.subscriptions_events import event_count
    from fhir_server.interactions.subscriptions_lanes import all_lanes
    from fhir_server.model.codec import decode_stored

    found = []
    for identity, lane in all_lanes(snapshot).items():
        current = snapshot.current("Subscription", identity)
        if (dead and not lane.dead) or current is None or current.body is None:
            continue
        status = read_subscription(decode_stored(current.body)).status
        told = f"{lane.sent} of {event_count(snapshot, identity)} told"
        found.append(f"{identity}  {status}  {told}  {lane.attempts} failed  {lane.fault}".rstrip())
    return found


def _current(uow: "UnitOfWork", identity: str) -> "Version":
    current = uow.current("Subscription", identity)
    if current is None or current.body is None:
        raise click.ClickException(f"there is no Subscription/{identity}")
    return current


@contextmanager
def _engine(context: click.Context, store: str | None) -> "Iterator[Engine]":
    """Open the engine that the settings name, and close its store."""
    from fhir_server.cli.engine import open_engine

    engine = open_engine(settings_of(context, store=store_url(store)).settings)
    try:
        yield engine
    finally:
        engine.store.close()
