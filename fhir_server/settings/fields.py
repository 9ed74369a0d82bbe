"""What can be set: one field of `Settings` for each setting.

The metadata of a field is the only place where its rule and its explanation stand. The JSON Schema that refuses wrong
values and docs/settings.md are both made from it.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fhir_server.artifacts.source import default_root
from fhir_server.settings.declaring import setting as _setting
from fhir_server.settings.secret_files import create_secret
from fhir_server.settings.telling import TellingSettings

_SQLITE = "sqlite:///"


class SettingsError(ValueError):
    """A setting is unknown or wrong; `name` is the setting and `message` says where it stood and what is allowed."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


@dataclass(frozen=True, slots=True)
class Settings(TellingSettings):
    """The effective settings of one process."""

    store: str = _setting(
        "sqlite:///var/fhir.sqlite",
        "Where resources are kept: `sqlite:///relative/path`, `sqlite:////absolute/path`, or a MongoDB replica set as "
        "`mongodb://host1,host2,host3/database?replicaSet=name`.",
        pattern="^(sqlite:///.+|mongodb(\\+srv)?://[^/]+(/.*)?)$",
    )
    host: str = _setting("127.0.0.1", "Address to listen on; development mode takes loopback only.", minLength=1)
    port: int = _setting(8080, "TCP port to listen on; 0 takes a free one.", minimum=0, maximum=65535)
    base_url: str = _setting(
        "",
        "The FHIR base as clients reach it (behind a proxy: the outer one); empty means `http://host:port` + `base_path`.",
        pattern="^$|^https?://[^\\s?#]+[^\\s?#/]$",
    )
    base_path: str = _setting("/fhir", "Path below which FHIR is served.", pattern="^(/[A-Za-z0-9._~-]+)+$")
    mode: Literal["development", "protected"] = _setting(
        "development",
        "`development`: callers state who they are in a header and nobody checks it, hence loopback only. `protected`: "
        "callers prove who they are with a token; needs `key_folder`, and an https `base_url` unless it is on loopback.",
        enum=["development", "protected"],
    )
    key_folder: str = _setting(
        "", "Folder of the keys that sign tokens, and of the server's secret; `fhir-server key rotate` makes it."
    )
    token_seconds: int = _setting(300, "How long an access token lives, in seconds.", minimum=10, maximum=3600)
    issuers_file: str = _setting(
        "",
        "TOML or JSON file with the OpenID providers whose tokens and sign-ins are taken (docs/access.md); empty: none.",
    )
    session_idle_minutes: int = _setting(
        30, "Minutes of rest after which a session of the pages ends.", minimum=1, maximum=1440
    )
    session_hours: int = _setting(
        10, "Hours after which a session of the pages ends in any case.", minimum=1, maximum=168
    )
    pages: bool = _setting(
        default=True,
        explanation="Serve the web pages (docs/pages.md); off leaves the FHIR interface and the endpoints of getting in.",
    )
    time_zone: str = _setting(
        "Europe/Brussels", "Where the people are who read the pages, as a name of the IANA time zones.", minLength=1
    )
    language: Literal["nl", "fr", "en", "de"] = _setting(
        "en",
        "Language of what the server itself composes in resources that it stores: displays of codes, and sentences, which "
        "carry the other languages with them as translations.",
        enum=["nl", "fr", "en", "de"],
    )
    private_addresses: bool = _setting(
        default=False,
        explanation="Let the server fetch keys from private and loopback addresses, and by http; for networks without internet.",
    )
    cors_origins: str = _setting(
        "",
        "Sites whose pages may call this server from a browser, set apart by spaces; `*` is all; empty is none.",
        pattern="^$|^(\\*|https?://[^\\s/]+)( (\\*|https?://[^\\s/]+))*$",
    )
    rate_per_second: float = _setting(
        200.0, "Requests a second that one client may make of one process in protected mode; 0 is no limit.", minimum=0
    )
    rate_burst: int = _setting(
        400, "Requests that a client may make at once before `rate_per_second` holds.", minimum=1
    )
    failures_per_minute: float = _setting(
        60.0,
        "Failed attempts a minute to get in that one network address may make of one process; 0 is no limit.",
        minimum=0,
    )
    body_seconds: float = _setting(
        60.0, "Longest that a request body may take to arrive, in seconds.", exclusiveMinimum=0
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
    enforce_access: bool = _setting(
        default=False,
        explanation="Hold the access policies in development mode too; protected mode always does. Off lets every caller see all.",
    )
    glass_minutes: int = _setting(
        60,
        "How long an organisation that breaks the glass sees the record of the person; 0 lets nobody break it.",
        minimum=0,
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
    master_key: str = _setting(
        "",
        "Secret that wraps the keys which seal national numbers at rest, 64 hexadecimal digits; several with commas, the "
        "first wraps, all open. Empty means the content of `master_key_file`.",
        secret=True,
        pattern="^$|^[0-9a-fA-F]{64}(,[0-9a-fA-F]{64})*$",
    )
    master_key_file: str = _setting(
        "",
        "File that holds `master_key`, a key on each line; made at the first start when absent. Empty means "
        "`<store>.master`. Keep it on another disk than the store, and a copy elsewhere: without it, what is sealed is lost.",
    )
    audit_reads: Literal["auto", "batched", "before-answer", "off"] = _setting(
        "auto",
        "When the audit of a read is durable: `batched` within 200 ms, `before-answer` before it is answered; `off` audits "
        "changes and refusals only. `auto` is `batched` where access is enforced, and `off` in open development mode, "
        "where nobody is known.",
        enum=["auto", "batched", "before-answer", "off"],
    )
    audit_directory: bool = _setting(
        default=False,
        explanation="Audit also reads of what says nothing of a person: organisations, services, definitions, terminology.",
    )
    audit_seals_file: str = _setting(
        "",
        "File to which the seals of the audit trail are appended, best on another machine: it shows when the end of the "
        "trail was cut off. Empty writes none.",
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
    def on_mongodb(self) -> bool:
        """Whether the store is a MongoDB database."""
        return self.store.startswith("mongodb")

    @property
    def store_path(self) -> Path:
        """The SQLite file; beside MongoDB, what the names of the key files begin with."""
        if self.on_mongodb:
            return Path(
                "var", "mongodb-" + (self.store.partition("://")[2].partition("/")[2].partition("?")[0] or "fhir")
            )
        return Path(self.store.removeprefix(_SQLITE))

    @property
    def store_name(self) -> str:
        """How the store is called to people: the file, or the address without what is secret in it."""
        if self.on_mongodb:
            scheme, _, rest = self.store.partition("://")
            return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
        return str(self.store_path)

    @property
    def store_is_absent(self) -> bool:
        """Whether there is surely no store yet: no file; of a database only opening it tells."""
        return not self.on_mongodb and not self.store_path.is_file()

    @property
    def access_enforced(self) -> bool:
        """Whether callers see and do only what policies allow them."""
        return self.enforce_access or self.mode == "protected"

    @property
    def read_audit(self) -> Literal["batched", "before-answer", "off"]:
        """When the audit of a read is durable; `auto` is resolved."""
        if self.audit_reads == "auto":
            return "batched" if self.access_enforced else "off"
        return self.audit_reads

    @property
    def artifacts(self) -> Path:
        """The folder of profiles/, terminology/, mappings/ and examples/."""
        return Path(self.artifact_root) if self.artifact_root else default_root()

    @property
    def public_base(self) -> str:
        """The FHIR base URL without a closing slash, as it stands in Location, fullUrl and links."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.base_url or f"http://{host}:{self.port}{self.base_path}"

    def master_keys(self) -> tuple[bytes, ...]:
        """Return the keys that wrap those of the store, the first first; read anew at each call. Raises SettingsError."""
        text = self.master_key
        path = self.master_key_path
        if not text:
            if not path.exists():
                return ()
            try:
                text = ",".join(path.read_text(encoding="ascii").split())
            except (OSError, ValueError) as error:
                raise SettingsError("master_key_file", f"{path} cannot be used: {error}.") from error
        if re.fullmatch("[0-9a-fA-F]{64}(,[0-9a-fA-F]{64})*", text) is None:
            raise SettingsError("master_key_file", f"{path} holds no keys: lines of 64 hexadecimal digits are wanted.")
        return tuple(bytes.fromhex(key) for key in text.split(","))

    def make_master_key(self) -> None:
        """Make the file of the master key when there is neither the file nor the setting. Raises SettingsError."""
        if self.master_key:
            return
        try:
            self.master_key_path.parent.mkdir(parents=True, exist_ok=True)
            create_secret(self.master_key_path)
        except OSError as error:
            raise SettingsError("master_key_file", f"{self.master_key_path} cannot be made: {error}.") from error

    @property
    def master_key_path(self) -> Path:
        """The file of the master keys, for who does not set them in the environment."""
        return Path(self.master_key_file or f"{self.store_path}.master")

    @property
    def issuer(self) -> str:
        """The URL above the FHIR base: `/oauth` lies below it, and tokens name it as their issuer."""
        return self.public_base.removesuffix(self.base_path)

    def signing_key(self) -> bytes:
        """Return the 32 bytes that sign paging links; make and keep them at first use. Raises SettingsError."""
        if self.cursor_key:
            return bytes.fromhex(self.cursor_key)
        path = Path(self.cursor_key_file or f"{self.store_path}.key")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            create_secret(path)
            key = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except (OSError, ValueError) as error:
            raise SettingsError("cursor_key_file", f"{path} cannot be used: {error}.") from error
        if len(key) != 32:  # noqa: PLR2004  # the size that HMAC-SHA-256 wants
            raise SettingsError("cursor_key_file", f"{path} holds {len(key)} bytes; 64 hexadecimal digits are wanted.")
        return key
