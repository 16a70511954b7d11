import logging

from service.storage.sparse_log import SparseLog
from tests.service.storage.queue_fakes import Clock


def test_it_speaks_once_a_minute_and_says_how_often_it_kept_silent(caplog):
    clock = Clock(0.0)
    log = SparseLog(logging.getLogger("test"), seconds=60.0, clock=clock)
    for second in (0, 1, 59, 60, 61, 200):
        clock.now = float(second)
        log.warning("%s happened", "it")
    assert [record.getMessage() for record in caplog.records] == [
        "it happened (0 more like this went unsaid)",
        "it happened (2 more like this went unsaid)",
        "it happened (1 more like this went unsaid)",
    ]
