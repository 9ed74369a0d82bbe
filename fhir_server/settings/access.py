"""What must hold together before a server opens itself to others."""

import ipaddress
from urllib.parse import urlsplit

from fhir_server.settings.fields import Settings, SettingsError


def check_protected(settings: Settings) -> None:
    """Raise SettingsError unless protected mode can keep its promise: keys to sign with, and no token in clear text."""
    if not settings.key_folder:
        raise SettingsError(
            "key_folder", "protected mode signs tokens. Name a folder, and make a key with `fhir-server key rotate`."
        )
    parts = urlsplit(settings.public_base)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise SettingsError(
            "base_url",
            f"{settings.public_base} would send tokens in clear text. Give the https address that clients use; TLS ends in a "
            "proxy before this server.",
        )
    if not settings.public_base.endswith(settings.base_path):
        raise SettingsError(
            "base_url",
            f"{settings.public_base} does not end with base_path, {settings.base_path}: /oauth lies beside it.",
        )


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
