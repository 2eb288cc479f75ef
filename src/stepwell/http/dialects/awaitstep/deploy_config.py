"""The settings of a deploy: what they may be, and which of them mean something here. Source: AwaitStep contract 7."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from stepwell.errors import Fault, ValidationFailed
from stepwell.http.dialects.awaitstep.answers import InvalidConfig
from stepwell.http.dialects.awaitstep.deploy_route import route_faults
from stepwell.http.dialects.awaitstep.wire_workflows import Object
from stepwell.triggers.cron import compile_cron
from stepwell.values import Json, Path

KEPT: Final = ("compatibilityDate", "compatibilityFlags", "customDomain", "limits", "observability", "placement")
MOST_SCHEDULES: Final = 100
_MEANT: Final = ("auth", "cronTriggers", "route")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,127}")


def check_config(config: Object, kind: str, place: str, public_url: str) -> None:
    """Check the settings of a workflow or a function (`script`); `place` is the field of the body that holds them,
    `public_url` where the server is reached.

    Raises:
        InvalidConfig: with every fault.
    """
    at: Path = (place,)
    faults = [Fault((*at, name), "Unknown setting") for name in config if name not in _MEANT and name not in KEPT]
    faults += _of_schedules(config.get("cronTriggers"), kind, (*at, "cronTriggers"))
    faults += _of_auth(config.get("auth"), (*at, "auth"))
    faults += route_faults(config.get("route"), urlsplit(public_url).netloc, (*at, "route"))
    if faults:
        raise InvalidConfig("Invalid deployment config", faults, within="body")


def schedules(config: Object) -> list[str]:
    """The cron expressions of settings without faults."""
    return config.get("cronTriggers") or []


def warnings(config: Object) -> list[str]:
    """What to know of settings without faults."""
    return [f"deployConfig.{name} has no meaning here" for name in config if name in KEPT]


def _of_schedules(given: Json, kind: str, at: Path) -> Iterator[Fault]:
    if given is None:
        return
    if not isinstance(given, list):
        yield Fault(at, "Expected array")
        return
    if kind == "script" and given:
        yield Fault(at, "A function has no runs, and so no schedules")
    if len(given) > MOST_SCHEDULES:
        yield Fault(at, f"At most {MOST_SCHEDULES} schedules")
        return
    for index, each in enumerate(given):
        if not isinstance(each, str):
            yield Fault((*at, index), "Expected a cron expression")
        elif each in given[:index]:
            yield Fault((*at, index), "Stands here twice")
        else:
            try:
                compile_cron(each, (*at, index))
            except ValidationFailed as error:
                yield from error.faults


def _of_auth(given: Json, at: Path) -> Iterator[Fault]:
    if given is None:
        return
    if not isinstance(given, dict):
        yield Fault(at, "Expected object")
        return
    if given.get("type") not in ("key", "secret"):
        yield Fault((*at, "type"), "Expected key or secret")
    if given.get("type") != "secret":
        return
    header, secret = given.get("header"), given.get("secretName")
    if header is not None and not (isinstance(header, str) and _HEADER.fullmatch(header)):
        yield Fault((*at, "header"), "Expected the name of a header")
    if not isinstance(secret, str) or not _VARIABLE.fullmatch(secret):
        yield Fault((*at, "secretName"), "Required" if secret is None else "Expected the name of a secret variable")
