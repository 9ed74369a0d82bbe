"""Settings are right or refused at start, with the name of the setting and where it stood."""

import stat
from dataclasses import fields
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from fhir_server.settings import Settings, SettingsError, load_settings, settings_schema

REFUSED = [
    ({"FHIR_PORT": "80800"}, "port", "maximum 65535"),
    ({"FHIR_PORT": "eight"}, "port", "type integer"),
    ({"FHIR_PORT": "8080.5"}, "port", "type integer"),
    ({"FHIR_PRT": "1"}, "prt", "Did you mean port?"),
    ({"FHIR_ZZZZZZ": "1"}, "zzzzzz", "docs/settings.md"),
    ({"FHIR_HOST": "0.0.0.0"}, "host", "loopback"),
    ({"FHIR_HOST": "fhir.example.org"}, "host", "loopback"),
    ({"FHIR_HOST": "::"}, "host", "loopback"),
    ({"FHIR_QUERY_SECONDS": "nan"}, "query_seconds", "finite"),
    ({"FHIR_BUSY_SECONDS": "inf"}, "busy_seconds", "finite"),
    ({"FHIR_QUERY_SECONDS": "0"}, "query_seconds", "exclusiveMinimum 0"),
    ({"FHIR_GOVERN_ALL": "perhaps"}, "govern_all", "type boolean"),
    ({"FHIR_MODE": "open"}, "mode", "development"),
    ({"FHIR_STORE": "postgres://x"}, "store", "sqlite:///"),
    ({"FHIR_BASE_PATH": "fhir/"}, "base_path", "pattern"),
    ({"FHIR_BASE_URL": "https://example.org/fhir/"}, "base_url", "pattern"),
    ({"FHIR_DEFAULT_COUNT": "2000"}, "default_count", "max_count"),
    ({"FHIR_REFERENCES": "sometimes"}, "references", "enforce"),
]


@pytest.mark.parametrize(("environ", "name", "reason"), REFUSED, ids=[f"{row[1]}-{row[2]}" for row in REFUSED])
def test_a_wrong_variable_is_refused_with_its_name(environ: dict[str, str], name: str, reason: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(environ)
    assert refused.value.name == name
    assert reason in refused.value.message


def test_the_defaults_hold_to_their_own_schema_and_bind_to_loopback() -> None:
    settings = load_settings({"HOME": "/somewhere", "PATH": "/bin"}).settings
    values = {item.name: getattr(settings, item.name) for item in fields(settings)}
    Draft202012Validator(settings_schema()).validate(values)
    assert settings == Settings()
    assert settings.public_base == "http://127.0.0.1:8080/fhir"
    assert (settings.artifacts / "profiles").is_dir()


def test_a_file_the_environment_and_the_command_line_override_in_that_order(tmp_path: Path) -> None:
    file = tmp_path / "fhir.toml"
    file.write_text('port = 1000\nhost = "::1"\nquery_seconds = 2\ngovern_all = true\n', encoding="utf-8")
    environ = {"FHIR_SETTINGS": str(file), "FHIR_PORT": "2000", "FHIR_LOG_FORMAT": "json"}
    loaded = load_settings(environ, None, {"log_format": "text", "store": None})
    assert loaded.settings.port == 2000
    assert loaded.settings.host == "::1"
    assert loaded.settings.query_seconds == 2.0
    assert isinstance(loaded.settings.query_seconds, float)
    assert loaded.settings.govern_all is True
    assert loaded.settings.log_format == "text"
    assert loaded.settings.public_base == "http://[::1]:2000/fhir"
    assert loaded.sources["port"] == "environment variable FHIR_PORT"
    assert loaded.sources["host"] == f"file {file}"
    assert loaded.sources["log_format"] == "command line"
    assert "store" not in loaded.sources


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (b"port = true\n", "port", "type integer"),
        (b'port = "8080"\n', "port", "type integer"),
        (b"prot = 1\n", "prot", "Did you mean port?"),
        (b"[server]\nport = 1\n", "server", "no such setting"),
        (b"port = \n", "settings", "not TOML"),
        (b"\xff\xfe", "settings", "not TOML"),
        (b"query_seconds = inf\n", "query_seconds", "finite"),
    ],
)
def test_a_wrong_file_is_refused_with_the_setting_and_the_file(
    content: bytes, name: str, reason: str, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        load_settings({}, file)
    assert refused.value.name == name
    assert reason in refused.value.message
    assert str(file) in refused.value.message


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.toml cannot be read"):
        load_settings({"FHIR_SETTINGS": str(tmp_path / "absent.toml")})


def test_a_refused_secret_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({"FHIR_CURSOR_KEY": "hunter2"})
    assert refused.value.name == "cursor_key"
    assert "hunter2" not in str(refused.value)


def test_the_signing_key_is_made_once_and_kept_for_its_owner_only(tmp_path: Path) -> None:
    settings = Settings(store=f"sqlite:///{tmp_path}/deep/fhir.sqlite")
    first = settings.signing_key()
    file = tmp_path / "deep" / "fhir.sqlite.key"
    assert len(first) == 32
    assert settings.signing_key() == first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_given_key_counts_before_the_file(tmp_path: Path) -> None:
    assert Settings(store=f"sqlite:///{tmp_path}/x", cursor_key="ab" * 32).signing_key() == b"\xab" * 32
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "abcd\n", "not hexadecimal\n"])
def test_a_damaged_key_file_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(content, encoding="ascii")
    with pytest.raises(SettingsError) as refused:
        Settings(cursor_key_file=str(file)).signing_key()
    assert refused.value.name == "cursor_key_file"
