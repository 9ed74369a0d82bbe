"""From the command line to settings: one place that turns a wrong setting into a usage error (exit status 2)."""

import os
from pathlib import Path

import click

from fhir_server.settings import Loaded, Settings, SettingsError, load_settings


def settings_of(context: click.Context, **options: str | float | None) -> Loaded:
    """Read the settings for a command; `options` that were given on the command line count before all else."""
    file: Path | None = context.find_root().obj
    try:
        return load_settings(os.environ, file, options)
    except SettingsError as error:
        raise refused_setting(error) from error


def refused_setting(error: SettingsError) -> click.UsageError:
    """Name the setting that is wrong, and how to see them all."""
    return click.UsageError(
        f"setting {error.name}: {error.message}\n`fhir-server config --table` explains all settings."
    )


def stored(settings: Settings) -> Settings:
    """Return the settings of a store that is there. Raises ClickException when it is not: a command that reads makes none."""
    if settings.store_is_absent:
        raise click.ClickException(f"there is no store at {settings.store_path}")
    return settings


def store_url(text: str | None) -> str | None:
    """Take `--store var/x.sqlite` for the URL that it abbreviates."""
    if text is None or "://" in text:
        return text
    return f"sqlite:///{text}"


store_option = click.option(
    "--store", metavar="FILE", help="The SQLite file (or a store URL); else the setting `store`."
)
