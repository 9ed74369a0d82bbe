"""What can be set: one field of `Settings` for each setting.

The metadata of a field is the only place where its rule and its explanation stand. The JSON Schema that refuses wrong
values and docs/settings.md are both made from it.
"""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fhir_server.artifacts.source import default_root

_SQLITE = "sqlite:///"


class SettingsError(ValueError):
    """A setting is unknown or wrong; `name` is the setting and `message` says where it stood and what is allowed."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


def _setting(default: str | float, explanation: str, *, secret: bool = False, **rule: Any) -> Any:
    """Declare a field; `rule` holds JSON Schema keywords beyond the type."""
    return field(default=default, metadata={"help": explanation, "rule": rule, "secret": secret})


@dataclass(frozen=True, slots=True)
class Settings:
    """The effective settings of one process."""

    store: str = _setting(
        "sqlite:///var/fhir.sqlite",
        "Where resources are kept: `sqlite:///relative/path` or `sqlite:////absolute/path`.",
        pattern="^sqlite:///.+",
    )
    host: str = _setting("127.0.0.1", "Address to listen on; development mode takes loopback only.", minLength=1)
    port: int = _setting(8080, "TCP port to listen on; 0 takes a free one.", minimum=0, maximum=65535)
    base_url: str = _setting(
        "",
        "The FHIR base as clients reach it (behind a proxy: the outer one); empty means `http://host:port` + `base_path`.",
        pattern="^$|^https?://[^\\s?#]+[^\\s?#/]$",
    )
    base_path: str = _setting("/fhir", "Path below which FHIR is served.", pattern="^(/[A-Za-z0-9._~-]+)+$")
    mode: Literal["development"] = _setting(
        "development",
        "`development`: callers state who they are in a header and nobody checks it, hence loopback only.",
        enum=["development"],
    )
    artifact_root: str = _setting(
        "",
        "Folder that holds `profiles`, `terminology`, `mappings` and `examples`; empty means the one that was shipped.",
    )
    max_body_bytes: int = _setting(16 * 1024 * 1024, "Largest request body, in bytes.", minimum=1024)
    max_bundle_entries: int = _setting(5000, "Most entries in one batch or transaction.", minimum=1)
    default_count: int = _setting(20, "Page size when the client gives no `_count`.", minimum=1)
    max_count: int = _setting(1000, "Largest page; a larger `_count` is brought down to it.", minimum=1)
    max_includes: int = _setting(1000, "Most resources that includes may add to one page.", minimum=1)
    query_seconds: float = _setting(
        5.0, "Longest that one search may take before it is refused, in seconds.", exclusiveMinimum=0
    )
    busy_seconds: float = _setting(
        5.0, "Longest that a write waits for its turn before a 503, in seconds.", exclusiveMinimum=0
    )
    govern_all: bool = _setting(
        default=False,
        explanation="Hold every ServiceRequest and Task to the referral rules, not only those that claim our profiles.",
    )
    contact_days: int = _setting(7, "Days within which an organisation should contact the person.", minimum=1)
    publish_artifacts: bool = _setting(
        default=True,
        explanation="Store our profiles and terminology at start, so that clients can read them; off keeps the store as it is.",
    )
    references: Literal["ignore", "enforce"] = _setting(
        "ignore",
        "`enforce` refuses a literal relative reference to what is not stored; `ignore` lets systems load in any order.",
        enum=["ignore", "enforce"],
    )
    explain: bool = _setting(
        default=False,
        explanation="Answer a search with `_explain=true` by how it runs, for those who tune it; off refuses the parameter.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "Least severe line that is logged.", enum=["debug", "info", "warning", "error"]
    )
    log_format: Literal["text", "json"] = _setting("text", "Lines for people or for machines.", enum=["text", "json"])
    cursor_key: str = _setting(
        "",
        "Secret that signs paging links, 64 hexadecimal digits; empty means the content of `cursor_key_file`.",
        secret=True,
        pattern="^$|^[0-9a-fA-F]{64}$",
    )
    cursor_key_file: str = _setting(
        "", "File that holds `cursor_key`; made at the first start when absent. Empty means `<store>.key`."
    )
    cross_check: bool = _setting(
        default=False,
        explanation="Check everything that is answered a second time, with fhir.resources; slow, for testers.",
    )
    synchronous: Literal["FULL", "NORMAL"] = _setting(
        "FULL",
        "How durable a SQLite commit is: `NORMAL` may lose the last writes when the machine (not the process) dies.",
        enum=["FULL", "NORMAL"],
    )

    @property
    def store_path(self) -> Path:
        """The SQLite file."""
        return Path(self.store.removeprefix(_SQLITE))

    @property
    def artifacts(self) -> Path:
        """The folder of profiles/, terminology/, mappings/ and examples/."""
        return Path(self.artifact_root) if self.artifact_root else default_root()

    @property
    def public_base(self) -> str:
        """The FHIR base URL without a closing slash, as it stands in Location, fullUrl and links."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.base_url or f"http://{host}:{self.port}{self.base_path}"

    def signing_key(self) -> bytes:
        """Return the 32 bytes that sign paging links; make and keep them at first use. Raises SettingsError."""
        if self.cursor_key:
            return bytes.fromhex(self.cursor_key)
        path = Path(self.cursor_key_file or f"{self.store_path}.key")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _create_secret(path)
            key = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except (OSError, ValueError) as error:
            raise SettingsError("cursor_key_file", f"{path} cannot be used: {error}.") from error
        if len(key) != 32:  # noqa: PLR2004  # the size that HMAC-SHA-256 wants
            raise SettingsError("cursor_key_file", f"{path} holds {len(key)} bytes; 64 hexadecimal digits are wanted.")
        return key


def _create_secret(path: Path) -> None:
    """Make a file with 32 random bytes, readable by its owner only; leave an existing one alone."""
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as handle:
        handle.write(secrets.token_hex(32) + "\n")
    with suppress(FileExistsError):  # another process was first: its key counts
        path.hardlink_to(draft)
    draft.unlink()
