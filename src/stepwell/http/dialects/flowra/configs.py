"""What a trigger instance's config means: the vendor's form, told as the trigger of a definition. Source: Flowra
contract 5.2."""

import base64
import re
import secrets
from collections.abc import Iterator, Mapping

import msgspec

from stepwell.errors import Fault
from stepwell.http.dialects.flowra.tools import SCHEDULE, WEBHOOK, Tool
from stepwell.values import Json, Path, decode

Config = dict[str, Json]

CONFIG = "triggerConfig"
KEPT = "flowra"  # where the vendor's form stands in what is stored
LONGEST = 64 * 1024
HAS_SECRET = "hasSecret"  # what is shown of a secret
_NOT_KEPT = frozenset({"secret", HAS_SECRET})
_PUBLIC_KEY = re.compile(r"[0-9a-fA-F]{64}")
_HMAC = "hmac_sha256"
_UNSIGNED = "none"
_SHORTEST_SECRET, _LONGEST_SECRET = 16, 256
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_INTERVAL = re.compile(r"([0-9]{1,7})\s*([mhdw])", re.ASCII)
_OF_SCHEDULES = ("cron", "timezone", "catchUp", "catchUpLimit", "overlap", "jitterSeconds", "startAt", "endAt")
_PLACES: Mapping[Path, Path] = {
    ("trigger", "signature", "scheme"): (CONFIG, "verification"),
    ("trigger", "signature", "header"): (CONFIG, "signatureHeader"),
    ("trigger", "connection"): ("connectedAccountId",),
    ("trigger", "filter"): (CONFIG, "filters"),
    ("trigger", "params"): (CONFIG,),
    ("trigger",): (CONFIG,),
}  # where what stands in a definition stands in a request, the longest first


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """A config, understood. `trigger` is written as that of a definition and keeps the vendor's form; `secrets` are
    what senders sign with, `made` the one that was made for them just now; an unsigned webhook has a path of its own.
    """

    trigger: Config
    faults: tuple[Fault, ...]
    secrets: tuple[str, ...] = ()
    made: str | None = None
    own_path: bool = False


def flattened(config: Config, names: tuple[str, ...]) -> Config:
    """The config without a wrapper that is named like its slug."""
    for name, inner in config.items():
        if len(config) == 1 and name.lower() in names and isinstance(inner, dict):
            return inner
    return config


def meaning(slug: str, config: Config, tool: Tool | None, account: str | None, kept: tuple[str, ...]) -> Meaning:
    """What a flat config means. `kept` are the secrets that the instance has already."""
    if slug == SCHEDULE:
        return _schedule(config)
    if slug == WEBHOOK or tool is None:
        return _webhook(config, kept)
    return _event(config, tool, account)


def shown(stored: bytes) -> Config:
    """The vendor's form of a stored config; of a definition's trigger, the trigger itself."""
    trigger: Config = decode(stored)
    return trigger[KEPT] if KEPT in trigger else {name: value for name, value in trigger.items() if name != "type"}


def placed(fault: Fault) -> Fault:
    """A fault of the definition's form, at its place in the request."""
    for found, place in _PLACES.items():
        if fault.path[: len(found)] == found:
            return Fault((*place, *fault.path[len(found) :]), fault.message)
    return fault


def _schedule(config: Config) -> Meaning:
    trigger: Config = {"type": "schedule", "overlap": "skip"}
    trigger |= {name: config[name] for name in _OF_SCHEDULES if config.get(name) is not None}
    faults = list(_input_faults(config))
    cron = config.get("cron")
    if isinstance(cron, str) and len(cron.split()) == 6:
        faults.append(Fault((CONFIG, "cron"), "Expected 5 fields: minute, hour, day of month, month, day of week"))
        del trigger["cron"]
        trigger["interval"] = {"value": 1, "unit": "days"}  # nothing more is wrong with it
    if config.get("interval") is not None:
        trigger["interval"], found = _interval(config["interval"])
        faults += found
    return _told(trigger, config, faults)


def _webhook(config: Config, kept: tuple[str, ...]) -> Meaning:
    trigger: Config = {"type": "webhook"}
    faults = list(_input_faults(config))
    if config.get("events") is not None:
        trigger["events"] = config["events"]
    if config.get("filters") is not None:
        trigger["filter"] = config["filters"]
    given = config.get("secret")
    if given is not None and not _is_secret(given):
        faults.append(Fault((CONFIG, "secret"), f"Expected {_SHORTEST_SECRET} to {_LONGEST_SECRET} characters"))
        given = None
    secret = given is not None or (bool(kept) and config.get(HAS_SECRET) is True)  # as a row that is sent back says
    written = config.get("verification", _HMAC if secret else _UNSIGNED)
    if not isinstance(written, str):
        return _told(trigger, config, [*faults, Fault((CONFIG, "verification"), "Expected string")])
    scheme = written.lower().replace("_", "-")
    if scheme == _UNSIGNED:
        if given is not None:
            faults.append(Fault((CONFIG, "secret"), "Nothing is verified: leave it out, or name a verification"))
        return _told({**trigger, "verifySignature": False}, config, faults, own_path=True)
    trigger["signature"] = {"scheme": scheme}
    if config.get("signatureHeader") is not None:
        trigger["signature"]["header"] = config["signatureHeader"]
    known = kept if given is None else (given,)
    if scheme == "ed25519" and not (known and all(map(_PUBLIC_KEY.fullmatch, known))):
        faults.append(Fault((CONFIG, "secret"), "Expected the sender's public key: 64 hex digits"))
        return _told(trigger, config, faults)
    if known:
        return _told(trigger, config, faults, secrets=known)
    made = _new_secret(scheme)
    return _told(trigger, config, faults, secrets=(made,), made=made)


def _event(config: Config, tool: Tool, account: str | None) -> Meaning:
    asked = tool.params.get("properties", {})
    trigger: Config = {"type": "event", "event": tool.name}
    trigger["params"] = {name: value for name, value in config.items() if name in asked}
    faults = list(_input_faults({name: value for name, value in config.items() if name not in asked}))
    if account is not None and tool.account != "none":
        trigger["connection"] = account
    if tool.type == "poll" and "interval" not in asked and config.get("interval") is not None:
        trigger["interval"], found = _interval(config["interval"])
        faults += found
    if tool.type == "poll":
        trigger |= {name: config[name] for name in ("first", "maxItems") if name in config and name not in asked}
    if "filters" not in asked and config.get("filters") is not None:
        trigger["filter"] = config["filters"]
    return _told(trigger, config, faults)


def _told(
    trigger: Config,
    config: Config,
    faults: list[Fault],
    *,
    secrets: tuple[str, ...] = (),
    made: str | None = None,
    own_path: bool = False,
) -> Meaning:
    """The whole of it: what every slug takes, and the vendor's form, without what must not be read."""
    if isinstance(config.get("input"), dict):
        trigger["input"] = config["input"]
    trigger[KEPT] = {name: value for name, value in config.items() if name not in _NOT_KEPT}
    return Meaning(trigger=trigger, faults=tuple(faults), secrets=secrets, made=made, own_path=own_path)


def _interval(written: Json) -> tuple[Json, list[Fault]]:
    """`15m` as the core writes it; anything else is for the core to judge."""
    if not isinstance(written, str):
        return written, []
    found = _INTERVAL.fullmatch(written.strip().lower())
    if found is None:
        fault = Fault((CONFIG, "interval"), 'Expected {"value": 15, "unit": "minutes"}, or such as 15m, 2h, 1d, 1w')
        return {"value": 1, "unit": "days"}, [fault]  # nothing more is wrong with it
    if found[2] == "w":  # which polls do not know
        return {"value": 7 * int(found[1]), "unit": "days"}, []
    return {"value": int(found[1]), "unit": _UNITS[found[2]]}, []


def _input_faults(config: Config) -> Iterator[Fault]:
    if config.get("input") is not None and not isinstance(config["input"], dict):
        yield Fault((CONFIG, "input"), "Expected object")


def _is_secret(value: Json) -> bool:
    return isinstance(value, str) and _SHORTEST_SECRET <= len(value) <= _LONGEST_SECRET


def _new_secret(scheme: str) -> str:
    if scheme == "standard-webhooks":
        return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_urlsafe(32)
