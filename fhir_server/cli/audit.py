"""`fhir-server audit`: verify, export, trim and seal the audit trail."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fhir_server.cli.configuration import settings_of, store_option, store_url

if TYPE_CHECKING:
    from fhir_server.interactions.audit_seals import Seal, Signer
    from fhir_server.interactions.context import Engine
    from fhir_server.store.port import Snapshot, UnitOfWork

_BATCH = 500


@click.group()
def audit() -> None:
    """Verify, export and trim the audit trail. All of it works while the server runs.

    \b
    fhir-server audit verify
    fhir-server audit export > audit.ndjson
    """  # noqa: D301  # click reads \b as "keep these lines"


@audit.command()
@click.option(
    "--seals",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of seals kept outside of the store (setting audit_seals_file); that file is read by itself.",
)
@store_option
@click.pass_context
def verify(context: click.Context, seals: Path | None, store: str | None) -> None:
    """Find every edit, gap, reordering and cut of the trail; exit status 1 when there is any.

    \b
    fhir-server audit verify
    fhir-server audit verify --seals /mnt/elsewhere/seals
    """  # noqa: D301  # click reads \b as "keep these lines"
    from fhir_server.interactions.audit_verify import verify as run

    with _engine(context, store) as engine:
        signer = _signer(engine)
        outside = _outside(seals, context, store)
        verdict = engine.store.read(lambda snapshot: run(snapshot, signer.public, outside))
    for finding in verdict.findings:
        click.echo(f"record {finding.number}: {finding.said}")
    click.echo(
        f"{verdict.checked} records, {verdict.first} to {verdict.last}, sealed up to {verdict.sealed}; "
        f"{len(verdict.findings)} findings; seals are judged by {signer.public}"
    )
    if verdict.findings:
        context.exit(1)


@audit.command()
@click.option("--since", help="Only what was recorded at or after this date (2026-01-31).")
@click.option("--patient", help="Only what is about this person (Patient/id).")
@store_option
@click.pass_context
def export(context: click.Context, since: str | None, patient: str | None, store: str | None) -> None:
    """Write the trail as AuditEvents, NDJSON on standard output, oldest first.

    \b
    fhir-server audit export > audit.ndjson
    fhir-server audit export --patient Patient/42 --since 2026-01-01
    """  # noqa: D301  # idem
    from fhir_server.interactions.audit_render import events, render
    from fhir_server.model.codec import encode

    recorded = (_milliseconds(since), 2**62) if since else None
    about = (patient,) if patient else ()
    with _engine(context, store) as engine:
        unseal, count = engine.auditor.sealing.unseal, 0
        for record in _all_records(engine, about, recorded):
            for event in events(record):
                if patient and patient not in event.access.persons:
                    continue
                sys.stdout.buffer.write(encode(render(event, engine.routes, engine.own_base, unseal)) + b"\n")
                count += 1
        sys.stdout.buffer.flush()
    click.echo(f"exported {count} AuditEvents", err=True)


@audit.command()
@click.option("--before", required=True, help="Take away what was recorded before this date (2021-01-31).")
@click.option("--yes", is_flag=True, help="Do it; without, only tell what would go.")
@store_option
@click.pass_context
def trim(context: click.Context, before: str, yes: bool, store: str | None) -> None:
    """Take away the oldest part of the trail, when it need not be kept any longer; what remains stays verifiable.

    \b
    fhir-server audit trim --before 2021-01-01
    fhir-server audit trim --before 2021-01-01 --yes
    """  # noqa: D301  # idem
    from fhir_server.interactions.retention import trim_trail

    limit = _milliseconds(before)
    with _engine(context, store) as engine:
        gone = trim_trail(engine, limit, really=yes)
    click.echo(f"{gone} records {'were taken away' if yes else 'would be taken away; --yes does it'}")


@audit.command()
@store_option
@click.pass_context
def seal(context: click.Context, store: str | None) -> None:
    """Seal the newest record, and print the seal: keep it where the database cannot be written."""
    from fhir_server.interactions.audit_seals import as_line, latest, seal_trail

    with _engine(context, store) as engine:
        signer = _signer(engine)

        def work(uow: "UnitOfWork") -> "Seal | None":
            seal_trail(uow, signer)
            return latest(uow)

        made = engine.store.write(work)
    click.echo(as_line(made) if made else "the trail is empty")


class _engine:  # noqa: N801  # a context manager, used like one
    """The engine on the store of the settings; writes what its own work audits when it is left."""

    def __init__(self, context: click.Context, store: str | None) -> None:
        self._settings = settings_of(context, store=store_url(store)).settings

    def __enter__(self) -> "Engine":
        from fhir_server.cli.engine import open_engine

        self._engine = open_engine(self._settings)
        return self._engine

    def __exit__(self, *error: object) -> None:
        self._engine.store.close()


def _signer(engine: "Engine") -> "Signer":
    signer = engine.auditor.sealing.signer
    if signer is None:
        raise click.ClickException("this store has no key to seal with")
    return signer


def _outside(seals: Path | None, context: click.Context, store: str | None) -> "list[Seal]":
    from fhir_server.interactions.audit_seals import read_lines

    named = settings_of(context, store=store_url(store)).settings.audit_seals_file
    path = seals or (Path(named) if named else None)
    if path is None or not path.exists():
        return []
    try:
        return read_lines(path.read_text(encoding="ascii").splitlines())
    except ValueError as error:
        raise click.ClickException(f"{path} does not hold seals: {error}") from error


def _all_records(engine: "Engine", about: tuple[str, ...], recorded: tuple[int, int] | None) -> Iterator[Any]:
    after = 0

    def page(snapshot: "Snapshot") -> list[Any]:
        return list(snapshot.audit(after, _BATCH, about, recorded))

    while records := engine.store.read(page):
        yield from records
        after = records[-1].number


def _milliseconds(text: str) -> int:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a date such as 2026-01-31") from error
    return (day - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
