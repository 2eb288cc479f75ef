"""The client snippets that the vendor's pages print, cut out and run as they stand."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from live import SEEDS, Api
from stepwell.values import Json, decode

needs_seeds = pytest.mark.skipif(not SEEDS.exists(), reason="the vendor's pages are not in this checkout")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no node")
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")


def snippet(page: Path, begin: str, end: str, *, after: str = "") -> str:
    """The part of a page from one text up to and with the next occurrence of another."""
    text = page.read_text()
    text = text[text.index(after) :]
    start = text.index(begin)
    return text[start : text.index(end, start) + len(end)]


def local(text: str, api: Api) -> str:
    """The snippet against this server: only address and key are put in."""
    return text.replace("http://localhost:3000", api.server.url).replace("YOUR_API_KEY", api.key)


def bash(script: str, **environment: str) -> Json:
    """What a shell script prints, read as JSON."""
    done = subprocess.run(
        ["bash", "-c", script], env={**os.environ, **environment}, capture_output=True, timeout=30, check=True
    )
    return decode(done.stdout)


def node(script: str, **environment: str) -> str:
    """What a script for node prints."""
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        env={**os.environ, **environment},
        capture_output=True,
        timeout=30,
        check=True,
    )
    return done.stdout.decode().strip()
