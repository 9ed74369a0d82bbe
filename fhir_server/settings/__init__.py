"""What a process is told before it starts."""

from fhir_server.settings.fields import Settings, SettingsError
from fhir_server.settings.loading import FILE_VARIABLE, PREFIX, Loaded, load_settings, secret_names, settings_schema

__all__ = [
    "FILE_VARIABLE",
    "PREFIX",
    "Loaded",
    "Settings",
    "SettingsError",
    "load_settings",
    "secret_names",
    "settings_schema",
]
