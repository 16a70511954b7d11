"""What other services do to the site's database becomes right in the answers, within a few polls."""

import time
from pathlib import Path

import pytest

from service.storage.database import Database, DatabaseSettings
from service.storage.dialect import Statement
from service.storage.times import to_text
from tests.integration.running import eventually, next_second, now, publish, running
from tests.site import Site

_START_SOON = Statement("UPDATE events SET start_time = ? WHERE id = 3")
_FEEDBACK = Statement("SELECT action FROM ml_feedback WHERE user_id = ? ORDER BY id")
_WRITE_FEEDBACK = Statement(
    "INSERT INTO ml_feedback (user_id, event_id, action, created_at) VALUES (?, ?, ?, ?)"
)
_OLD_EVENT = Statement(
    "INSERT INTO events (id, dedupe_key, title, start_time, updated_at) VALUES"
    " (40, 'old', 'From a backup', '2035-01-01 20:00:00', '2001-01-01 00:00:00')"
)


async def test_likes_of_the_like_minded_come_first(home: Path, site_db: DatabaseSettings):
    async with running(home, site_db) as service:
        assert (await service.recommend(1))[:2] == ["3", "4"]
        assert (await service.recommend(4))[:2] == ["8", "9"]
        assert set(await service.recommend(1)).isdisjoint({"1", "2"})
        assert "1" not in await service.recommend(5)  # hidden


async def test_a_new_event_is_recommended(home: Path, site_db: DatabaseSettings, site: Site):
    async with running(home, site_db) as service:
        await site.add_events(20)
        await eventually(lambda: _holds(service.recommend(1), "20"))


async def test_a_changed_event_is_shown_as_it_is_now(home: Path, site_db: DatabaseSettings, site: Site):
    async with running(home, site_db) as service:
        await site.change_event(3, title="Moved indoors", venue_name="The Róisín Dubh")

        async def shown() -> bool:
            first = (await service.answer(1))["recommendations"][0]
            return (first["title"], first["venue_name"]) == ("Moved indoors", "The Róisín Dubh")

        await eventually(shown)


async def test_two_changes_within_one_second_are_both_seen(home: Path, site_db: DatabaseSettings, site: Site):
    async with running(home, site_db) as service:
        for number in range(5):
            await site.change_event(3, title=f"Draft {number}")
            await eventually(lambda: _title_of_first(service, "Draft"))
        await site.change_event(3, title="Final")
        await eventually(lambda: _title_of_first(service, "Final"))


@pytest.mark.parametrize("change", [{"title": "CANCELLED: Event 3"}, {"tags": '["cancelled"]'}])
async def test_a_cancelled_event_leaves_and_comes_back_when_it_is_on_again(
    home: Path, site_db: DatabaseSettings, site: Site, change: dict[str, str]
):
    async with running(home, site_db) as service:
        await site.change_event(3, **change)
        await eventually(lambda: _lacks(service.recommend(1), "3"))

        await site.change_event(3, title="Event 3", tags="[]")
        await eventually(lambda: _holds(service.recommend(1), "3"))


async def test_a_deleted_event_leaves_at_once_though_another_came(
    home: Path, site_db: DatabaseSettings, site: Site
):
    async with running(home, site_db) as service:
        await site.delete_event(3)
        await site.add_events(21)
        await eventually(lambda: _holds(service.recommend(1), "21"))
        await eventually(lambda: _lacks(service.recommend(1), "3"))


async def test_an_event_put_back_with_an_old_time_of_change_is_seen(
    home: Path, site_db: DatabaseSettings, others: Database
):
    async with running(home, site_db) as service:
        await others.execute(_OLD_EVENT)
        await eventually(lambda: _holds(service.recommend(1), "40"))


async def test_an_event_leaves_the_moment_it_starts(home: Path, site_db: DatabaseSettings, others: Database):
    async with running(home, site_db) as service:
        starts = now() + 3
        await others.execute(_START_SOON, (to_text(starts),))

        async def listed_as_changed() -> bool:
            found = (await service.answer(1))["recommendations"]
            return any(item["event_id"] == "3" and item["start_time"] < "2030" for item in found)

        await eventually(listed_as_changed)
        assert time.time() < starts, "the machine is too slow for this test"
        await eventually(lambda: _lacks(service.recommend(1), "3"))
        assert time.time() >= starts


async def test_what_other_services_save_and_hide_counts(home: Path, site_db: DatabaseSettings, site: Site):
    async with running(home, site_db) as service:
        assert "12" in await service.recommend(4)

        await site.save(4, 12, now())
        await eventually(lambda: _lacks(service.recommend(4), "12"))
        await eventually(lambda: _first_is(service.recommend(5), "12", "9"))  # 4 and 5 like the same

        await site.hide(4, 9, now())
        await eventually(lambda: _lacks(service.recommend(4), "9"))


async def test_a_save_stamped_late_or_in_the_future_is_noticed_and_hides_no_other(
    home: Path, site_db: DatabaseSettings, site: Site
):
    async with running(home, site_db) as service:
        await site.save(4, 10, now() + 86_400)
        await eventually(lambda: _lacks(service.recommend(4), "10"))
        await site.save(4, 11, now())
        await eventually(lambda: _lacks(service.recommend(4), "11"))
        await site.save(4, 12, None)
        await eventually(lambda: _lacks(service.recommend(4), "12"))

        await site.unsave(4, 10)  # before the time that its row was stamped with
        await eventually(lambda: _holds(service.recommend(4), "10"))


async def test_a_save_and_a_hide_that_are_taken_back_are_noticed_and_recorded(
    home: Path, site_db: DatabaseSettings, site: Site, others: Database
):
    async with running(home, site_db) as service:
        await site.unsave(4, 7)
        await eventually(lambda: _holds(service.recommend(4), "7"))
        await others.execute(Statement("DELETE FROM user_hidden_events WHERE user_id = 5 AND event_id = 1"))
        await eventually(lambda: _holds(service.recommend(5), "1"))

        async def recorded() -> bool:
            return [await others.fetch(_FEEDBACK, (user,)) for user in ("4", "5")] == [
                [("unsave",)],
                [("unhide",)],
            ]

        await eventually(recorded)


async def test_a_save_that_is_taken_back_and_made_again_and_again_is_followed(
    home: Path, site_db: DatabaseSettings, site: Site
):
    async with running(home, site_db) as service:
        for _ in range(3):
            await site.unsave(4, 7)
            await eventually(lambda: _holds(service.recommend(4), "7"))
            await site.save(4, 7, now())
            await eventually(lambda: _lacks(service.recommend(4), "7"))
            await next_second()  # rows tell the time in whole seconds


async def test_a_save_taken_back_while_the_service_was_down_is_noticed(
    home: Path, site_db: DatabaseSettings, site: Site
):
    await site.unsave(4, 7)
    async with running(home, site_db) as service:
        await eventually(lambda: _holds(service.recommend(4), "7"))


async def test_what_is_acknowledged_counts_in_the_very_next_request(home: Path, site_db: DatabaseSettings):
    async with running(home, site_db) as service:
        for action in ("hide", "thumbs_down", "skip", "save", "thumbs_up", "click"):
            event_id = (await service.recommend(7))[0]
            await service.give(7, event_id, action)
            assert event_id not in await service.recommend(7)
        await service.give(8, "6", "save")
        assert (await service.recommend(8))[0] == "7"


async def test_a_change_of_mind_counts_at_once(home: Path, site_db: DatabaseSettings):
    async with running(home, site_db) as service:
        for action, first in [("save", "7"), ("hide", None), ("save", "7"), ("thumbs_down", None)]:
            await service.give(8, "6", action)
            answer = await service.answer(8)
            assert "6" not in [item["event_id"] for item in answer["recommendations"]]
            personal = answer["recommendations"][0]["algorithm"] == "collaborative_filtering"
            assert personal == (first is not None), action


async def test_a_later_hide_wins_over_an_earlier_save_that_is_noticed_later(
    home: Path, site_db: DatabaseSettings, site: Site
):
    async with running(home, site_db) as service:
        await service.give(4, "10", "hide")
        await site.save(4, 10, now() - 60)
        await site.save(4, 11, now() - 60)  # a row after it, to know when both were seen
        await eventually(lambda: _lacks(service.recommend(4), "11"))
        assert "10" not in await service.recommend(4)
        because = (await service.answer(4))["recommendations"][0]["because"]
        assert "10" not in [reason["event_id"] for reason in because]


async def test_what_a_model_learnt_from_two_actions_is_not_undone_by_reading_the_first_again(
    home: Path, site_db: DatabaseSettings, site: Site, others: Database
):
    await site.save(4, 10, now() - 3)
    await others.execute(_WRITE_FEEDBACK, ("4", "10", "hide", to_text(now() - 2)))
    await publish(home, others)  # saved, then hidden, both just before the cut-off
    async with running(home, site_db) as service:
        await site.save(4, 11, now())
        await eventually(lambda: _lacks(service.recommend(4), "11"))
        assert "10" not in await service.recommend(4)
        liked = {
            reason["event_id"]
            for item in (await service.answer(4))["recommendations"]
            for reason in item["because"]
        }
        assert "10" not in liked


async def test_people_and_events_that_the_model_never_saw_take_part_at_once(
    home: Path, site_db: DatabaseSettings, site: Site
):
    async with running(home, site_db) as service:
        await site.add_events(30, 31)
        await eventually(lambda: _holds(service.recommend(1), "31"))
        await service.give("new-1", "30", "save")
        await service.give("new-1", "31", "save")
        await service.give("new-2", "30", "save")
        answer = await service.answer("new-2")
        assert answer["recommendations"][0]["event_id"] == "31"
        assert [reason["event_id"] for reason in answer["recommendations"][0]["because"]] == ["30"]


async def test_feedback_that_another_machine_wrote_to_the_database_counts(
    home: Path, site_db: DatabaseSettings, others: Database
):
    async with running(home, site_db) as service:
        await others.execute(_WRITE_FEEDBACK, ("4", "12", "hide", to_text(now())))
        await eventually(lambda: _lacks(service.recommend(4), "12"))


async def _holds(answer, event_id: str) -> bool:
    return event_id in await answer


async def _lacks(answer, event_id: str) -> bool:
    return event_id not in await answer


async def _first_is(answer, *event_ids: str) -> bool:
    return (await answer)[0] in event_ids


async def _title_of_first(service, start: str) -> bool:
    return (await service.answer(1))["recommendations"][0]["title"].startswith(start)
