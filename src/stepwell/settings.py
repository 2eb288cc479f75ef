"""The settings: one typed table; read from options, the environment and a TOML file; checked as a whole."""

import base64
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from stepwell.errors import StartupRefused

FILE_NAME = "stepwell.toml"
MIB = 1024 * 1024

T = TypeVar("T")
Reader = Callable[[object], T]
"""Makes a setting's value of what a file or the environment holds; raises ValueError saying what was expected."""


def text(value: object) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected a text that is not empty")
    return value.strip()


def whole(lowest: int, highest: int) -> Reader[int]:
    """A whole number within bounds."""

    def read(value: object) -> int:
        number = int(value) if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() else value
        if not isinstance(number, int) or isinstance(number, bool) or not lowest <= number <= highest:
            raise ValueError(f"expected a whole number from {lowest} to {highest}")
        return number

    return read


def flag(value: object) -> bool:
    """True or false, as a word or as it is."""
    known = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    found = known.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise ValueError("expected true or false")
    return found


def choice(*words: str) -> Reader[str]:
    """One of some words."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value.strip().lower() not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return value.strip().lower()

    return read


def optional(reader: Reader[T]) -> Reader[T | None]:
    """What the reader takes, or an empty text for none."""

    def read(value: object) -> T | None:
        return None if isinstance(value, str) and not value.strip() else reader(value)

    return read


def directory(value: object) -> Path:
    """A directory, `~` being the home directory."""
    return value if isinstance(value, Path) else Path(text(value)).expanduser()


def base_url(value: object) -> str:
    """An http or https address without query, to which paths are added."""
    url = text(value)
    try:
        parts = urlsplit(url)
        fit = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        fit = fit and not (parts.query or parts.fragment or parts.username or parts.password)
    except ValueError:
        fit = False
    if not fit:
        raise ValueError("expected an http or https URL without credentials and query")
    return url.rstrip("/")


def admin_key(value: object) -> str:
    """A key that cannot be guessed at once."""
    key = text(value)
    if len(key) < 16 or not key.isascii() or any(c.isspace() for c in key):
        raise ValueError("expected at least 16 ASCII characters without blanks")
    return key


def key_bytes(value: object) -> bytes:
    """The 32 bytes of a key, written in hex or base64."""
    written = text(value) if isinstance(value, str) else ""
    try:
        if len(written) == 64:
            key = bytes.fromhex(written)
        else:
            padded = written.replace("-", "+").replace("_", "/") + "=" * (-len(written) % 4)
            key = base64.b64decode(padded, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ValueError("expected 32 bytes in hex or base64 (for example of `openssl rand -base64 32`)")
    return key


def key_list(value: object) -> tuple[bytes, ...]:
    """Keys between commas, or a list of them."""
    parts = value if isinstance(value, list) else text(value).split(",")
    return tuple(key_bytes(part.strip() if isinstance(part, str) else part) for part in parts if part != "")


def _setting(default: T, read: Reader[T], help: str, *, secret: bool = False) -> T:
    made: T = field(default=default, repr=not secret, metadata={"read": read, "help": help, "secret": secret})
    return made


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server listens and keeps its data."""

    host: str = _setting("127.0.0.1", text, "Address to listen on.")
    port: int = _setting(3000, whole(0, 65535), "Port to listen on; 0 takes a free one.")
    data: Path = _setting(Path("data"), directory, "Directory of the database, the vault key and stepwell.toml.")
    public_url: str | None = _setting(
        None, optional(base_url), "Address in links that are sent to people; none is http://127.0.0.1 and the port."
    )


@dataclass(frozen=True, slots=True)
class Admin:
    """Access that starts from nothing."""

    key: str | None = _setting(
        None, optional(admin_key), "Accepted as an admin key of the first workspace.", secret=True
    )


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Requests in any 60 seconds; 0 is no limit."""

    read: int = _setting(1000, whole(0, 10**9), "Reads a minute and key; 0 is no limit.")
    write: int = _setting(100, whole(0, 10**9), "Changes a minute and key; 0 is no limit.")
    execute: int = _setting(
        500, whole(0, 10**9), "Starts, cancels, retries and the like a minute and key; 0 is no limit."
    )
    webhooks: int = _setting(10_000, whole(0, 10**9), "Inbound webhooks a minute and address; 0 is no limit.")


@dataclass(frozen=True, slots=True)
class Egress:
    """What workflows may reach."""

    allow_private: bool = _setting(False, flag, "Whether steps may reach loopback and private addresses.")


@dataclass(frozen=True, slots=True)
class Engine:
    """How much runs at once."""

    max_active_runs: int = _setting(1000, whole(1, 10**6), "Runs in memory at the same time.")
    max_open_runs: int = _setting(100_000, whole(1, 10**9), "Runs that are not final; beyond, starts are answered 503.")
    shutdown_grace_s: int = _setting(30, whole(0, 3600), "Seconds that effects in flight get to end on SIGTERM.")


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest things taken: in bytes, and in parts of a definition."""

    body_bytes: int = _setting(MIB, whole(1024, 1024 * MIB), "Largest request body.")
    batch_body_bytes: int = _setting(10 * MIB, whole(1024, 1024 * MIB), "Largest body of a batch start.")
    input_bytes: int = _setting(MIB, whole(1024, 1024 * MIB), "Largest input of a run, as JSON.")
    step_output_bytes: int = _setting(10 * MIB, whole(1024, 1024 * MIB), "Largest output of a step.")
    steps: int = _setting(500, whole(1, 10_000), "Steps of a definition.")
    nesting: int = _setting(16, whole(1, 32), "How deep steps may stand in each other.")
    turns: int = _setting(10_000, whole(1, 10_000), "Turns of a loop, or items of a parallel, whatever it says itself.")


@dataclass(frozen=True, slots=True)
class Retention:
    """How long ended runs are kept."""

    age_days: int | None = _setting(None, optional(whole(1, 36_500)), "Days that ended runs are kept; none keeps them.")
    runs: int | None = _setting(
        None, optional(whole(1, 10**9)), "Newest runs of a workspace that are kept; none keeps all."
    )
    interval_s: int = _setting(
        600, whole(1, 7 * 86_400), "Seconds between two clean-ups, if anything is to be removed."
    )


@dataclass(frozen=True, slots=True)
class Webhooks:
    """What arrives from outside."""

    dedupe_hours: int = _setting(
        168, whole(24, 24 * 365), "Hours within which an event that comes again starts nothing."
    )
    keep_days: int = _setting(30, whole(1, 36_500), "Days that deliveries are kept, and what came of each firing.")
    keep_rejected: int = _setting(
        10_000, whole(0, 10**9), "Newest rejected deliveries, and as many duplicates, of a workspace that are kept."
    )
    read_timeout_s: int = _setting(30, whole(1, 3600), "Seconds that a sender has to send its request's body.")


@dataclass(frozen=True, slots=True)
class Vault:
    """The key that secrets and credentials are sealed with."""

    key: bytes | None = _setting(
        None,
        optional(key_bytes),
        "32 bytes in hex or base64; without it, the file vault.key of the data directory.",
        secret=True,
    )
    previous_key: tuple[bytes, ...] | None = _setting(
        None,
        optional(key_list),
        "Keys that were used before, between commas; they only open what they have sealed.",
        secret=True,
    )


@dataclass(frozen=True, slots=True)
class Log:
    """What the server tells of itself."""

    level: str = _setting("info", choice("debug", "info", "warning", "error"), "The least level that is logged.")
    format: str = _setting("auto", choice("auto", "json", "text"), "JSON lines or text; auto is text on a terminal.")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings."""

    server: Server = Server()
    admin: Admin = Admin()
    rate_limit: RateLimit = RateLimit()
    egress: Egress = Egress()
    engine: Engine = Engine()
    limits: Limits = Limits()
    retention: Retention = Retention()
    webhooks: Webhooks = Webhooks()
    vault: Vault = Vault()
    log: Log = Log()


@dataclass(frozen=True, slots=True)
class SettingsFault:
    """One thing wrong. `source` is where it was set: a variable, a file or an option. Holds no secret."""

    setting: str
    source: str
    message: str


class SettingsInvalid(StartupRefused):
    """The settings have faults; all of them are listed."""

    def __init__(self, faults: list[SettingsFault]) -> None:
        super().__init__("\n".join(f"{fault.setting} ({fault.source}): {fault.message}" for fault in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Description:
    """A line of the table of settings: for `stepwell check` and the docs. A secret shows only whether it is set."""

    name: str  # rate_limit.read
    variable: str  # STEPWELL_RATE_LIMIT_READ
    default: str
    value: str
    help: str


def load(
    environ: Mapping[str, str], config: Path | None = None, options: Mapping[str, object] | None = None
) -> Settings:
    """The settings: of options (by name, `server.port`), else the environment, else the file, else the defaults.

    The file is `config`, or `stepwell.toml` in the data directory if there is one.

    Raises:
        SettingsInvalid: with every fault.
    """
    return _Reading(environ, config, options or {}).settings()


def describe(settings: Settings | None = None) -> list[Description]:
    """The table of settings with their values (of the defaults if none are given)."""
    shown = settings or Settings()
    lines = []
    for section, item in _table():
        value = getattr(getattr(shown, section), item.name)
        hidden = "set" if item.metadata["secret"] and value is not None else None
        name = f"{section}.{item.name}"
        lines.append(
            Description(name, _variable(name), _shown(item.default), hidden or _shown(value), item.metadata["help"])
        )
    return lines


class _Reading:
    """One reading of all sources."""

    def __init__(self, environ: Mapping[str, str], config: Path | None, options: Mapping[str, object]) -> None:
        self._environ = environ
        self._options = options
        self._faults: list[SettingsFault] = []
        self._table = {f"{section}.{item.name}": item for section, item in _table()}
        self._config = config
        self._file = self._read_file()

    def settings(self) -> Settings:
        found: dict[str, dict[str, Any]] = {section.name: {} for section in fields(Settings)}
        for name, item in self._table.items():
            section, _, key = name.partition(".")
            for source, value in self._sources(name):
                try:
                    found[section][key] = item.metadata["read"](value)
                except ValueError as error:
                    self._faults.append(SettingsFault(name, source, str(error)))
                break
        self._find_unknown()
        if self._faults:
            raise SettingsInvalid(self._faults)
        default = Settings()
        return replace(
            default, **{section: replace(getattr(default, section), **set_) for section, set_ in found.items()}
        )

    def _sources(self, name: str) -> Iterator[tuple[str, object]]:
        """Where a setting is set, and to what, the one that counts first."""
        if self._options.get(name) is not None:
            yield f"option {name}", self._options[name]
        if _variable(name) in self._environ:
            yield _variable(name), self._environ[_variable(name)]
        section, _, key = name.partition(".")
        values = self._file.get(section)
        if isinstance(values, dict) and key in values:
            yield str(self._config), values[key]

    def _read_file(self) -> dict[str, Any]:
        if self._config is None:
            data = self._options.get("server.data") or self._environ.get("STEPWELL_SERVER_DATA") or Server().data
            self._config = Path(str(data)).expanduser() / FILE_NAME
            if not self._config.exists():
                return {}
        try:
            return tomllib.loads(self._config.read_text("utf-8"))
        except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
            self._faults.append(SettingsFault("config", str(self._config), f"cannot be read: {error}"))
            return {}

    def _find_unknown(self) -> None:
        """Misspelt names. A variable is ours if a section's name follows the prefix: others may use the prefix too."""
        sections = {section.name for section in fields(Settings)}
        for section, values in self._file.items():
            whole_section = section in sections and isinstance(values, dict)
            for name in [f"{section}.{key}" for key in values] if whole_section else [section]:
                if name not in self._table:
                    self._faults.append(SettingsFault(name, str(self._config), "is not a setting"))
        known = {_variable(name) for name in self._table}
        prefixes = tuple(f"STEPWELL_{section.upper()}_" for section in sections)
        for variable in sorted(self._environ):
            if variable.startswith(prefixes) and variable not in known:
                self._faults.append(SettingsFault(variable, variable, "is not a setting"))


def _table() -> Iterator[tuple[str, Field[Any]]]:
    for section in fields(Settings):
        for item in fields(section.default):  # type: ignore[arg-type]  # every section has a default
            yield section.name, item


def _variable(name: str) -> str:
    return f"STEPWELL_{name.replace('.', '_').upper()}"


def _shown(value: object) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
