"""The service as an operator runs it, a process of its own, on a MariaDB of its own; both to be mistreated."""

from collections.abc import Iterator

import pytest

from bench.mysql_site import MySQLSite, running_mysql_site
from bench.sites import Site, synthetic_site
from core.sparse import no_pairs
from tests.conftest import require_mariadb

N_USERS, N_EVENTS, N_SAVES = 500, 300, 5_000


@pytest.fixture(scope="session")
def small_site() -> Iterator[MySQLSite]:
    """A small site with a model; each test leaves its server running."""
    require_mariadb()
    saves = synthetic_site(N_USERS, N_EVENTS, N_SAVES, seed=0)
    with running_mysql_site(Site(N_EVENTS, saves, no_pairs(N_USERS))) as site:
        yield site
