"""Settings are read once at start: the defaults, a TOML file, environment variables and the command line, in that order.

Nothing reads the environment later.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from fhir_server.settings.access import check_protected, is_loopback
from fhir_server.settings.fields import Settings, SettingsError

PREFIX = "FHIR_"
FILE_VARIABLE = "FHIR_SETTINGS"
_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class Loaded(NamedTuple):
    """Settings, and for each one that is not a default where it came from."""

    settings: Settings
    sources: Mapping[str, str]


def load_settings(
    environ: Mapping[str, str], file: Path | None = None, options: Mapping[str, str | float | None] | None = None
) -> Loaded:
    """Read the settings with their sources; `options` come from the command line, None meaning not given.

    Raises SettingsError for the first setting that is unknown or wrong.
    """
    path = file or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    given = {name: value for name, value in (options or {}).items() if value is not None}
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, layer in ((f"file {path}", _from_file(path)), *_from_environment(environ), ("command line", given)):
        for name, value in layer.items():
            _check_name(name, source)
            values[name] = value
            sources[name] = source
    if values:
        _check_values(values, sources)
    floats = {item.name for item in fields(Settings) if isinstance(item.default, float)}
    values |= {name: float(value) for name, value in values.items() if name in floats}
    settings = Settings(**values)
    _check_together(settings, sources)
    return Loaded(settings, sources)


def settings_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a settings file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of fhir-server",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            item.name: {
                "type": _TYPES[type(item.default)],
                "description": item.metadata["help"],
                "default": item.default,
            }
            | item.metadata["rule"]
            for item in fields(Settings)
        },
    }


def secret_names() -> frozenset[str]:
    """Return the settings whose value is never shown."""
    return frozenset(item.name for item in fields(Settings) if item.metadata["secret"])


def _from_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        with path.open("rb") as handle:
            return tomllib.load(handle)
    except OSError as error:
        raise SettingsError("settings", f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError("settings", f"{path} is not TOML: {error}.") from error


def _from_environment(environ: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    defaults = {item.name: item.default for item in fields(Settings)}
    layers: list[tuple[str, dict[str, Any]]] = []
    for variable, text in environ.items():
        if variable.startswith(PREFIX) and variable != FILE_VARIABLE:
            name = variable.removeprefix(PREFIX).lower()
            layers.append((f"environment variable {variable}", {name: _parse(text, defaults.get(name))}))
    return layers


def _parse(text: str, default: Any) -> Any:
    """Read a value from an environment variable; one that cannot be read stays text, for the schema to refuse."""
    if isinstance(default, bool):
        return _BOOLEANS.get(text.lower(), text)
    if isinstance(default, int | float):
        try:
            return type(default)(text)
        except ValueError:
            return text
    return text


def _check_name(name: str, source: str) -> None:
    if name not in (known := [item.name for item in fields(Settings)]):
        near = get_close_matches(name, known, n=1)
        advice = f"Did you mean {near[0]}?" if near else "docs/settings.md lists all settings."
        raise SettingsError(name, f"there is no such setting ({source}). {advice}")


def _check_values(values: Mapping[str, Any], sources: Mapping[str, str]) -> None:
    from jsonschema import Draft202012Validator  # noqa: PLC0415  # 0.1 s of import, not needed for the defaults

    for name, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise SettingsError(name, f"{value} is refused ({sources[name]}). Give a finite number.")
    for error in Draft202012Validator(settings_schema()).iter_errors(dict(values)):
        name = str(error.absolute_path[0])
        found = "the value" if name in secret_names() else repr(values[name])
        allowed = {key: rule for key, rule in dict(error.schema).items() if key not in ("description", "default")}
        rule = ", ".join(f"{key} {value}" for key, value in allowed.items())
        raise SettingsError(name, f"{found} is refused ({sources[name]}). Allowed: {rule}.")


def _check_together(settings: Settings, sources: Mapping[str, str]) -> None:
    if settings.mode == "protected":
        check_protected(settings)
    elif not is_loopback(settings.host):
        raise SettingsError(
            "host",
            f"{settings.host!r} is not a loopback address ({sources['host']}). Development mode checks nobody's identity, "
            "so it listens on 127.0.0.1, ::1 or localhost only.",
        )
    if settings.default_count > settings.max_count:
        raise SettingsError("default_count", f"{settings.default_count} is more than max_count, {settings.max_count}.")
