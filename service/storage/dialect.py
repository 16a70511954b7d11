"""SQL written once for SQLite, MySQL and MariaDB: a portable subset, and tokens for the little that differs.

In a statement's text `?` stands for one bound parameter and nothing else, and a token is `{name}` or
`{name:argument}`:

====================  =================================================================================
`{epoch:column}`      the column's time (UTC) in whole seconds since 1970, NULL when it has none
`{integer:column}`    the column as an integer; text that is none counts as 0
`{div}`               division of integers that truncates
`{checksum:columns}`  CRC-32 of the columns' text joined by commas, 0..2³²−1
`{skip_known:column}` ends an INSERT: a row whose unique `column` is there already is left out, other
                      errors stay errors (which INSERT IGNORE would hide)
`{skip_known_pair:column}` the same for a key of several columns, one of which is `column`
`{add_to_known:columns}` ends an INSERT, assignments behind it: what becomes of a row whose unique key of these
                      `columns` is there already
`{given:column}`      in those assignments, what the INSERT gives for the column
`{list}`              one or more parameters, see `Statement.with_list`
====================  =================================================================================

Times go in as text, see `service.storage.times`; CURRENT_TIMESTAMP, CAST(… AS CHAR) and COALESCE mean the
same everywhere, the sessions being in UTC.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_TOKEN = re.compile(r"\{(\w+)(?::([^{}]+))?\}")


@dataclass(frozen=True)
class Statement:
    """One SQL statement in the portable form. Values never are part of it."""

    text: str

    def with_list(self, size: int) -> "Statement":
        """This statement with `{list}` as `size` parameters; ValueError when there would be none."""
        if size < 1:
            raise ValueError("a list in SQL needs at least one value")
        return Statement(self.text.replace("{list}", ", ".join("?" * size)))

    def with_names(self, **names: str) -> "Statement":
        """This statement with each `{key}` replaced by a name of a table or column that the code gives."""
        text = self.text
        for key, name in names.items():
            text = text.replace("{" + key + "}", name)
        return Statement(text)


@dataclass(frozen=True)
class Dialect:
    """How one engine spells what the engines spell differently."""

    name: str
    placeholder: str
    tokens: Mapping[str, str]
    #: Whether the ids in the site's tables are whole numbers, or any text.
    numeric_site_ids: bool
    #: Sorts before every id of the site's tables, so that paging has a place to start.
    before_first_id: str
    #: Whether a transaction may last as long as an import. On the site's server six services wait behind it.
    allows_long_transactions: bool
    #: Run around the import of a file.
    begin_import: tuple[Statement, ...]
    end_import: tuple[Statement, ...]
    #: Held during a migration, so that two of them never run at once.
    lock_migrations: Statement
    unlock_migrations: Statement

    def render(self, statement: Statement) -> str:
        """The text that this engine's driver takes; ValueError for a token that it does not know."""
        filled = _TOKEN.sub(self._fill, statement.text)
        if self.placeholder == "?":
            return filled
        return filled.replace("%", "%%").replace("?", self.placeholder)

    def _fill(self, match: re.Match[str]) -> str:
        name, argument = match.groups()
        if name not in self.tokens:
            raise ValueError(f"{match.group()} is not a token of the {self.name} dialect")
        return self.tokens[name].replace("@", argument or "")


SQLITE = Dialect(
    name="sqlite",
    placeholder="?",
    tokens=MappingProxyType(
        {
            "epoch": "CAST(strftime('%s', @) AS INTEGER)",
            "integer": "CAST(@ AS INTEGER)",
            "div": "/",
            "checksum": "checksum(@)",  # a function that service.storage.sqlite adds
            "skip_known": "ON CONFLICT (@) DO NOTHING",
            "skip_known_pair": "ON CONFLICT DO NOTHING",
            "add_to_known": "ON CONFLICT (@) DO UPDATE SET",
            "given": "excluded.@",
        }
    ),
    numeric_site_ids=False,
    before_first_id="",
    allows_long_transactions=True,
    # The keys of a file that is not sorted by user come in random order: without the pages of their index at
    # hand the import takes twice as long. Given back afterwards, as a service has better uses for 32 MB.
    begin_import=(Statement("PRAGMA cache_size = -32768"),),
    end_import=(Statement("PRAGMA cache_size = -2000"), Statement("PRAGMA shrink_memory")),
    # The transaction that a migration runs in locks the whole file already.
    lock_migrations=Statement("SELECT 1"),
    unlock_migrations=Statement("SELECT 1"),
)

MYSQL = Dialect(
    name="mysql",
    placeholder="%s",
    tokens=MappingProxyType(
        {
            # Not UNIX_TIMESTAMP, which is NULL for a DATETIME after 2038 on MariaDB.
            "epoch": "TIMESTAMPDIFF(SECOND, '1970-01-01', @)",
            "integer": "@",  # as it is, so that an index on the column still serves
            "div": "DIV",
            "checksum": "CRC32(CONCAT_WS(',', @))",
            "skip_known": "ON DUPLICATE KEY UPDATE @ = @",
            "skip_known_pair": "ON DUPLICATE KEY UPDATE @ = @",  # @ is one column of a key of several
            "add_to_known": "ON DUPLICATE KEY UPDATE",
            "given": "VALUES(@)",
        }
    ),
    numeric_site_ids=True,
    before_first_id="-1",
    allows_long_transactions=False,
    begin_import=(),
    end_import=(),
    lock_migrations=Statement("SELECT GET_LOCK('craic_migrations', 5)"),
    unlock_migrations=Statement("SELECT RELEASE_LOCK('craic_migrations')"),
)
