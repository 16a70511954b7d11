import sqlite3
from contextlib import closing

from core.tastes import Kind
from service.live.description import MAKERS, ContentFeature, Described, describe, up_to_date
from service.live.event import make_card
from service.live.features import feature_key
from service.storage.queries.events import EventsFingerprint
from service.storage.snapshot import SnapshotFile
from tests.sites import an_event

FINGERPRINT = EventsFingerprint(2, 7, 1_795_896_000)
ROWS = (
    an_event("a", title="Lankum", genres=("Folk",), tags=('a "tag"',), images=("a.jpg", {"url": "b.jpg"})),
    an_event(
        "b", title="Órla + Ye Vagabonds", genres=("folk",), price_min=12.5, latitude=53.3, longitude=-6.2
    ),
)


def test_features_are_told_apart_by_key_and_named_as_the_site_writes_them():
    [described] = describe(ROWS[:1])

    assert ContentFeature(feature_key(Kind.GENRE, "folk"), b"Folk") in described.features
    assert ContentFeature(feature_key(Kind.TAG, 'a "tag"'), b'a \\"tag\\"') in described.features
    assert (described.row, described.card) == (ROWS[0], make_card(ROWS[0]))


async def test_a_snapshot_holds_what_was_made_of_events(tmp_path):
    snapshot = SnapshotFile(tmp_path / "snapshot.db")
    described = describe(ROWS)

    await snapshot.put_events(described, (), FINGERPRINT)
    taken: list[Described] = []
    kept = await snapshot.load(taken.extend)

    assert (kept.n_events, kept.fingerprint) == (2, FINGERPRINT)
    assert up_to_date(taken) == taken == described


def test_what_another_version_made_of_events_is_made_anew():
    described = describe(ROWS)
    other = Described(ROWS[0], (b"a", b"An older card", b""), (), "another one")

    assert up_to_date([other, described[1]]) == described
    assert all(event.made_by == MAKERS for event in up_to_date([other]))


async def test_events_in_a_form_of_another_version_are_dropped_with_their_fingerprint(tmp_path):
    snapshot = SnapshotFile(tmp_path / "snapshot.db")
    await snapshot.put_events(describe(ROWS), (), FINGERPRINT)
    with closing(sqlite3.connect(tmp_path / "snapshot.db")) as connection, connection:
        connection.execute("UPDATE events SET content = ? WHERE event_id = 'b'", (b'{"event_id": "b"}',))

    kept = await snapshot.load(lambda events: None)

    assert (kept.n_events, kept.fingerprint) == (0, None)
    assert (await snapshot.load(lambda events: None)).n_events == 0
