from collections.abc import Sequence
from pathlib import Path

import pytest

from service.storage.snapshot import FeedbackSpan, Kept, SiteFeedback, SnapshotFile

SPAN = FeedbackSpan("v1", 10, 20, 100.5)
ROWS = [(11, "ann", "rock", "save", 90), (12, "bob", "trad", "hide", 91)]


@pytest.fixture
def file(tmp_path: Path) -> SnapshotFile:
    return SnapshotFile(tmp_path / "snapshot.db")


async def kept_by(file: SnapshotFile) -> Kept:
    return await file.load(lambda events: None)


async def ids_of(file: SnapshotFile) -> list[int]:
    return [row[0] for row in (await kept_by(file)).feedback]


async def keep(
    file: SnapshotFile, span: FeedbackSpan, rows: Sequence[SiteFeedback] = (), begins: bool = False
):
    await file.keep_feedback(span, rows, begins=begins)


async def test_feedback_is_kept_with_how_far_it_is_known(file):
    await keep(file, SPAN, ROWS, begins=True)

    kept = await kept_by(file)

    assert (kept.feedback, kept.feedback_span) == (ROWS, SPAN)


async def test_two_processes_of_one_model_keep_it_together(file):
    await keep(file, SPAN, ROWS[:1], begins=True)
    await keep(file, SPAN._replace(settled_id=5, seen_id=30, seen_at=101.0), ROWS, begins=True)

    kept = await kept_by(file)

    assert kept.feedback == ROWS
    assert kept.feedback_span == SPAN._replace(seen_id=30, seen_at=101.0)


async def test_another_model_begins_anew_and_the_one_before_adds_nothing_to_it(file):
    await keep(file, SPAN, ROWS[:1], begins=True)
    other = SPAN._replace(model_version="v2")
    await keep(file, other, ROWS[1:], begins=True)
    await keep(file, SPAN._replace(settled_id=99), [(13, "cat", "jazz", "save", 92)])

    kept = await kept_by(file)

    assert (kept.feedback, kept.feedback_span) == (ROWS[1:], other)


async def test_who_is_erased_leaves_no_feedback(file):
    await keep(file, SPAN, ROWS, begins=True)
    await file.add_changes([("user_saved_events", "ann", "rock", 90)])

    assert await file.erase_user("ann") == 2

    assert await ids_of(file) == [12]
    assert (await kept_by(file)).changes == []
