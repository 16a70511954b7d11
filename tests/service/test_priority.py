import os
import subprocess
import sys

from service.priority import LOWEST, let_others_go_first


def test_a_process_and_the_threads_that_it_starts_later_take_what_others_leave() -> None:
    program = (
        "import os, threading\n"
        "input()\n"
        "thread = threading.Thread(target=lambda: print(os.sched_getscheduler(0), os.getpriority(0, 0)))\n"
        "thread.start(); thread.join()\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True) as process:
        let_others_go_first(process.pid)
        told, _ = process.communicate("go on\n")

    assert told.split() == [str(os.SCHED_IDLE), str(LOWEST)]


def test_a_process_that_has_ended_is_left_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

    let_others_go_first(process.pid)
