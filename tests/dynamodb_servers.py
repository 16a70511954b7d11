"""Two independent DynamoDB endpoints over HTTP, each a process of its own: moto's server and dynalite."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

_DYNALITE = Path(__file__).with_name("dynalite")

# Single-threaded: with threads it loses concurrent ADD updates.
_MOTO = """
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
WSGIRequestHandler.protocol_version = "HTTP/1.0"  # one idle connection must not hold up the only thread
WSGIRequestHandler.log = lambda *arguments: None
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
print(server.server_port, flush=True)
server.serve_forever()
"""
_START_DYNALITE = """
const server = require('dynalite')({createTableMs: 0, updateTableMs: 0, deleteTableMs: 0});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""


@contextmanager
def moto_server() -> Iterator[str]:
    """The URL of a running server of moto's."""
    with _started([sys.executable, "-W", "ignore", "-c", _MOTO], Path.cwd()) as url:
        yield url


@contextmanager
def dynalite_server() -> Iterator[str]:
    """The URL of a running dynalite. Where that is not installed, skips or, with REQUIRE_SERVERS, fails."""
    if not (_DYNALITE / "node_modules" / "dynalite").is_dir() or shutil.which("node") is None:
        reason = "dynalite is not installed (npm install --prefix tests/dynalite)"
        if os.environ.get("REQUIRE_SERVERS"):
            pytest.fail(reason)
        pytest.skip(reason)
    with _started(["node", "-e", _START_DYNALITE], _DYNALITE) as url:
        yield url


@contextmanager
def _started(command: Sequence[str], folder: Path) -> Iterator[str]:
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()
