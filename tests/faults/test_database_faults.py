"""The database stands still, crashes, or is away: recommendations go on and nothing acknowledged is lost."""

import pytest

from bench.faults import stop_database
from bench.mysql_site import MySQLSite
from bench.paced import Pacing, steadily
from bench.requests import feedback, recommendations
from bench.servers import running_service
from tests.faults.asking import ask, stored_keys, wait_until

pytestmark = pytest.mark.faults


def test_a_database_that_stands_still_fails_no_recommendation_and_loses_no_feedback(small_site: MySQLSite):
    found = stop_database(small_site, seconds=3.0)

    assert (found.failed_recommendations, found.failed_feedback) == (0, 0)
    assert (found.lost, found.out_of_order) == (0, 0)
    assert found.recommendations > 0
    assert found.acknowledged > 0


def test_a_database_that_crashes_and_comes_back_under_load_fails_nothing_and_loses_nothing(
    small_site: MySQLSite,
):
    with running_service(small_site.home, None, small_site.settings) as server:
        asked = Pacing(server.port, recommendations(small_site, 1), steadily(100.0), 4)
        given = Pacing(server.port, feedback(small_site, "crash", 2), steadily(100.0), 4)
        with asked, given:
            asked.run_for(1.0)
            small_site.server.kill()
            asked.run_for(1.0)
            small_site.server.start()
            asked.run_for(1.0)
        answers, acknowledged = asked.stop(), given.stop()
        names = [one.name for one in acknowledged.answered]
        wait_until(lambda: set(names) <= set(stored_keys(small_site, "crash")))
        wait_until(lambda: ask(server.port, "/ready").body["database"] == "connected")

    assert (answers.failed, acknowledged.failed) == ([], [])
    assert len(names) > 100
    assert sorted(stored_keys(small_site, "crash")) == sorted(names)
