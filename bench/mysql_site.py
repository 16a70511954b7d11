"""A site on a MariaDB of its own, as the service meets it in production: the tables that other services own are filled,
this service's are migrated, and a model is trained. Everything is gone afterwards but compiled kernels.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.homes import RESULTS, craic
from bench.sites import Site
from tests.servers import MariaDBServer, missing_program

NAME = "gigsdb"

_TABLES = Path(__file__).parent.parent / "tests" / "site_tables.sql"
_LOAD = (
    "SET time_zone = '+00:00', foreign_key_checks = 0, unique_checks = 0;"
    "LOAD DATA LOCAL INFILE '{file}' INTO TABLE {table} ({columns});"
)


class MissingServerError(Exception):
    """MariaDB is not installed; the message names the program that is missing."""


@dataclass(frozen=True, slots=True)
class MySQLSite:
    """A site whose people and events are called 1, 2, …"""

    server: MariaDBServer
    home: Path  #: a CRAIC_HOME with a model
    n_users: int
    n_events: int

    @property
    def first_id(self) -> int:
        """What the first of the people and the first of the events is called."""
        return 1

    @property
    def settings(self) -> dict[str, str]:
        """What the service is told of the database."""
        server = self.server
        return {
            "DB_HOST": server.host,
            "DB_PORT": str(server.port),
            "DB_USER": server.user,
            "DB_PASSWORD": server.password,
            "DB_NAME": NAME,
        }

    def rows(self, sql: str) -> list[list[str]]:
        """What the server answers, as text."""
        return [line.split("\t") for line in self.server.run_sql(sql, NAME).splitlines()]


@contextmanager
def running_mysql_site(site: Site, *, is_trained: bool = True) -> Iterator[MySQLSite]:
    """The site on a server that runs until the end of the block, which may stop and kill it meanwhile.

    Raises MissingServerError, RuntimeError when the server does not start, subprocess.CalledProcessError when the
    migration or the training fails.
    """
    if (program := missing_program()) is not None:
        raise MissingServerError(f"{program} is not installed (Debian package mariadb-server)")
    RESULTS.mkdir(exist_ok=True)
    kernels = RESULTS / "kernels"
    kernels.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="mysql-") as directory:
        server, home = MariaDBServer(Path(directory) / "mariadb"), Path(directory) / "home"
        home.mkdir()
        (home / "cache").symlink_to(kernels)
        try:
            server.install()
            found = MySQLSite(server, home, site.train.n_rows, site.n_events)
            _fill(found, site, Path(directory))
            if is_trained:
                craic(home, "training", "train", settings=found.settings)
            yield found
        finally:
            server.stop()


def _fill(found: MySQLSite, site: Site, scratch: Path) -> None:
    found.server.create_database(NAME)
    found.server.run_sql(_TABLES.read_text("utf-8"), NAME)
    craic(found.home, "service", "migrate", settings=found.settings)
    people = range(1, found.n_users + 1)
    users = ((user, f"User {user}", f"user{user}@example.org", "-") for user in people)
    events = (
        (event, f"key-{event}", f"Place {event}", "2099-01-01 20:00:00", "Dublin")
        for event in range(1, found.n_events + 1)
    )
    owners = np.repeat(np.arange(1, found.n_users + 1), np.diff(site.train.indptr))
    pairs = zip(owners.tolist(), (site.train.indices + 1).tolist(), strict=True)
    saves = ((user, event, "2026-01-01 12:00:00") for user, event in pairs)
    _load(found, scratch, "users", "id, name, email, password_hash", users)
    _load(found, scratch, "events", "id, dedupe_key, title, start_time, city", events)
    _load(found, scratch, "user_saved_events", "user_id, event_id, saved_at", saves)


def _load(found: MySQLSite, scratch: Path, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    file = scratch / f"{table}.tsv"
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines("\t".join(map(str, row)) + "\n" for row in rows)
    found.server.run_sql(_LOAD.format(file=file, table=table, columns=columns), NAME)
    file.unlink()
