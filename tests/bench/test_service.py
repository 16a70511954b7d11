"""What the service's bench asks, and how it shows what it found."""

import json
from dataclasses import fields, replace

from bench.answers import LIMIT
from bench.service import Measurement, encode_requests, table

QUIET = Measurement("control", *[1.0] * (len(fields(Measurement)) - 1))


def test_every_user_is_asked_for_once_in_an_order_that_the_seed_decides() -> None:
    requests = encode_requests("control", 50, seed=1)
    bodies = [json.loads(request.partition(b"\r\n\r\n")[2]) for request in requests]
    assert sorted(int(body["user_id"]) for body in bodies) == list(range(50))
    assert {(body["limit"], body["variant"]) for body in bodies} == {(LIMIT, "control")}
    assert requests == encode_requests("control", 50, seed=1)
    assert requests != encode_requests("control", 50, seed=2)


def test_the_table_has_a_row_for_each_figure_and_a_column_for_each_arm() -> None:
    rows = table([QUIET, replace(QUIET, arm="hybrid", p99_ms=2.34567)]).splitlines()
    assert [row.split()[0] for row in rows] == [field.name for field in fields(Measurement)]
    assert rows[0].split() == ["arm", "control", "hybrid"]
    assert ["p99_ms", "1.0", "2.346"] in [row.split() for row in rows]


def test_figures_of_a_busy_machine_say_so() -> None:
    assert "busy" not in table([QUIET])
    assert "The machine was busy: a server had only 38%" in table(
        [QUIET, replace(QUIET, bare_core_share=0.38)]
    )
