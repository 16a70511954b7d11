"""The site's two tables of pairs, read alike: who saved which event, and who hid which."""

from dataclasses import dataclass

from service.storage.dialect import Statement

#: user id, event id, seconds since 1970 (`UNKNOWN_TIME` when nobody knows).
TimedPair = tuple[str, str, int]


@dataclass(frozen=True)
class PairTable:
    """A table with the key (user_id, event_id) and a time; each row says that the user did `action`."""

    name: str
    time_column: str
    action: str

    def fill(self, statement: Statement) -> Statement:
        """`statement` for this table: it may use `{table}`, `{time}` and `{action}`."""
        return statement.with_names(table=self.name, time=self.time_column, action=self.action)


SAVED = PairTable("user_saved_events", "saved_at", "save")
HIDDEN = PairTable("user_hidden_events", "hidden_at", "hide")
