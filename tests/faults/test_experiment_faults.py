"""DynamoDB hangs, breaks off, or is not to be reached: recommendations go on, and every count arrives, once."""

from pathlib import Path
from shutil import copytree

import pytest

from bench.experiments import TROUBLES, Counted, Plan, Trouble, measure_troubles
from bench.mysql_site import MySQLSite

pytestmark = pytest.mark.faults


def test_a_store_in_trouble_fails_no_recommendation_and_loses_no_count(
    small_site: MySQLSite, dynalite_url: str, tmp_path: Path
):
    home = copytree(
        small_site.home, tmp_path / "home", symlinks=True
    )  # whose queue has nothing of other tests
    plan = Plan(seconds=2.0, per_second=40.0, people=50, recovery_seconds=3.0)

    *found, counted = measure_troubles(home, dynalite_url, TROUBLES, plan, settings=small_site.settings)

    assert [(one.kind, one.failed) for one in found if isinstance(one, Trouble)] == [
        (kind, 0) for kind in TROUBLES
    ]
    assert isinstance(counted, Counted)
    assert counted.answers == counted.in_the_results == counted.in_dynamodb > 0
    assert counted.people == counted.people_in_dynamodb > 0
    assert counted.in_several_variants == 0
