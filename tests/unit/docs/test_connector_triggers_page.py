"""The examples of the page on connector triggers are what they say they are."""

import re
from typing import Any

import msgspec
import pytest
import yaml

from live import ROOT
from stepwell.connectors import Connectors, Manifest, compile_manifest, load_manifests
from stepwell.triggers import trigger_faults
from stepwell.values import decode

PAGE = (ROOT / "docs" / "connector-triggers.md").read_text("utf-8")
BLOCKS = re.findall(r"```(json|yaml)\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("written", [text for kind, text in BLOCKS if kind == "json"])
def test_a_trigger_of_the_page_has_no_faults(written: str) -> None:
    assert trigger_faults(decode(written), Connectors(load_manifests())) == []


def test_the_manifest_of_the_page_is_one() -> None:
    (written,) = [text for kind, text in BLOCKS if kind == "yaml"]
    action: dict[str, Any] = {
        "title": "An action",
        "params": {"type": "object"},
        "requests": [{"name": "one", "method": "GET", "path": "/"}],
        "simulate": [{"output": {}}],
    }
    names = ("createWebhook", "deleteWebhook", "listWebhooks", "listOrders")
    manifest = {
        "name": "acme",
        "title": "Acme",
        "base_url": "https://acme.test",
        "auth": {"kind": "none"},
        "credentials": {},
        "failure": {"message": "{{answer.message}}"},
        "actions": dict.fromkeys(names, action),
        **yaml.safe_load(written),
    }

    events = compile_manifest(msgspec.convert(manifest, Manifest)).events

    assert {name: event.spec.kind for name, event in events.items()} == {"push": "webhook", "newOrder": "poll"}
