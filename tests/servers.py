"""Real servers that tests start, starve and kill, each in a directory and on a port of its own."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

_MYSQL = Path(__file__).with_name("mysql") / "root"

READY_WITHIN_SECONDS = 30.0
POLL_SECONDS = 0.05

# The site's server is small and shared (64 MB buffer pool, 50 connections). Its zone and character set are
# deliberately unhelpful here, so that whatever silently relied on a friendly default fails in the tests.
SITE_LIKE_OPTIONS = (
    "--innodb-buffer-pool-size=64M",
    "--max-connections=50",
    "--default-time-zone=+05:30",
    "--character-set-server=latin1",
    "--innodb-flush-log-at-trx-commit=2",
    "--skip-name-resolve",
    "--skip-log-bin",
)


def missing_program() -> str | None:
    """The first program of Debian's mariadb-server that is not installed, or None when all are."""
    needed = ("mariadbd", "mariadb-install-db", "mariadb", "mariadb-admin")
    return next((name for name in needed if _program(name) is None), None)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on at this moment.

    From below those that the system gives to outgoing connections, one of which could take it before its use.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


class MariaDBServer:
    """One MariaDB with a data directory below `directory`, listening on 127.0.0.1 and on a socket file."""

    name = "mariadbd"
    host = "127.0.0.1"
    user = "craic"
    password = "a password with ' and % in it"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.wrapping: Sequence[str] = ()  #: what goes before its command, for a start within bounds
        self._process: subprocess.Popen[bytes] | None = None
        # A socket file's path may have 107 bytes at most; a test's own directory is often deeper than that.
        self._socket = Path("/tmp") / f"craic-mariadb-{os.getpid()}-{self.port}.sock"  # noqa: S108

    def install(self) -> None:
        """Create the data directory, start, and add the account that the service uses."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._checked(self._making())
        self.start()
        quoted = self.password.replace("'", "''")
        self.run_sql(f"CREATE USER '{self.user}'@'%' IDENTIFIED BY '{quoted}'")
        self.run_sql(f"GRANT ALL PRIVILEGES ON *.* TO '{self.user}'@'%'")

    def start(self) -> None:
        """Start and return once the server answers."""
        network = [f"--port={self.port}", f"--socket={self._socket}", f"--bind-address={self.host}"]
        command = [*self.wrapping, *self._program(), *self._place(), *network, *SITE_LIKE_OPTIONS]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start:\n{self._log.read_text()[-4000:]}")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Shut down in order; nothing happens when the server does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server as a crash would."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop the process dead: connections stay open and nothing answers."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)  # until its last thread has stopped

    def resume(self) -> None:
        """Let a paused server go on."""
        self._running().send_signal(signal.SIGCONT)

    def create_database(self, name: str) -> None:
        """An empty database of that name, dropping what may be left of one."""
        self.run_sql(f"DROP DATABASE IF EXISTS `{name}`; CREATE DATABASE `{name}`")

    def run_sql(self, sql: str, database: str | None = None) -> str:
        """Run `sql` as root with the plain client, as an administrator would; returns tab-separated rows."""
        command = ["mariadb", "--no-defaults", "--batch", "--skip-column-names", "--user=root"]
        command += [f"--socket={self._socket}", "--default-character-set=utf8mb4"]
        return self._checked([*command, *([database] if database else [])], stdin=sql)

    @property
    def _log(self) -> Path:
        return self.directory / f"{self.name}.log"

    def _making(self) -> list[str]:
        arguments = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        return ["mariadb-install-db", "--no-defaults", *self._place(), *arguments]

    def _program(self) -> list[str]:
        return [str(_program("mariadbd")), "--no-defaults"]

    def _place(self) -> list[str]:
        as_root = ["--user=root"] if os.geteuid() == 0 else []
        return [f"--datadir={self.directory / 'data'}", *as_root]

    def _answers(self) -> bool:
        command = ["mariadb-admin", "--no-defaults", f"--socket={self._socket}", "--user=root", "ping"]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server has not been started")
        return self._process

    def _end(self, with_signal: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(with_signal)
        self._process.send_signal(signal.SIGCONT)  # a paused process does not see SIGTERM
        self._process.wait(timeout=READY_WITHIN_SECONDS)
        self._process = None
        self._socket.unlink(missing_ok=True)

    def _checked(self, command: Sequence[str], stdin: str = "") -> str:
        done = subprocess.run(command, check=False, input=stdin, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
        return done.stdout


class MySQLServer(MariaDBServer):
    """One MySQL, as unpacked by tests/mysql/install; its accounts log in by `caching_sha2_password`."""

    name = "mysqld"

    def _making(self) -> list[str]:
        return [*self._program(), *self._place(), "--initialize-insecure"]

    def _program(self) -> list[str]:
        # The libraries are newer than this system's, so they come with a loader of their own.
        libraries = next(iter((_MYSQL / "usr" / "lib").glob("*-linux-gnu")))
        loader = next(iter(libraries.glob("ld-linux-*")))
        messages = _MYSQL / "usr" / "share" / "mysql"
        return [
            *(str(loader), "--library-path", str(libraries), str(_MYSQL / "usr" / "sbin" / "mysqld")),
            *("--no-defaults", f"--basedir={_MYSQL / 'usr'}", f"--lc-messages-dir={messages}"),
            *("--mysqlx=OFF", "--secure-file-priv=NULL", f"--pid-file={self.directory / 'mysqld.pid'}"),
        ]


def has_mysql() -> bool:
    """Whether tests/mysql/install could get a MySQL."""
    return (_MYSQL / "usr" / "sbin" / "mysqld").is_file()


def _program(name: str) -> str | None:
    # Debian keeps daemons in /usr/sbin, which an ordinary account's PATH leaves out.
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
