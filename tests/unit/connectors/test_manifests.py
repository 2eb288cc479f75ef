from pathlib import Path
from typing import Any

import pytest
import yaml

from stepwell.connectors import compile_manifest, load_manifests
from stepwell.errors import StartupRefused


def acme() -> dict[str, Any]:
    return {
        "name": "acme",
        "title": "Acme",
        "base_url": "https://acme.test",
        "auth": {"kind": "bearer", "field": "key"},
        "credentials": {"key": {"title": "Key", "secret": True}},
        "failure": {"message": "{{answer.message}}"},
        "actions": {
            "ping": {
                "title": "Ping",
                "params": {"type": "object"},
                "requests": [{"name": "ping", "method": "POST", "path": "/ping", "body": {"a": "{{params.a}}"}}],
                "simulate": [{"output": {}}],
            }
        },
    }


def load(folder: Path, manifest: Any) -> None:
    (folder / "acme.yaml").write_text(manifest if isinstance(manifest, str) else yaml.safe_dump(manifest))
    load_manifests(folder)


def test_a_manifest_without_faults_is_loaded(tmp_path: Path) -> None:
    load(tmp_path, acme())


def test_every_action_that_comes_with_stepwell_compiles() -> None:
    for connector in load_manifests().values():  # compiled when they are used, so that a server starts sooner
        compile_manifest(connector.manifest)


def changed(*path: str | int, value: Any) -> dict[str, Any]:
    manifest = acme()
    place: Any = manifest
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return manifest


REQUEST = ("actions", "ping", "requests", 0)


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ("a: [", "while parsing"),
        ("- 1", "Expected `object`"),
        (changed("colour", value="red"), "colour"),
        (changed("title", value=5), "$.title"),
        (changed("auth", value={"kind": "magic"}), "$.auth"),
        (changed("auth", value={"kind": "bearer", "field": "token"}), "auth names token"),
        (changed("base_url", value="http://acme.test"), "https base_url"),
        (changed("actions", "ping", "requests", value=[]), "actions.ping has no requests"),
        (changed("actions", "ping", "simulate", value=[]), "actions.ping.simulate"),
        (changed("actions", "ping", "simulate", 0, "when", value="true"), "actions.ping.simulate"),
        (changed("actions", "ping", "params", value={"type": "thing"}), "actions.ping.params"),
        (changed(*REQUEST, "method", value="BREW"), "method"),
        (changed(*REQUEST, "path", value="/{{params.a"), "acme.yaml"),
        (changed(*REQUEST, "body", "a", value="{{params.a | sing}}"), "sing"),
        (changed(*REQUEST, "when", value="params.a =="), "acme.yaml"),
        (changed("actions", "ping", "requests", value=[acme()["actions"]["ping"]["requests"][0]] * 2), "one name"),
    ],
)
def test_a_faulty_manifest_stops_the_start_and_names_file_and_fault(tmp_path: Path, manifest: Any, told: str) -> None:
    with pytest.raises(StartupRefused) as error:
        load(tmp_path, manifest)

    assert error.value.message.startswith("Connector manifest acme.yaml: ")
    assert told in error.value.message
