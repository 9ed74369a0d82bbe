"""`fhir-server serve`: one process, one event loop, one listening socket."""

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from fhir_server import __version__
from fhir_server.cli.configuration import refused_setting, settings_of, store_option, store_url
from fhir_server.settings import Settings, SettingsError

if TYPE_CHECKING:
    import uvicorn

READY = "ready; Ctrl-C stops it"
"""What the server prints when it answers requests."""

_WARNING = """
  DEVELOPMENT MODE: nobody's identity is checked. Whoever can reach this port can read and change everything,
  and says in a header who it is. Only this machine can reach it. Do not put real people's data in.
"""


@click.command()
@click.option("--host", help="Address to listen on; else the setting `host`.")
@click.option("--port", type=int, help="Port to listen on, 0 for a free one; else the setting `port`.")
@store_option
@click.pass_context
def serve(context: click.Context, host: str | None, port: int | None, store: str | None) -> None:
    """Serve FHIR over HTTP until Ctrl-C.

    \b
    fhir-server serve
    fhir-server serve --port 9000 --store /tmp/try.sqlite
    curl http://127.0.0.1:8080/fhir/metadata
    """  # noqa: D301  # click reads \b as "keep these lines"
    settings = settings_of(context, host=host, port=port, store=store_url(store)).settings
    listening = _listen(settings)
    settings = replace(settings, port=listening.getsockname()[1])
    click.echo(_banner(settings))
    _server(settings).run(sockets=[listening])


def _listen(settings: Settings) -> socket.socket:
    """Bind before anything slow, so that a port in use is a clear message and port 0 is known to all."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        place = f"{settings.host} port {settings.port}"
        raise click.ClickException(f"{place} is not free ({error.strerror}). Give another --port, or 0.") from error
    return listening


def _banner(settings: Settings) -> str:
    lines = (
        f"fhir-server {__version__}",
        f"  base      {settings.public_base}",
        f"  metadata  {settings.public_base}/metadata",
        f"  store     {settings.store_name}",
    )
    return "\n".join(lines) + (f"\n{_WARNING}" if settings.mode == "development" else "")


def _server(settings: Settings) -> "uvicorn.Server":
    import uvicorn

    from fhir_server.app import create_app
    from fhir_server.cli.engine import open_engine
    from fhir_server.cli.logs import configure_logs

    class Announced(uvicorn.Server):
        """Says when requests are answered."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                click.echo(READY)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            if engine.waiters is not None:
                engine.waiters.release()  # held answers go out now; their clients come again
            await super().shutdown(sockets)

    configure_logs(settings)
    try:
        engine = open_engine(settings)
        application = create_app(settings, engine)
    except SettingsError as error:
        raise refused_setting(error) from error
    configuration = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=10,
    )
    return Announced(configuration)
