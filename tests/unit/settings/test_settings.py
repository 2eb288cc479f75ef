"""Settings: sources, their order, and faults that are all reported at once."""

import base64
from pathlib import Path

import pytest

from stepwell.settings import Settings, SettingsInvalid, describe, key_bytes, load

KEY = bytes(range(32))


def in_directory(directory: Path, toml: str | None = None, **variables: str) -> Settings:
    """The settings of a server whose data directory holds the given file."""
    if toml is not None:
        (directory / "stepwell.toml").write_text(toml)
    return load(variables, options={"server.data": directory})


def test_without_any_source_the_defaults_count(tmp_path: Path) -> None:
    settings = in_directory(tmp_path)

    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 3000)
    assert settings.rate_limit.execute == 500
    assert settings.limits.body_bytes == 1024 * 1024
    assert settings.retention.age_days is None


def test_a_variable_is_named_after_section_and_name(tmp_path: Path) -> None:
    settings = in_directory(tmp_path, STEPWELL_RATE_LIMIT_READ="0", STEPWELL_EGRESS_ALLOW_PRIVATE="true")

    assert settings.rate_limit.read == 0
    assert settings.egress.allow_private is True


def test_options_win_over_variables_and_variables_over_the_file(tmp_path: Path) -> None:
    config = tmp_path / "other.toml"
    config.write_text('[server]\nhost = "a"\nport = 1\ndata = "file"\n')
    variables = {"STEPWELL_SERVER_HOST": "b", "STEPWELL_SERVER_PORT": "2"}

    settings = load(variables, config, {"server.host": "c", "server.port": None})

    assert (settings.server.host, settings.server.port) == ("c", 2)
    assert settings.server.data == Path("file")


def test_the_file_of_the_data_directory_is_read(tmp_path: Path) -> None:
    settings = in_directory(tmp_path, "[engine]\nmax_active_runs = 7\n")

    assert settings.engine.max_active_runs == 7


def test_the_data_directory_may_come_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "stepwell.toml").write_text('[log]\nlevel = "debug"\n')

    settings = load({"STEPWELL_SERVER_DATA": str(tmp_path)})

    assert (settings.server.data, settings.log.level) == (tmp_path, "debug")


def test_the_public_url_is_kept_without_a_slash_at_its_end(tmp_path: Path) -> None:
    settings = in_directory(tmp_path, STEPWELL_SERVER_PUBLIC_URL="https://flows.example.com/stepwell/")

    assert settings.server.public_url == "https://flows.example.com/stepwell"


@pytest.mark.parametrize("url", ["flows.example.com", "ftp://x", "https://u:p@x", "https://x?a=1", "https://x:99999"])
def test_a_public_url_that_links_cannot_begin_with_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsInvalid, match="expected an http or https URL"):
        in_directory(tmp_path, STEPWELL_SERVER_PUBLIC_URL=url)


def test_an_empty_variable_unsets_what_is_optional(tmp_path: Path) -> None:
    settings = in_directory(tmp_path, "[retention]\nruns = 5\n", STEPWELL_RETENTION_RUNS="")

    assert settings.retention.runs is None


def test_every_fault_is_reported_at_once_with_its_source(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as raised:
        in_directory(
            tmp_path,
            "[server]\nport = true\n[nonsense]\na = 1\n[log]\nformat = 'xml'\n",
            STEPWELL_RATE_LIMIT_WRITE="-1",
            STEPWELL_RATE_LIMIT_REED="5",
            STEPWELL_VAULT_KEY="short",
        )

    file = str(tmp_path / "stepwell.toml")
    assert [(fault.setting, fault.source) for fault in raised.value.faults] == [
        ("server.port", file),
        ("rate_limit.write", "STEPWELL_RATE_LIMIT_WRITE"),
        ("vault.key", "STEPWELL_VAULT_KEY"),
        ("log.format", file),
        ("nonsense", file),
        ("STEPWELL_RATE_LIMIT_REED", "STEPWELL_RATE_LIMIT_REED"),
    ]
    assert "expected one of auto, json, text" in raised.value.message


def test_a_variable_of_no_section_of_ours_is_left_alone(tmp_path: Path) -> None:
    assert in_directory(tmp_path, STEPWELL_URL="http://x", STEPWELL_PORT="tcp://10.0.0.1:80") == in_directory(tmp_path)


def test_a_file_that_is_no_toml_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        in_directory(tmp_path, "[server")


def test_a_named_file_that_is_missing_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        load({}, tmp_path / "missing.toml")


@pytest.mark.parametrize(
    "written", [KEY.hex(), base64.b64encode(KEY).decode(), base64.urlsafe_b64encode(b"\xfb" * 32).decode().rstrip("=")]
)
def test_a_vault_key_is_32_bytes_in_hex_or_base64(written: str) -> None:
    assert len(key_bytes(written)) == 32


@pytest.mark.parametrize("written", ["short", "0" * 62 + "  ", "zz" * 32, base64.b64encode(b"x" * 31).decode(), 5])
def test_anything_else_is_no_vault_key(written: object) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        key_bytes(written)


@pytest.mark.parametrize("key", ["short", "sixteen characters", "ä" * 20])
def test_a_weak_admin_key_is_refused_without_being_shown(tmp_path: Path, key: str) -> None:
    with pytest.raises(SettingsInvalid) as raised:
        in_directory(tmp_path, STEPWELL_ADMIN_KEY=key)

    assert key not in raised.value.message


def test_no_secret_shows_in_a_repr_or_description(tmp_path: Path) -> None:
    settings = in_directory(tmp_path, STEPWELL_ADMIN_KEY="wfk_very-secret-key", STEPWELL_VAULT_KEY=KEY.hex())

    shown = repr(settings) + repr(describe(settings))

    assert settings.admin.key == "wfk_very-secret-key"
    assert settings.vault.key == KEY
    assert "very-secret" not in shown
    assert KEY.hex() not in shown and repr(KEY) not in shown


def test_the_description_names_variable_default_and_value(tmp_path: Path) -> None:
    described = {line.name: line for line in describe(in_directory(tmp_path, STEPWELL_SERVER_PORT="80"))}

    port = described["server.port"]
    assert (port.variable, port.default, port.value) == ("STEPWELL_SERVER_PORT", "3000", "80")
    assert described["admin.key"].variable == "STEPWELL_ADMIN_KEY"
    assert all(line.help for line in described.values())
