"""`fhir-server config`: the effective settings, and the documentation that is made from their declaration."""

import json
from collections.abc import Mapping
from dataclasses import fields

import click

from fhir_server.cli.configuration import settings_of
from fhir_server.settings import PREFIX, Settings, secret_names, settings_schema

_INTRODUCTION = """\
# Settings

Made from `fhir_server/settings.py` by `make docs`; a test compares them.

A setting has one name everywhere: `port` in a TOML file (`fhir-server --settings FILE`, or the file that `FHIR_SETTINGS`
names) is `FHIR_PORT` in the environment. Command-line options count before the environment, the environment before the
file, the file before the default. A name that does not exist and a value that is not allowed stop the server at start with
the name of the setting. In the environment, booleans are `true` or `false`. Relative paths start at the working directory.

| setting | default | allowed | what it does |
|---|---|---|---|
"""


@click.command()
@click.option("--table", is_flag=True, help="Print the documentation of all settings (docs/settings.md).")
@click.option("--referral", is_flag=True, help="Print the states, rules and reasons of a referral (docs/referral.md).")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a settings file.")
@click.pass_context
def config(context: click.Context, table: bool, referral: bool, schema: bool) -> None:
    """Show the effective settings and where each came from.

    \b
    FHIR_PORT=9000 fhir-server config
    fhir-server --settings fhir.toml config
    fhir-server config --schema > fhir-settings.schema.json
    """  # noqa: D301  # click reads \b as "keep these lines"
    if table:
        click.echo(settings_table(), nl=False)
    elif referral:
        from fhir_server.workflow.document import referral_document

        click.echo(referral_document(), nl=False)
    elif schema:
        click.echo(json.dumps(settings_schema(), indent=2))
    else:
        loaded = settings_of(context)
        for line in effective_lines(loaded.settings, loaded.sources):
            click.echo(line)


def effective_lines(settings: Settings, sources: Mapping[str, str]) -> list[str]:
    """Render `name = value  # source` as TOML that could be a settings file, secrets left out."""
    lines = []
    for item in fields(settings):
        value = getattr(settings, item.name)
        source = sources.get(item.name, "default")
        shown = '"***"' if item.name in secret_names() and value else json.dumps(value, ensure_ascii=False)
        lines.append(f"{item.name} = {shown}".ljust(50) + f" # {source}")
    return lines


def settings_table() -> str:
    """Render docs/settings.md."""
    rows = [
        f"| `{name}` | {_code(rule['default'])} | {_allowed(rule)} | {rule['description']} |"
        for name, rule in settings_schema()["properties"].items()
    ]
    example = f"\n`{PREFIX}PORT=9000 {PREFIX}LOG_FORMAT=json fhir-server serve` sets two of them; "
    return _INTRODUCTION + "\n".join(rows) + "\n" + example + "`fhir-server config` shows the result.\n"


def _code(value: object) -> str:
    return f"`{json.dumps(value)}`" if value != "" else "empty"


def _allowed(rule: Mapping[str, object]) -> str:
    if "enum" in rule:
        return " or ".join(_code(value) for value in rule["enum"]) if isinstance(rule["enum"], list) else ""
    words = [str(rule["type"])]
    words += [f"at least {rule['minimum']}"] if "minimum" in rule else []
    words += [f"at most {rule['maximum']}"] if "maximum" in rule else []
    words += [f"more than {rule['exclusiveMinimum']}"] if "exclusiveMinimum" in rule else []
    words += [f"like `{rule['pattern']}`".replace("|", "\\|")] if "pattern" in rule else []
    return ", ".join(words)
